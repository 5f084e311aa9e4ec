//! The house rules that a look at the text can check: where unsafe code may stand, and how long a file may be.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};

/// "About 400": the limit leaves room to finish a thought.
const MOST_LINES: usize = 450;
const KEYWORD: &str = "unsafe";

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
        faults.extend(faults_in(name, &text));
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

fn faults_in(file: &Path, text: &str) -> Vec<String> {
    let name = file.display();
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > MOST_LINES {
        faults.push(format!(
            "{name}: {lines} lines, where {MOST_LINES} is the most; give one of its ideas a file"
        ));
    }
    if !is_sys(file) {
        let offending = text.lines().enumerate().filter(|(_, line)| is_unsafe(line));
        faults.extend(offending.map(|(index, _)| {
            format!("{name}:{}: {KEYWORD} code outside sys; move it into `sys.rs` or `sys/`", index + 1)
        }));
    }
    faults
}

/// Whether the file is a `sys.rs` or lies in a `sys/`.
fn is_sys(file: &Path) -> bool {
    file.components().any(|part| part.as_os_str() == "sys" || part.as_os_str() == "sys.rs")
}

/// Whether the line opens unsafe code. The word alone, in prose or in the name of a lint, does not.
fn is_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices(KEYWORD).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + KEYWORD.len()..].trim_start();
        let whole_word = !before.is_some_and(|c| c.is_alphanumeric() || c == '_');
        whole_word && ["{", "fn ", "impl", "extern", "trait ", "("].iter().any(|next| after.starts_with(next))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_code_is_told_from_the_word() {
        for rest in [" { read() }", " fn read()", " impl Send for X {}", " extern \"C\" {", "(no_mangle)]"] {
            assert!(is_unsafe(&format!("    {KEYWORD}{rest}")), "`{KEYWORD}{rest}` is code");
        }
        for prose in
            ["#![forbid(unsafe_code)]", "unsafe_op_in_unsafe_fn = \"deny\"", "// an unsafe fn lives in sys"]
        {
            assert!(!is_unsafe(prose), "`{prose}` is not code");
        }
    }

    #[test]
    fn unsafe_code_may_stand_in_sys_alone() {
        let text = format!("fn read() {{ {KEYWORD} {{ read() }} }}\n");
        let faults = |file: &str| faults_in(Path::new(file), &text).len();
        assert_eq!(faults("crates/pathlock/src/wait.rs"), 1, "a module of the library");
        assert_eq!(faults("crates/pathlock/src/system.rs"), 1, "a name that only begins like it");
        assert_eq!(faults("crates/pathlock/src/sys.rs"), 0, "the platform code");
        assert_eq!(faults("crates/pathlock/src/sys/linux.rs"), 0, "the platform code, further down");
    }

    #[test]
    fn a_file_over_the_limit_is_a_fault() {
        let faults = |lines| faults_in(Path::new("a.rs"), &"\n".repeat(lines)).len();
        assert_eq!((faults(MOST_LINES), faults(MOST_LINES + 1)), (0, 1), "the limit itself is allowed");
    }
}
