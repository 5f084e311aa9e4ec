//! The pictures: SVG, in `plots/`.

use std::fs;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::contender::Error;
use crate::results::{Crowd, Results, Turns};

const OURS: RGBColor = RGBColor(0x1f, 0x77, 0xb4);
const THEIRS: RGBColor = RGBColor(0xd6, 0x5f, 0x2a);
const BARE: RGBColor = RGBColor(0x66, 0x66, 0x66);
const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);
const FONT: &str = "sans-serif";
/// Room for the names of the locks.
const NAMES: i32 = 250;
const ROW: u32 = 22;

pub(crate) fn write(results: &Results, out: &Path) -> Result<(), Error> {
    let plots = out.join("plots");
    fs::create_dir_all(&plots)?;
    hand_over(results, &plots.join("hand-over.svg")).map_err(|error| error.to_string())?;
    shares(results, &plots.join("shares.svg")).map_err(|error| error.to_string())?;
    scale(results, &plots.join("scale.svg")).map_err(|error| error.to_string())?;
    Ok(())
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn color(lock: &str) -> RGBColor {
    match lock {
        lock if lock.starts_with("pathlock") => OURS,
        lock if lock.starts_with("bare") => BARE,
        _ => THEIRS,
    }
}

fn anchored(size: i32, horizontal: HPos) -> TextStyle<'static> {
    (FONT, size).into_font().color(&BLACK).pos(Pos::new(horizontal, VPos::Center))
}

/// The filesystem that the pictures are of: the first that was measured.
fn pictured<'a>(names: impl Iterator<Item = &'a String>) -> String {
    crate::report::filesystems(names).into_iter().next().unwrap_or_default()
}

/// A row for each lock, quickest first: the median as a bar, and a line on to p99.
fn hand_over(results: &Results, path: &Path) -> Drawn {
    const WAITERS: usize = 2;
    let filesystem = pictured(results.hand_overs.iter().map(|one| &one.filesystem));
    let shown = results
        .hand_overs
        .iter()
        .filter(|one| one.filesystem == filesystem && one.waiters == WAITERS && !one.killed);
    let mut rows: Vec<(&str, f64, f64)> =
        shown.filter_map(|one| Some((one.lock.as_str(), one.median_us?, one.p99_us?))).collect();
    rows.sort_by(|one, other| one.1.total_cmp(&other.1));
    if rows.is_empty() {
        return Ok(());
    }
    let height = 90 + ROW * rows.len() as u32;
    let root = SVGBackend::new(path, (900, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let title =
        format!("From release to the next one in, {WAITERS} waiters, {filesystem}: median, and line to p99");
    root.draw(&Text::new(title, (450, 16), anchored(16, HPos::Center)))?;
    let most = rows.iter().map(|row| row.2).fold(10.0, f64::max) * 2.0;
    let mut chart = ChartBuilder::on(&root)
        .margin_top(34)
        .margin_right(20)
        .x_label_area_size(40)
        .margin_left(NAMES)
        .build_cartesian_2d((5.0..most).log_scale(), 0.0..rows.len() as f64)?;
    let mut mesh = chart.configure_mesh();
    mesh.disable_y_mesh().disable_y_axis().light_line_style(WHITE).bold_line_style(GRID);
    mesh.x_label_formatter(&|us| duration(*us)).label_style((FONT, 13)).draw()?;
    for (index, (lock, median, p99)) in rows.iter().enumerate() {
        let middle = (rows.len() - index) as f64 - 0.5;
        let bar = [(5.0, middle - 0.32), (median.max(5.1), middle + 0.32)];
        chart.draw_series([Rectangle::new(bar, color(lock).filled())])?;
        let line = vec![(*median, middle), (*p99, middle)];
        chart.draw_series([PathElement::new(line, color(lock).stroke_width(2))])?;
        let (_, y) = chart.backend_coord(&(10.0, middle));
        root.draw(&Text::new((*lock).to_owned(), (NAMES - 8, y), anchored(14, HPos::Right)))?;
    }
    Ok(root.present()?)
}

fn duration(us: f64) -> String {
    match us {
        us if us >= 1e6 => format!("{:.0} s", us / 1e6),
        us if us >= 1e3 => format!("{:.0} ms", us / 1e3),
        us => format!("{us:.0} µs"),
    }
}

/// A bar for each lock: the share of each process of all turns, most served first.
fn shares(results: &Results, path: &Path) -> Drawn {
    const PROCESSES: usize = 8;
    const SECTION_US: f64 = 50.0;
    let filesystem = pictured(results.turns.iter().map(|one| &one.filesystem));
    let shown = |one: &&Turns| {
        one.filesystem == filesystem && one.processes == PROCESSES && one.section_us == SECTION_US
    };
    let rows: Vec<&Turns> = results.turns.iter().filter(shown).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let height = 90 + ROW * rows.len() as u32;
    let root = SVGBackend::new(path, (900, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let title = format!(
        "Who gets the turns: {PROCESSES} processes, {SECTION_US} µs inside, {filesystem}; a shade for each process"
    );
    root.draw(&Text::new(title, (450, 16), anchored(16, HPos::Center)))?;
    let mut chart = ChartBuilder::on(&root)
        .margin_top(34)
        .margin_right(90)
        .x_label_area_size(40)
        .margin_left(NAMES)
        .build_cartesian_2d(0.0..100.0, 0.0..rows.len() as f64)?;
    let mut mesh = chart.configure_mesh();
    mesh.disable_y_mesh().disable_y_axis().light_line_style(WHITE).bold_line_style(GRID);
    mesh.x_label_formatter(&|percent| format!("{percent:.0} %")).label_style((FONT, 13)).draw()?;
    for (index, row) in rows.iter().enumerate() {
        let middle = (rows.len() - index) as f64 - 0.5;
        let total = row.total().max(1) as f64;
        let mut turns = row.turns.clone();
        turns.sort_unstable_by(|one, other| other.cmp(one));
        let mut from = 0.0;
        for (place, turns) in turns.iter().enumerate() {
            let to = from + *turns as f64 / total * 100.0;
            let shade = color(&row.lock).mix(1.0 - 0.8 * place as f64 / PROCESSES as f64);
            let bar = [(from, middle - 0.36), (to, middle + 0.36)];
            chart.draw_series([Rectangle::new(bar, shade.filled())])?;
            chart.draw_series([Rectangle::new(bar, WHITE.stroke_width(1))])?;
            from = to;
        }
        let (_, y) = chart.backend_coord(&(50.0, middle));
        root.draw(&Text::new(row.lock.clone(), (NAMES - 8, y), anchored(14, HPos::Right)))?;
        let fairness = format!("{:.2}", row.fairness());
        root.draw(&Text::new(fairness, (820, y), anchored(14, HPos::Left)))?;
    }
    root.draw(&Text::new("least : most", (890, height as i32 - 20), anchored(12, HPos::Right)))?;
    Ok(root.present()?)
}

/// A line for each lock, of processes that wait.
fn scale(results: &Results, path: &Path) -> Drawn {
    const COLORS: [RGBColor; 6] = [
        BARE,
        OURS,
        RGBColor(0x2c, 0xa0, 0x2c),
        THEIRS,
        RGBColor(0x94, 0x67, 0xbd),
        RGBColor(0x8c, 0x56, 0x4b),
    ];
    let filesystem = pictured(results.crowds.iter().map(|one| &one.filesystem));
    let of = |one: &&Crowd| one.filesystem == filesystem && one.of == "processes";
    let shown: Vec<&Crowd> = results.crowds.iter().filter(of).collect();
    if shown.is_empty() {
        return Ok(());
    }
    let root = SVGBackend::new(path, (900, 460)).into_drawing_area();
    root.fill(&WHITE)?;
    let title = format!("What a hand-over costs by the number of processes that wait, {filesystem}");
    root.draw(&Text::new(title, (450, 16), anchored(16, HPos::Center)))?;
    let most = shown.iter().map(|one| one.us_per_hand_over).fold(10.0, f64::max) * 1.1;
    let waiters = shown.iter().map(|one| one.waiters).max().unwrap_or(10) as f64;
    let mut chart = ChartBuilder::on(&root)
        .margin_top(34)
        .margin_right(20)
        .x_label_area_size(44)
        .y_label_area_size(70)
        .build_cartesian_2d((8.0..waiters * 1.2).log_scale(), 0.0..most)?;
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(WHITE).bold_line_style(GRID).label_style((FONT, 13));
    let whole = |number: &f64| format!("{number:.0}");
    mesh.x_desc("waiters").y_desc("µs per hand-over").x_label_formatter(&whole).y_label_formatter(&whole);
    mesh.x_labels(4).draw()?;
    let mut names: Vec<&str> = shown.iter().map(|one| one.lock.as_str()).collect();
    names.dedup();
    for (name, color) in names.into_iter().zip(COLORS) {
        let points = || {
            let of = shown.iter().filter(|one| one.lock == name);
            of.map(|one| (one.waiters as f64, one.us_per_hand_over))
        };
        chart
            .draw_series(LineSeries::new(points(), color.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 20, y)], color.stroke_width(2)));
        chart.draw_series(points().map(|point| Circle::new(point, 4, color.filled())))?;
    }
    let mut labels = chart.configure_series_labels();
    labels.position(SeriesLabelPosition::UpperLeft).background_style(WHITE.mix(0.8)).border_style(GRID);
    labels.label_font((FONT, 13)).draw()?;
    Ok(root.present()?)
}
