//! The words of the command line. Every word is accounted for: one that no chore knows is an error.

use crate::failure::{Failure, Result};

pub(crate) struct Args {
    words: std::vec::IntoIter<String>,
}

impl Args {
    pub(crate) fn from_env() -> Self {
        Self::new(std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect())
    }

    fn new(words: Vec<String>) -> Self {
        Self { words: words.into_iter() }
    }

    pub(crate) fn next(&mut self) -> Option<String> {
        self.words.next()
    }

    /// The value that must follow `option`.
    pub(crate) fn value(&mut self, option: &str) -> Result<String> {
        self.next().ok_or_else(|| Failure::usage(format!("`{option}` needs a value")))
    }

    /// Everything after a `--`, which must be the next word if there is one.
    pub(crate) fn passed_on(mut self) -> Result<Vec<String>> {
        match self.next().as_deref() {
            None => Ok(Vec::new()),
            Some("--") => Ok(self.words.collect()),
            Some(other) => Err(Self::unknown(other)),
        }
    }

    /// Fails if a word is left.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.next().map_or(Ok(()), |word| Err(Self::unknown(&word)))
    }

    pub(crate) fn unknown(word: &str) -> Failure {
        Failure::usage(format!("`{word}` is not understood here"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> Args {
        Args::new(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn only_the_first_double_dash_is_ours() {
        let passed_on =
            args(&["--", "-p", "pathlock", "--", "--nocapture"]).passed_on().expect("well formed");
        assert_eq!(
            passed_on,
            ["-p", "pathlock", "--", "--nocapture"],
            "the second `--` belongs to `cargo test`"
        );
    }

    #[test]
    fn a_word_that_nobody_knows_is_an_error() {
        assert!(args(&["-p"]).passed_on().is_err(), "words for `cargo test` must come after `--`");
        assert!(args(&["-p"]).finish().is_err(), "a chore without options takes none");
        assert!(args(&[]).finish().is_ok(), "nothing is left");
    }
}
