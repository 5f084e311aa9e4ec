//! What is tried: a scheme, and a way of using it. `mkdir+readers` is scheme mkdir with readers among the
//! writers.

use std::path::Path;
use std::sync::Arc;

use pathlock::{AnyLockFile, SCHEME_NAMES, Scheme, scheme_named};
use pathlock_sqlite::Sqlite;

use crate::broken;

/// A scheme and a way of using it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variant {
    /// The name of the scheme.
    pub scheme: String,
    /// `+shared`: as a reader.
    pub shared: bool,
    /// `+readers`: two in three come as readers.
    pub readers: bool,
    /// `+slots3`: all take one of three slots.
    pub slots: Option<u16>,
    /// `+futures`: by way of futures, many of which are dropped.
    pub futures: bool,
    /// `+again`: by a handle that has been used before.
    pub again: bool,
}

impl Variant {
    /// Reads one.
    ///
    /// # Errors
    /// When there is no such scheme or way.
    pub fn parse(text: &str) -> Result<Variant, String> {
        let mut words = text.split('+');
        let scheme = words.next().unwrap_or_default().to_owned();
        let mut variant = Variant { scheme, ..Variant::default() };
        for word in words {
            match word {
                "shared" => variant.shared = true,
                "readers" => variant.readers = true,
                "futures" => variant.futures = true,
                "again" => variant.again = true,
                _ => match word.strip_prefix("slots").and_then(|count| count.parse().ok()) {
                    Some(count) => variant.slots = Some(count),
                    None => {
                        return Err(format!(
                            "`{text}`: `{word}` is none of shared, readers, slots3, futures, again"
                        ));
                    }
                },
            }
        }
        variant.lock(Path::new("/")).map(|_| variant)
    }

    /// The lock of `path`: in one of the library's schemes, or the [`broken`] one.
    ///
    /// # Errors
    /// When there is no scheme of that name.
    pub fn lock(&self, path: &Path) -> Result<AnyLockFile, String> {
        let scheme: Arc<dyn Scheme> = match scheme_named(&self.scheme) {
            Some(scheme) => scheme,
            None if self.is_broken() => Arc::new(broken::Broken),
            None if self.scheme == "sqlite" => Arc::new(Sqlite::default()),
            None => {
                return Err(format!("there is no scheme `{}`: give one of {SCHEME_NAMES:?}", self.scheme));
            }
        };
        let lock = AnyLockFile::with_scheme(path, scheme);
        let lock = if self.shared { lock.shared() } else { lock };
        Ok(match self.slots {
            Some(count) if !self.is_broken() => lock.slots(count),
            _ => lock,
        })
    }

    /// Whether it is meant to let two in.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.scheme == broken::NAME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_and_its_ways_are_read() {
        let variant = Variant::parse("mkdir+readers+futures").expect("it is one");
        assert_eq!(variant.scheme, "mkdir", "the scheme comes first");
        assert!(variant.readers && variant.futures && !variant.shared, "the ways come after it: {variant:?}");
        assert_eq!(Variant::parse("ofd+slots3").map(|variant| variant.slots), Ok(Some(3)), "and its slots");
        assert!(Variant::parse("mkdir+wings").is_err(), "there is no such way");
        assert!(Variant::parse("telepathy").is_err(), "there is no such scheme");
    }
}
