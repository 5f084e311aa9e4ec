//! What a filesystem is called, by its magic number in statfs(2).

use std::io;
use std::path::Path;

/// The name of the filesystem that `path` is on; its magic number where it is not known.
///
/// # Errors
/// When the path can't be looked at.
pub fn name(path: &Path) -> io::Result<String> {
    // `as`: the field's type differs between architectures; the numbers are 32 bits wide.
    let magic = rustix::fs::statfs(path)?.f_type as u64 & 0xffff_ffff;
    Ok(match magic {
        0xef53 => "ext4".into(),
        0x0102_1994 => "tmpfs".into(),
        0x5846_5342 => "xfs".into(),
        0x9123_683e => "btrfs".into(),
        0x794c_7630 => "overlay".into(),
        0x6969 => "nfs".into(),
        other => format!("{other:#x}"),
    })
}
