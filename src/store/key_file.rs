//! The key file: the key under which the store's secrets are sealed, outside of the store.
//!
//! ```text
//! # Comments and empty lines are skipped.
//! id 3f9a12c4
//! key 64 hex digits
//! ```
//!
//! | store holds credentials | file | what is done |
//! |-------------------------|------|--------------|
//! | no  | missing   | it is made: 0600, synced with its folder before first use |
//! | yes | missing   | error that names the key wanted |
//! | yes | other key | error that names both |
//! | any | readable by group or others, or malformed | error |
//! | else |  | its key is used |
//!
//! It never changes a file that exists. The caller exits with 78 on any of the errors.

use super::limit::KEY_FILE_BYTES_MAX;
use super::seal::{KeyId, Sealer};
use crate::base::private::Secret;
use crate::base::rng::Rng;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Where the key is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyFile {
    /// The file.
    pub path: PathBuf,
    /// Whether it is a systemd credential: then systemd guards it (its mode may show an access
    /// list's mask as group bits), and it is never made.
    pub credential: bool,
}

/// Why there is no key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyFileError {
    /// It is not there, and the store holds credentials sealed with it.
    #[error("the key file {path} is missing; the store's credentials need key {wanted}: put that file back")]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// The key's id.
        wanted: KeyId,
    },
    /// It holds another key than the store's credentials need.
    #[error("the key file {path} holds key {found}; the store's credentials need key {wanted}")]
    Other {
        /// Where.
        path: PathBuf,
        /// The key in it.
        found: KeyId,
        /// The key needed.
        wanted: KeyId,
    },
    /// Others than its owner may read or change it.
    #[error("the key file {path} is open to others (mode {mode:04o}): chmod 600 it")]
    Open {
        /// Where.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is no key file.
    #[error("{path} is no key file: {reason}")]
    Malformed {
        /// Where.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// It can be neither read nor made.
    #[error("the key file {path}: {reason}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system says.
        reason: Box<str>,
    },
}

impl KeyFile {
    /// The sealer of its key. `wanted` is the key of the credentials that the store holds, `None`
    /// if it holds none; only then a missing file is made, with a key from `rng`. Blocks.
    ///
    /// # Errors
    /// [`KeyFileError`], as in the table above.
    pub fn sealer(&self, wanted: Option<KeyId>, rng: &mut Rng) -> Result<Sealer, KeyFileError> {
        let path = || self.path.clone();
        match self.read() {
            Ok(Some(key)) => match (KeyId::of(&key), wanted) {
                (found, Some(wanted)) if found != wanted => {
                    Err(KeyFileError::Other { path: path(), found, wanted })
                }
                _ => Ok(Sealer::new(&key)),
            },
            Ok(None) => match wanted {
                Some(wanted) => Err(KeyFileError::Missing { path: path(), wanted }),
                None if self.credential => Err(self.io(&io::ErrorKind::NotFound.into())),
                None => self.make(rng).map_err(|error| self.io(&error)),
            },
            Err(error) => Err(error),
        }
    }

    /// The key in the file; `None` if there is no file.
    fn read(&self) -> Result<Option<Secret<[u8; 32]>>, KeyFileError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.io(&error)),
        };
        let meta = file.metadata().map_err(|error| self.io(&error))?;
        let mode = meta.mode() & 0o7777;
        if mode & 0o077 != 0 && !self.credential {
            return Err(KeyFileError::Open { path: self.path.clone(), mode });
        }
        let mut text = Zeroizing::new(String::new());
        file.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text).map_err(|error| self.io(&error))?;
        let malformed = |reason| KeyFileError::Malformed { path: self.path.clone(), reason };
        parse(&text).map(Some).map_err(malformed)
    }

    /// Makes it. It appears under its name whole or not at all, and never replaces one.
    fn make(&self, rng: &mut Rng) -> io::Result<Sealer> {
        let mut bytes = [0; 32];
        rng.fill(&mut bytes);
        let key = Secret::new(bytes);
        let draft = self.draft();
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(text(&key).as_bytes())?;
        file.sync_all()?;
        let linked = fs::hard_link(&draft, &self.path);
        fs::remove_file(&draft)?;
        linked?;
        let folder = self.path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
        Ok(Sealer::new(&key))
    }

    fn draft(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        name.into()
    }

    fn io(&self, error: &io::Error) -> KeyFileError {
        KeyFileError::Io { path: self.path.clone(), reason: error.to_string().into() }
    }
}

fn text(key: &Secret<[u8; 32]>) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(256));
    text.push_str(
        "# Stationmaster's key file. Without it no password in the store can be read: keep a copy of\n",
    );
    text.push_str("# it, apart from the copies of the store.\n");
    let _ = writeln!(text, "id {}", KeyId::of(key));
    text.push_str("key ");
    for byte in key.expose() {
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    text
}

fn parse(text: &str) -> Result<Secret<[u8; 32]>, &'static str> {
    let (mut id, mut key) = (None, None);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.split_once(' ') {
            Some(("id", value)) if id.is_none() => id = Some(value),
            Some(("key", value)) if key.is_none() => key = Some(value),
            _ => return Err("it has a line that is neither `id` nor `key`, or one of them twice"),
        }
    }
    let (Some(id), Some(key)) = (id, key) else { return Err("it needs a line `id` and a line `key`") };
    let key = unhex(key.trim()).ok_or("its key is not of 64 hex digits")?;
    if KeyId::of(&key).to_string() != id.trim() {
        return Err("its id does not belong to its key");
    }
    Ok(key)
}

fn unhex(text: &str) -> Option<Secret<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    if text.len() != 64 {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
        *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
    }
    Some(Secret::new(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file(folder: &tempfile::TempDir) -> KeyFile {
        KeyFile { path: folder.path().join("key"), credential: false }
    }

    #[test]
    fn it_is_made_once_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder);
        std::fs::write(file.draft(), "left by a crash").unwrap();
        let made = file.sealer(None, &mut Rng::from_number(1)).unwrap().key_id();
        assert_eq!(fs::metadata(&file.path).unwrap().mode() & 0o7777, 0o600);
        assert!(!file.draft().exists());
        for wanted in [None, Some(made)] {
            assert_eq!(file.sealer(wanted, &mut Rng::from_number(2)).unwrap().key_id(), made);
        }
    }

    #[test]
    fn a_missing_or_other_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder);
        let wanted = KeyId::of(&Secret::new([7; 32]));
        let missing = file.sealer(Some(wanted), &mut Rng::from_number(1)).unwrap_err();
        assert_eq!(missing, KeyFileError::Missing { path: file.path.clone(), wanted });
        assert!(missing.to_string().contains(&wanted.to_string()), "{missing}");
        assert!(!file.path.exists(), "it is not made");
        let found = file.sealer(None, &mut Rng::from_number(1)).unwrap().key_id();
        let other = file.sealer(Some(wanted), &mut Rng::from_number(1)).unwrap_err();
        assert_eq!(other, KeyFileError::Other { path: file.path.clone(), found, wanted });
    }

    #[test]
    fn one_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder);
        file.sealer(None, &mut Rng::from_number(1)).unwrap();
        for (mode, good) in
            [(0o400, true), (0o600, true), (0o700, true), (0o640, false), (0o604, false), (0o620, false)]
        {
            fs::set_permissions(&file.path, fs::Permissions::from_mode(mode)).unwrap();
            let opened = file.sealer(None, &mut Rng::from_number(1)).map(drop);
            let refused = KeyFileError::Open { path: file.path.clone(), mode };
            assert_eq!(opened, if good { Ok(()) } else { Err(refused) }, "{mode:o}");
            let credential = KeyFile { credential: true, ..file.clone() };
            assert!(credential.sealer(None, &mut Rng::from_number(1)).is_ok());
        }
    }

    #[test]
    fn a_credential_or_a_missing_folder_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let credential = KeyFile { credential: true, ..file(&folder) };
        assert!(matches!(credential.sealer(None, &mut Rng::from_number(1)), Err(KeyFileError::Io { .. })));
        let nowhere = KeyFile { path: folder.path().join("no/key"), credential: false };
        assert!(matches!(nowhere.sealer(None, &mut Rng::from_number(1)), Err(KeyFileError::Io { .. })));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn forms() {
        let good = text(&Secret::new([0xab; 32])).to_string();
        for good in [good.clone(), good.replace("ab", "AB").replace('\n', " \r\n\r\n")] {
            assert_eq!(parse(&good), Ok(Secret::new([0xab; 32])), "{good}");
        }
        for bad in [
            String::new(),
            good.replace("id ", "# id "),
            good.replace("key ab", "# key ab"),
            good.replace("abab", "ab"),
            good.replacen("abab", "abac", 1),
            good.replacen("abab", "abxx", 1),
            good.replacen("abab", "ab+b", 1),
            format!("{good}id 00000000\n"),
            format!("{good}more\n"),
            good.replace('a', "ä"),
        ] {
            assert!(parse(&bad).is_err(), "{bad}");
        }
    }
}
