//! Numbers of many: medians, percentiles.

/// The value below which the share `part` of them are; not a number if there are none.
pub(crate) fn percentile(values: &[f64], part: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else { return f64::NAN };
    let index = (part * last as f64).round() as usize;
    values[index.min(last)]
}

pub(crate) fn median(values: &[f64]) -> f64 {
    percentile(values, 0.5)
}

/// The median of the ratios of what was measured in the same round.
pub(crate) fn paired(values: &[f64], floor: &[f64]) -> f64 {
    let ratios: Vec<f64> = values.iter().zip(floor).map(|(value, floor)| value / floor).collect();
    median(&ratios)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&values, 0.0), 1.0);
        assert_eq!(percentile(&values, 0.99), 99.0);
        assert_eq!(percentile(&values, 1.0), 100.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert!(median(&[]).is_nan(), "of nothing there is no median");
    }

    #[test]
    fn ratios_are_those_of_a_round() {
        assert_eq!(paired(&[2.0, 20.0, 6.0], &[1.0, 10.0, 2.0]), 2.0);
    }
}
