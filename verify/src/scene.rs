//! What is in a lock's directory: the lock, litter, and files of others that must stay as they are.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// What every file that exists beside a lock for a moment is called.
const LITTER: &str = ".pathlock-";
/// The name of what is protected.
const JOB: &str = "job";

/// A directory with a lock in it, and files of others beside it.
#[derive(Debug)]
pub struct Scene {
    dir: TempDir,
    /// Where a tracer writes, outside of what is looked at.
    backstage: TempDir,
    foreign: BTreeMap<PathBuf, String>,
}

impl Scene {
    /// Makes one in `parent`.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn set(parent: &Path) -> io::Result<Scene> {
        let dir = tempfile::Builder::new().prefix("scene-").tempdir_in(parent)?;
        fs::write(dir.path().join("README"), "Read me.\n")?;
        fs::write(dir.path().join("other.lock"), "4711\n")?;
        fs::write(dir.path().join(".pathlock-notes"), "Not litter: somebody's notes.\n")?;
        fs::create_dir(dir.path().join("other.lock.d"))?;
        fs::write(dir.path().join("other.lock.d/host.-7f004711"), "somebody's\n")?;
        let foreign = contents(dir.path())?;
        let backstage = tempfile::Builder::new().prefix("backstage-").tempdir_in(parent)?;
        Ok(Scene { dir, backstage, foreign })
    }

    /// What the lock protects.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.dir.path().join(JOB)
    }

    /// Where a trace goes.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.backstage.path().join("log")
    }

    /// Whether the files of others are as they were: what has changed.
    #[must_use]
    pub fn damage(&self) -> Option<String> {
        let now = match contents(self.dir.path()) {
            Ok(now) => now,
            Err(error) => return Some(error.to_string()),
        };
        let harmed = self.foreign.iter().find(|(path, text)| now.get(*path) != Some(*text));
        harmed.map(|(path, text)| format!("{} was {text:?} and is {:?}", path.display(), now.get(path)))
    }

    /// What is there that was not there at first.
    ///
    /// # Errors
    /// When it can't be looked at.
    pub fn additions(&self) -> io::Result<Vec<String>> {
        let names = names(self.dir.path())?;
        Ok(names.into_iter().filter(|name| !self.foreign.keys().any(|path| path.starts_with(name))).collect())
    }

    /// The additions that are litter.
    ///
    /// # Errors
    /// When it can't be looked at.
    pub fn litter(&self) -> io::Result<Vec<String>> {
        Ok(self.additions()?.into_iter().filter(|name| name.starts_with(LITTER)).collect())
    }

    /// What is there, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        describe(self.dir.path())
    }
}

/// The litter in a directory.
///
/// # Errors
/// When it can't be looked at.
pub fn litter(dir: &Path) -> io::Result<Vec<String>> {
    Ok(names(dir)?.into_iter().filter(|name| name.starts_with(LITTER)).collect())
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    let names = fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = names.collect::<io::Result<_>>()?;
    names.sort();
    Ok(names)
}

/// The files below `dir`, by their paths in it.
fn contents(dir: &Path) -> io::Result<BTreeMap<PathBuf, String>> {
    let mut found = BTreeMap::new();
    for name in names(dir)? {
        let path = dir.join(&name);
        if path.symlink_metadata()?.is_dir() {
            let inside = contents(&path)?.into_iter();
            found.extend(inside.map(|(path, text)| (Path::new(&name).join(path), text)));
        } else if path.symlink_metadata()?.is_file() {
            found.insert(name.into(), String::from_utf8_lossy(&fs::read(&path)?).into_owned());
        }
    }
    Ok(found)
}

/// The names in a directory and what they hold, for people.
#[must_use]
pub fn describe(dir: &Path) -> String {
    let mut text = String::new();
    for name in names(dir).unwrap_or_default() {
        let path = dir.join(&name);
        let _ = match fs::read_link(&path)
            .map(|target| target.display().to_string())
            .or_else(|_| if path.is_dir() { Ok(describe(&path)) } else { fs::read_to_string(&path) })
        {
            Ok(content) => writeln!(text, "{name}: {:?}", content.trim_end()),
            Err(error) => writeln!(text, "{name}: {error}"),
        };
    }
    text
}
