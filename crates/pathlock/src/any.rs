//! A lock whose scheme is chosen while the program runs.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use crate::lock::Lock;
use crate::scheme::{DefaultScheme, Scheme, scheme_named};

/// A lock whose scheme is chosen while the program runs: `mkdir:/srv/job`.
pub type AnyLockFile = Lock<Arc<dyn Scheme>>;

impl AnyLockFile {
    /// The lock that `name` describes: `SCHEME:PATH`, or a path alone for the default scheme. What
    /// stands before a colon and is no scheme belongs to the path.
    ///
    /// ```
    /// use pathlock::AnyLockFile;
    ///
    /// let lock = AnyLockFile::open("mkdir:/srv/job");
    /// assert_eq!((lock.scheme().name(), lock.path().to_str()), ("mkdir", Some("/srv/job")));
    /// let lock = AnyLockFile::open("/srv/12:30");
    /// assert_eq!((lock.scheme().name(), lock.path().to_str()), ("link", Some("/srv/12:30")));
    /// ```
    #[must_use]
    pub fn open(name: impl AsRef<OsStr>) -> AnyLockFile {
        let name = name.as_ref();
        let bytes = name.as_encoded_bytes();
        if let Some(colon) = bytes.iter().position(|&byte| byte == b':')
            && let Some(scheme) = std::str::from_utf8(&bytes[..colon]).ok().and_then(scheme_named)
            && let Some(path) = after(name, colon + 1)
        {
            return Lock::with_scheme(path, scheme);
        }
        Lock::with_scheme(name, Arc::new(DefaultScheme::default()) as Arc<dyn Scheme>)
    }
}

/// What follows the first `skip` bytes, which are ASCII, of a path.
fn after(name: &OsStr, skip: usize) -> Option<std::borrow::Cow<'_, Path>> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let rest = name.as_bytes().get(skip..)?;
        Some(Path::new(OsStr::from_bytes(rest)).into())
    }
    #[cfg(not(unix))]
    {
        // Elsewhere a name that is no Unicode has no scheme.
        Some(Path::new(name.to_str()?.get(skip..)?).into())
    }
}
