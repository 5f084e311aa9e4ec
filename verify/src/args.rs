//! Arguments: a word that says what to do, `--name value` pairs, and flags.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// The arguments after the first word.
#[derive(Debug)]
pub struct Args {
    values: HashMap<String, OsString>,
    flags: Vec<String>,
}

impl Args {
    /// Takes `words` apart: those in `flags` have no value.
    ///
    /// # Errors
    /// When a word is no option, or an option has no value.
    pub fn parse(words: impl IntoIterator<Item = OsString>, flags: &[&str]) -> Result<Args, String> {
        let mut words = words.into_iter();
        let mut args = Args { values: HashMap::new(), flags: Vec::new() };
        while let Some(word) = words.next() {
            let name = word.to_str().and_then(|word| word.strip_prefix("--"));
            let name = name.ok_or_else(|| format!("{word:?} is no option"))?.to_owned();
            if flags.contains(&name.as_str()) {
                args.flags.push(name);
            } else {
                let value = words.next().ok_or_else(|| format!("`--{name}` needs a value"))?;
                args.values.insert(name, value);
            }
        }
        Ok(args)
    }

    /// Whether the flag was given.
    #[must_use]
    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|given| given == flag)
    }

    /// The value of an option that must be given.
    ///
    /// # Errors
    /// When it was not.
    pub fn path(&self, name: &str) -> Result<PathBuf, String> {
        self.values.get(name).map(PathBuf::from).ok_or_else(|| format!("`--{name}` is missing"))
    }

    /// The value of an option that must be given, as text.
    ///
    /// # Errors
    /// When it was not, or is no text.
    pub fn text(&self, name: &str) -> Result<String, String> {
        self.path(name)?.to_str().map(str::to_owned).ok_or_else(|| format!("`--{name}`: text is needed"))
    }

    /// The value of an option as a number; `default` where it was not given.
    ///
    /// # Errors
    /// When it is no number.
    pub fn number(&self, name: &str, default: u64) -> Result<u64, String> {
        match self.values.get(name) {
            None => Ok(default),
            Some(value) => {
                let number = value.to_str().and_then(|value| value.parse().ok());
                number.ok_or_else(|| format!("`--{name} {}`: a number is needed", value.display()))
            }
        }
    }
}
