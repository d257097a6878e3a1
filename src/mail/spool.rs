//! The spool: a folder in which each message is a file, for another program to send and remove, as in
//! `for mail in *.eml; do sendmail -t < "$mail" && rm "$mail"; done`.
//!
//! A file appears whole or not at all: it is written under a name that begins with a dot, synced, and
//! then renamed. Only its owner reads it, since it may hold a link that counts as a password.

use super::CarryError;
use crate::base::limit;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// A spool; clones are the same one.
#[derive(Clone, Debug)]
pub struct Spool {
    folder: PathBuf,
    /// How many files there may be at most: counted now and then, and one more for each since.
    files: Arc<Mutex<Option<usize>>>,
}

impl Spool {
    /// The spool in this folder, which is made when it is first needed.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, files: Arc::default() }
    }

    /// Puts a message under a name; durable when it returns. Blocks.
    ///
    /// # Errors
    /// [`CarryError::SpoolFull`] past [`limit::SPOOL_FILES_MAX`]; whatever the system says.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<(), CarryError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        self.take_place()?;
        let (draft, place) =
            (self.folder.join(format!(".{name}.new")), self.folder.join(format!("{name}.eml")));
        // A draft that a crash left has the same name, and is written anew.
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, &place)?;
        File::open(&self.folder)?.sync_all()?;
        Ok(())
    }

    fn take_place(&self) -> Result<(), CarryError> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let mut count = files.unwrap_or(usize::MAX);
        if count >= limit::SPOOL_FILES_MAX {
            count = fs::read_dir(&self.folder)?.count();
        }
        if count >= limit::SPOOL_FILES_MAX {
            return Err(CarryError::SpoolFull(count));
        }
        *files = Some(count + 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_message_appears_whole_for_its_owner_alone_and_twice_is_once() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("a/mail");
        let spool = Spool::new(folder.clone());
        spool.put("1-200-acme", b"first").unwrap();
        fs::write(folder.join(".1-200-acme.new"), "left by a crash").unwrap();
        spool.put("1-200-acme", b"again").unwrap();
        spool.put("2-200-acme", b"other").unwrap();
        let mut names: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["1-200-acme.eml", "2-200-acme.eml"]);
        assert_eq!(fs::read(folder.join("1-200-acme.eml")).unwrap(), b"again");
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(folder.join("1-200-acme.eml")), mode(folder.clone())), (0o600, 0o700));
    }

    #[test]
    fn a_full_spool_takes_again_once_it_was_emptied() {
        let place = tempfile::tempdir().unwrap();
        let spool = Spool::new(place.path().to_owned());
        let set = |files| *spool.files.lock().unwrap() = Some(files);
        set(limit::SPOOL_FILES_MAX - 1);
        spool.put("last", b"x").unwrap();
        // It believes itself full, looks, and finds that it is not.
        spool.put("one more", b"x").unwrap();
        assert_eq!(*spool.files.lock().unwrap(), Some(2));
    }

    #[test]
    fn a_folder_that_cannot_be_is_told() {
        let place = tempfile::NamedTempFile::new().unwrap();
        assert!(Spool::new(place.path().join("mail")).put("1", b"x").is_err());
    }
}
