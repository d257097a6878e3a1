//! What the phone menu says: words from files, and tones where there are none.
//!
//! A folder has a folder for each language (`en`, `fr`) with a file for each prompt (`pin.wav`). What is
//! missing in a language is said in the default one, and what is missing there is a tone.

use super::wav::{WavError, samples};
use crate::base::language::Language;
use crate::base::limit;
use crate::menu::{Kind, Prompt, Says};
use crate::rtp::endpoint::Clip;
use crate::rtp::tone::{Note, melody};
use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Silence between two prompts, in samples: 150 ms.
const PAUSE: usize = 1_200;

/// Files of one language that are looked at.
const FILES_MAX: usize = 1_000;

/// Why a file, or the folder, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is longer than [`limit::PROMPT_BYTES_MAX`].
    #[error("is longer than {} bytes", limit::PROMPT_BYTES_MAX)]
    TooLong,
    /// It cannot be played.
    #[error(transparent)]
    Wav(#[from] WavError),
    /// There is no such prompt.
    #[error("is the name of no prompt; `stationmaster menu texts` tells them")]
    NoPrompt,
    /// The folder has nothing of ours.
    #[error("has neither a folder en nor fr")]
    Nothing,
}

/// What is wrong with a folder, file by file.
#[derive(Debug)]
pub struct PromptFault(pub Vec<(PathBuf, PromptError)>);

impl fmt::Display for PromptFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (path, error)) in self.0.iter().enumerate() {
            write!(f, "{}{} {error}", if at > 0 { "; " } else { "" }, path.display())?;
        }
        Ok(())
    }
}

impl std::error::Error for PromptFault {}

/// Every prompt, ready to be played.
pub struct Library {
    words: HashMap<(&'static str, Prompt), Clip>,
    tones: HashMap<Prompt, Clip>,
    pause: Clip,
    language: Language,
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Library({} clips)", self.words.len())
    }
}

impl Library {
    /// Tones alone.
    #[must_use]
    pub fn tones() -> Self {
        let tones = Prompt::all().map(|prompt| (prompt, melody(&notes(prompt.kind())).into()));
        let pause = vec![0; PAUSE].into();
        Self { words: HashMap::new(), tones: tones.collect(), pause, language: Language::default() }
    }

    /// The words of a folder; `language` is the default one.
    ///
    /// # Errors
    /// Every file that cannot be used, and why.
    pub fn load(folder: &Path, language: Language) -> Result<Self, PromptFault> {
        let mut library = Self { language, ..Self::tones() };
        let mut faults = Vec::new();
        let mut any = false;
        for language in Language::ALL {
            let folder = folder.join(language.code());
            match files(&folder) {
                Ok(files) => {
                    any = true;
                    for path in files {
                        match load(&path) {
                            Ok((prompt, clip)) => drop(library.words.insert((language.code(), prompt), clip)),
                            Err(error) => faults.push((path, error)),
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => faults.push((folder, error.into())),
            }
        }
        if !any && faults.is_empty() {
            faults.push((folder.to_owned(), PromptError::Nothing));
        }
        if faults.is_empty() { Ok(library) } else { Err(PromptFault(faults)) }
    }

    /// The clips of what is said, with a pause before each but the first.
    #[must_use]
    pub fn clips(&self, says: &Says, language: Option<Language>) -> Vec<Clip> {
        let language = language.unwrap_or(self.language);
        let mut clips = Vec::with_capacity(says.len() * 2);
        for prompt in says {
            let of = |language: Language| self.words.get(&(language.code(), *prompt));
            let clip = of(language).or_else(|| of(self.language)).or_else(|| self.tones.get(prompt));
            if !clips.is_empty() {
                clips.push(Arc::clone(&self.pause));
            }
            clips.extend(clip.cloned());
        }
        clips
    }
}

/// The sound files of a folder, in the order of their names.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?.take(FILES_MAX);
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths?;
    paths.retain(|path| path.extension().is_some_and(|end| end.eq_ignore_ascii_case("wav")));
    paths.sort();
    Ok(paths)
}

fn load(path: &Path) -> Result<(Prompt, Clip), PromptError> {
    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let prompt = Prompt::all().find(|prompt| prompt.name() == name).ok_or(PromptError::NoPrompt)?;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(limit::PROMPT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit::PROMPT_BYTES_MAX {
        return Err(PromptError::TooLong);
    }
    Ok((prompt, samples(&bytes)?.into()))
}

/// The tones of a kind of prompt: a question rises, a yes is two high ones, a no is low and long, goodbye
/// falls; a digit is so many short ones, ten for 0.
fn notes(kind: Kind) -> Vec<Note> {
    match kind {
        Kind::Ask => vec![(440, 150), (660, 150)],
        Kind::Accepted => vec![(880, 120), (0, 60), (880, 120)],
        Kind::Refused => vec![(220, 500)],
        Kind::Goodbye => vec![(660, 150), (520, 150), (390, 250)],
        Kind::Digit(digit) => {
            let beeps = if digit == 0 { 10 } else { usize::from(digit) };
            [(1_000, 60), (0, 90)].repeat(beeps)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(prompts: &[Prompt]) -> Says {
        prompts.iter().copied().collect()
    }

    fn write(folder: &Path, name: &str, length: usize) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file =
            b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data".to_vec();
        file.extend(u32::try_from(length * 2).unwrap().to_le_bytes());
        file.extend(vec![1; length * 2]);
        std::fs::write(path, file).unwrap();
    }

    #[test]
    fn tones_tell_the_kinds_apart() {
        let library = Library::tones();
        let of = |prompt| library.clips(&says(&[prompt]), None);
        let kinds = [Prompt::Pin, Prompt::PinSet, Prompt::Wrong, Prompt::Goodbye, Prompt::Digit(2)].map(of);
        for (at, one) in kinds.iter().enumerate() {
            assert!(one.len() == 1 && one[0].iter().any(|sample| *sample != 0));
            assert!(kinds.iter().skip(at + 1).all(|other| other != one));
        }
        assert_eq!(of(Prompt::Pin), of(Prompt::Extension));
        let both = library.clips(&says(&[Prompt::Wrong, Prompt::Pin]), Some(Language::French));
        assert_eq!(both.iter().map(|clip| clip.len()).collect::<Vec<_>>(), [4_000, PAUSE, 2_400]);
    }

    #[test]
    fn words_are_of_the_language_else_of_the_default_one_else_tones() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "en/pin.wav", 10);
        write(folder.path(), "en/wrong.wav", 20);
        write(folder.path(), "fr/pin.WAV", 30);
        std::fs::write(folder.path().join("fr/README"), "not a prompt").unwrap();
        let library = Library::load(folder.path(), Language::English).unwrap();
        let length = |prompt, language| library.clips(&says(&[prompt]), language)[0].len();
        assert_eq!(length(Prompt::Pin, None), 10);
        assert_eq!(length(Prompt::Pin, Some(Language::French)), 30);
        assert_eq!(length(Prompt::Wrong, Some(Language::French)), 20);
        assert_eq!(length(Prompt::Goodbye, Some(Language::French)), 4_400);
    }

    #[test]
    fn each_fault_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let fault = |folder: &Path| Library::load(folder, Language::English).unwrap_err().to_string();
        assert!(fault(folder.path()).ends_with("has neither a folder en nor fr"));
        write(folder.path(), "en/pim.wav", 10);
        let header = 44;
        let most = usize::try_from(limit::PROMPT_BYTES_MAX).unwrap() / 2 - header / 2;
        write(folder.path(), "en/wrong.wav", most);
        write(folder.path(), "en/pin.wav", most + 1);
        std::fs::write(folder.path().join("en/again.wav"), "RIFF").unwrap();
        let told = fault(folder.path());
        for part in [
            "en/again.wav is no WAV file",
            "en/pim.wav is the name of no prompt",
            "en/pin.wav is longer than 1000000 bytes",
        ] {
            assert!(told.contains(part), "{told}");
        }
        assert!(!told.contains("wrong.wav"), "{told}");
    }
}
