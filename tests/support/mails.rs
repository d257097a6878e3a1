//! Mails in a spool.

use super::until;
use std::fs;
use std::path::{Path, PathBuf};

/// The messages in a spool, the oldest first.
pub(crate) fn files(spool: &Path) -> Vec<PathBuf> {
    let Ok(files) = fs::read_dir(spool) else { return Vec::new() };
    let mut files: Vec<_> = files
        .map(|file| file.unwrap().path())
        .filter(|file| file.extension().is_some_and(|end| end == "eml"))
        .collect();
    files.sort();
    files
}

/// The mails of a spool once there are so many, the oldest first.
pub(crate) fn mails(spool: &Path, count: usize) -> Vec<String> {
    until("the mails are in the spool", || (files(spool).len() == count).then_some(()));
    files(spool).iter().map(|file| fs::read_to_string(file).unwrap()).collect()
}
