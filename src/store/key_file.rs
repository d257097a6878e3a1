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
//! While the key is changed there are two pairs of lines, the new key first: it seals, and both open. The
//! file is changed only by [`KeyFile::add`] and [`KeyFile::keep`], which replace it as a whole. The caller
//! exits with 78 on any of the errors.

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
    /// The keys come from systemd, which alone can change them.
    #[error(
        "the key file {path} is a systemd credential: put a second pair of lines `id` and `key` before the first \
         one there, and start the server again"
    )]
    Credential {
        /// Where.
        path: PathBuf,
    },
    /// There are two keys already: what was sealed with the former is still being sealed anew.
    #[error("the key file {path} has a former key still; wait until everything is sealed with the new one")]
    UnderWay {
        /// Where.
        path: PathBuf,
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
            Ok(Some(keys)) => {
                let found = KeyId::of(&keys.present);
                let former = keys.former.as_ref();
                match wanted {
                    Some(wanted) if found != wanted && former.map(KeyId::of) != Some(wanted) => {
                        Err(KeyFileError::Other { path: path(), found, wanted })
                    }
                    _ => Ok(Sealer::of(&keys.present, former, Some(self.clone()))),
                }
            }
            Ok(None) => match wanted {
                Some(wanted) => Err(KeyFileError::Missing { path: path(), wanted }),
                None if self.credential => Err(self.io(&io::ErrorKind::NotFound.into())),
                None => self.make(rng).map_err(|error| self.io(&error)),
            },
            Err(error) => Err(error),
        }
    }

    /// Puts a new key from `rng` before the present one; it is durable when this returns. Blocks.
    ///
    /// # Errors
    /// [`KeyFileError::Credential`], [`KeyFileError::UnderWay`], or the file cannot be read or replaced;
    /// then it is as it was.
    pub fn add(&self, rng: &mut Rng) -> Result<Secret<[u8; 32]>, KeyFileError> {
        let present = self.own()?;
        if present.former.is_some() {
            return Err(KeyFileError::UnderWay { path: self.path.clone() });
        }
        let mut bytes = [0; 32];
        rng.fill(&mut bytes);
        let key = Secret::new(bytes);
        let keys = KeysInFile { present: key.clone(), former: Some(present.present) };
        self.replace(&keys).map_err(|error| self.io(&error))?;
        Ok(key)
    }

    /// Takes the former key out, if there is one; `present` must be the one before it. Blocks.
    ///
    /// # Errors
    /// As [`add`](Self::add); a systemd credential is left as it is, which is none.
    pub fn keep(&self, present: KeyId) -> Result<(), KeyFileError> {
        if self.credential {
            return Ok(());
        }
        let keys = self.own()?;
        let found = KeyId::of(&keys.present);
        if found != present {
            return Err(KeyFileError::Other { path: self.path.clone(), found, wanted: present });
        }
        if keys.former.is_none() {
            return Ok(());
        }
        let keys = KeysInFile { present: keys.present, former: None };
        self.replace(&keys).map_err(|error| self.io(&error))
    }

    /// The keys of a file that is ours to change.
    fn own(&self) -> Result<KeysInFile, KeyFileError> {
        if self.credential {
            return Err(KeyFileError::Credential { path: self.path.clone() });
        }
        self.read()?.ok_or_else(|| self.io(&io::ErrorKind::NotFound.into()))
    }

    /// Puts another file in its place: under its name stands the old one or the new one, whole.
    fn replace(&self, keys: &KeysInFile) -> io::Result<()> {
        let draft = self.write_draft(keys)?;
        fs::rename(&draft, &self.path)?;
        self.sync_folder()
    }

    /// The keys in the file; `None` if there is no file.
    fn read(&self) -> Result<Option<KeysInFile>, KeyFileError> {
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
        let keys = KeysInFile { present: key.clone(), former: None };
        let draft = self.write_draft(&keys)?;
        let linked = fs::hard_link(&draft, &self.path);
        fs::remove_file(&draft)?;
        linked?;
        self.sync_folder()?;
        Ok(Sealer::of(&key, None, Some(self.clone())))
    }

    fn write_draft(&self, keys: &KeysInFile) -> io::Result<PathBuf> {
        let draft = self.draft();
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(text(keys).as_bytes())?;
        file.sync_all()?;
        Ok(draft)
    }

    fn sync_folder(&self) -> io::Result<()> {
        let folder = self.path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
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

/// What stands in a key file.
#[derive(Clone, Debug, Eq, PartialEq)]
struct KeysInFile {
    present: Secret<[u8; 32]>,
    former: Option<Secret<[u8; 32]>>,
}

fn text(keys: &KeysInFile) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(256));
    text.push_str(
        "# Stationmaster's key file. Without it no password in the store can be read: keep a copy of\n",
    );
    text.push_str("# it, apart from the copies of the store.\n");
    for key in std::iter::once(&keys.present).chain(&keys.former) {
        let _ = writeln!(text, "id {}", KeyId::of(key));
        text.push_str("key ");
        for byte in key.expose() {
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
    }
    text
}

fn parse(text: &str) -> Result<KeysInFile, &'static str> {
    let (mut keys, mut id, mut key) = (Vec::new(), None, None);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.split_once(' ') {
            Some(("id", value)) if id.is_none() => id = Some(value.trim()),
            Some(("key", value)) if key.is_none() => key = Some(value.trim()),
            _ => return Err("it has a line that is neither `id` nor `key`, or one of them twice"),
        }
        if let (Some(named), Some(digits)) = (id, key) {
            let found = unhex(digits).ok_or("its key is not of 64 hex digits")?;
            if KeyId::of(&found).to_string() != named {
                return Err("its id does not belong to its key");
            }
            keys.push(found);
            (id, key) = (None, None);
        }
    }
    let mut keys = keys.into_iter();
    match (keys.next(), keys.next(), keys.next(), id.or(key)) {
        (Some(present), former, None, None) if former.as_ref() != Some(&present) => {
            Ok(KeysInFile { present, former })
        }
        (Some(_), Some(_), Some(_), _) => Err("it has more than two keys"),
        (Some(_), Some(_), None, None) => Err("it has one key twice"),
        _ => Err("it needs a line `id` and a line `key`"),
    }
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
    fn a_new_key_stands_before_the_present_one_until_that_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder);
        let old = file.sealer(None, &mut Rng::from_number(1)).unwrap().key_id();
        let added = KeyId::of(&file.add(&mut Rng::from_number(2)).unwrap());
        assert_eq!(fs::metadata(&file.path).unwrap().mode() & 0o7777, 0o600);
        assert!(!file.draft().exists());
        for wanted in [None, Some(old), Some(added)] {
            let sealer = file.sealer(wanted, &mut Rng::from_number(3)).unwrap();
            assert_eq!((sealer.key_id(), sealer.former_id()), (added, Some(old)), "{wanted:?}");
        }
        let path = file.path.clone();
        assert_eq!(file.add(&mut Rng::from_number(4)), Err(KeyFileError::UnderWay { path: path.clone() }));
        assert!(matches!(file.keep(old), Err(KeyFileError::Other { .. })));
        for _ in 0..2 {
            assert_eq!(file.keep(added), Ok(()));
        }
        let sealer = file.sealer(Some(added), &mut Rng::from_number(3)).unwrap();
        assert_eq!((sealer.key_id(), sealer.former_id()), (added, None));
        assert!(matches!(file.sealer(Some(old), &mut Rng::from_number(3)), Err(KeyFileError::Other { .. })));
        let credential = KeyFile { credential: true, ..file };
        assert_eq!(credential.add(&mut Rng::from_number(4)), Err(KeyFileError::Credential { path }));
        assert_eq!(credential.keep(added), Ok(()));
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
        let (present, former) = (Secret::new([0xab; 32]), Secret::new([0xcd; 32]));
        let one = KeysInFile { present: present.clone(), former: None };
        let good = text(&one).to_string();
        for good in [good.clone(), good.replace("ab", "AB").replace('\n', " \r\n\r\n")] {
            assert_eq!(parse(&good), Ok(one.clone()), "{good}");
        }
        let both = KeysInFile { present, former: Some(former.clone()) };
        assert_eq!(parse(&text(&both)), Ok(both.clone()));
        let other = text(&KeysInFile { present: former, former: None });
        let third = text(&KeysInFile { present: Secret::new([1; 32]), former: None });
        assert_eq!(parse(&format!("{good}{}", &*other)), Ok(both));
        for bad in [
            String::new(),
            good.replace("id ", "# id "),
            good.replace("key ab", "# key ab"),
            good.replace("abab", "ab"),
            good.replacen("abab", "abac", 1),
            good.replacen("abab", "abxx", 1),
            good.replacen("abab", "ab+b", 1),
            format!("{good}{good}"),
            format!("{good}{}{}", &*other, &*third),
            format!("{good}id 00000000\n"),
            format!("{good}more\n"),
            good.replace('a', "ä"),
        ] {
            assert!(parse(&bad).is_err(), "{bad}");
        }
    }
}
