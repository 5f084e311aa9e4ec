//! Where the tests make their locks: a directory on disk and one in memory.
//!
//! Filesystems differ in what they promise, so one alone proves too little. The directory in memory is made
//! for one run and removed after it; the one on disk lies below target/ and stays.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::workspace::Workspace;

const MEMORY: &str = "/dev/shm";

pub(crate) struct TestDirs {
    dirs: Vec<PathBuf>,
    in_memory: Option<PathBuf>,
}

impl TestDirs {
    pub(crate) fn create(workspace: &Workspace) -> Result<Self> {
        let on_disk = workspace.target().join("test-dirs").join("disk");
        fs::create_dir_all(&on_disk)
            .map_err(|error| Failure::new(format!("`{}` can't be made: {error}", on_disk.display())))?;
        let mut dirs = vec![on_disk];

        let in_memory = Path::new(MEMORY).join(format!("pathlock-test-{}", std::process::id()));
        let in_memory = match fs::create_dir(&in_memory) {
            Ok(()) => Some(in_memory),
            Err(error) => {
                eprintln!(
                    "xtask: nothing is tested on tmpfs: no directory can be made in `{MEMORY}` ({error})"
                );
                None
            }
        };
        dirs.extend(in_memory.clone());

        if let [disk, memory] = dirs.as_slice()
            && filesystem(disk) == filesystem(memory)
        {
            let (disk, memory, kind) = (disk.display(), memory.display(), filesystem(disk));
            eprintln!(
                "xtask: only one kind of filesystem is tested: `{disk}` and `{memory}` are both on {kind}"
            );
        }
        Ok(Self { dirs, in_memory })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Path> {
        self.dirs.iter().map(PathBuf::as_path)
    }

    /// The value of an environment variable that lists them.
    pub(crate) fn joined(&self) -> Result<OsString> {
        std::env::join_paths(&self.dirs).map_err(|error| {
            Failure::new(format!(
                "{error}: the tests can't run below `{}`; move the checkout",
                self.dirs[0].display()
            ))
        })
    }

    /// The directories and their filesystems, for people.
    pub(crate) fn described(&self) -> String {
        self.iter()
            .map(|dir| format!("{} ({})", dir.display(), filesystem(dir)))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

impl Drop for TestDirs {
    #[expect(clippy::disallowed_methods, reason = "the directory was made for this very run")]
    fn drop(&mut self) {
        if let Some(dir) = &self.in_memory
            && let Err(error) = fs::remove_dir_all(dir)
        {
            eprintln!("xtask: `{}` can't be removed: {error}; remove it by hand", dir.display());
        }
    }
}

/// The kind of filesystem that `dir` is on, as the mount table calls it.
pub(crate) fn filesystem(dir: &Path) -> String {
    let dir = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    filesystem_in(&mounts, &dir).unwrap_or("unknown").to_owned()
}

/// Of the mounts above `dir` the deepest counts, and of those on one point the last.
fn filesystem_in<'a>(mounts: &'a str, dir: &Path) -> Option<&'a str> {
    // The table writes blanks and backslashes as octal; the path is brought into that form.
    let escaped = dir.to_str()?.replace('\\', "\\134").replace(' ', "\\040").replace('\t', "\\011");
    let mounts = mounts.lines().filter_map(|line| {
        let (mount, source) = line.split_once(" - ")?;
        Some((Path::new(mount.split(' ').nth(4)?), source.split(' ').next()?))
    });
    let above = mounts.filter(|(point, _)| Path::new(&escaped).starts_with(point));
    above.max_by_key(|(point, _)| point.components().count()).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:5 / /dev rw,nosuid - devtmpfs udev rw
24 23 0:21 / /dev/shm rw,nosuid,nodev - tmpfs tmpfs rw
25 22 0:22 / /home/a\\040b rw - xfs /dev/vdb rw
26 22 0:23 / /home/a\\040b rw - btrfs /dev/vdc rw
";

    #[test]
    fn the_deepest_and_last_mount_counts() {
        let kind = |dir| filesystem_in(MOUNTS, Path::new(dir));
        assert_eq!(kind("/srv/checkout/target"), Some("ext4"), "nothing but the root is above it");
        assert_eq!(kind("/dev/shm/pathlock-test-1"), Some("tmpfs"), "/dev/shm is deeper than /dev");
        assert_eq!(kind("/dev/shmoo"), Some("devtmpfs"), "a mount point is above whole names only");
        assert_eq!(kind("/home/a b/checkout"), Some("btrfs"), "the later mount hides the earlier one");
    }
}
