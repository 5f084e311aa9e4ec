//! The house rule that no compiler checks: how long a file may be.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};

/// "About 400": the limit leaves room to finish a thought.
const MOST_LINES: usize = 450;

/// Checks every Rust file below `root`.
pub(crate) fn check(root: &Path) -> Result<()> {
    let mut files = Vec::new();
    rust_files(root, &mut files).map_err(|error| Failure::new(format!("`{}`: {error}", root.display())))?;
    files.sort();
    let mut faults = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file)
            .map_err(|error| Failure::new(format!("`{}` can't be read: {error}", file.display())))?;
        let name = file.strip_prefix(root).unwrap_or(&file);
        faults.extend(fault_in(name, &text));
    }
    if faults.is_empty() { Ok(()) } else { Err(Failure::new(faults.join("\n    "))) }
}

/// The Rust files below `dir`, build output and hidden directories left out.
fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        if entry.file_type()?.is_dir() {
            if name != "target" && !name.to_string_lossy().starts_with('.') {
                rust_files(&path, found)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

fn fault_in(file: &Path, text: &str) -> Option<String> {
    let (name, lines) = (file.display(), text.lines().count());
    (lines > MOST_LINES).then(|| {
        format!("{name}: {lines} lines, where {MOST_LINES} is the most; give one of its ideas a file")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_over_the_limit_is_a_fault() {
        let fault = |lines| fault_in(Path::new("a.rs"), &"\n".repeat(lines)).is_some();
        assert_eq!((fault(MOST_LINES), fault(MOST_LINES + 1)), (false, true), "the limit itself is allowed");
    }
}
