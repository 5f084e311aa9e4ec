//! Where things are: the root of the checkout and cargo's target directory.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Failure, Result};

pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Asks cargo's environment, not the place where this program was compiled: a checkout may be moved.
    pub(crate) fn find() -> Result<Self> {
        let crate_dir = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let root = crate_dir.and_then(|dir| dir.parent().map(Path::to_owned)).ok_or_else(|| {
            Failure::new("CARGO_MANIFEST_DIR is not set: run this program as `cargo xtask`")
        })?;
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => std::path::absolute(&dir)
                .map_err(|error| Failure::new(format!("CARGO_TARGET_DIR={}: {error}", dir.display())))?,
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The cargo that runs us, in the root of the checkout.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.root);
        cargo
    }
}
