//! What the menu says: names, words in each language, and what kind of thing each is, for tones.

use crate::base::language::Language;

/// What a prompt is, where there are tones instead of words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Something is asked.
    Ask,
    /// Something was done.
    Accepted,
    /// Something was refused.
    Refused,
    /// The end.
    Goodbye,
    /// A digit.
    Digit(u8),
}

macro_rules! prompts {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $kind:ident;)*) => {
        /// Something that the menu says.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Prompt {
            $($(#[$doc])* $variant,)*
            /// A digit of a number that is told.
            Digit(u8),
        }

        impl Prompt {
            /// Those that are no digits.
            const WORDS: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name: that of its file, and in the table of texts.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Digit(digit) => DIGITS[digit as usize % 10],
                }
            }

            /// What kind of thing it is.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self {
                    $(Self::$variant => Kind::$kind,)*
                    Self::Digit(digit) => Kind::Digit(digit % 10),
                }
            }
        }
    };
}

prompts! {
    /// Which extension?
    Extension = "extension", Ask;
    /// Which PIN?
    Pin = "pin", Ask;
    /// 1, 2 or 3?
    Choices = "choices", Ask;
    /// Which new PIN?
    NewPin = "new_pin", Ask;
    /// The same once more?
    Again = "again", Ask;
    /// Which station?
    Station = "station", Ask;
    /// The PIN is set.
    PinSet = "pin_set", Accepted;
    /// The agent is logged in.
    LoggedIn = "logged_in", Accepted;
    /// The agent is logged out.
    LoggedOut = "logged_out", Accepted;
    /// Nobody was logged in.
    NobodyThere = "nobody_there", Refused;
    /// That was not right.
    Wrong = "wrong", Refused;
    /// The two new PINs differ.
    Differ = "differ", Refused;
    /// A PIN has 6 to 10 digits.
    PinLength = "pin_length", Refused;
    /// A PIN that is a run or a repetition.
    PinSimple = "pin_simple", Refused;
    /// There is no such station.
    StationUnknown = "station_unknown", Refused;
    /// Its phone is not registered.
    StationSilent = "station_silent", Refused;
    /// Another agent is there, whose number follows.
    StationTaken = "station_taken", Refused;
    /// It cannot be done now.
    Unavailable = "unavailable", Refused;
    /// Goodbye.
    Goodbye = "goodbye", Goodbye;
}

/// The names of digits.
const DIGITS: [&str; 10] = [
    "digit_0", "digit_1", "digit_2", "digit_3", "digit_4", "digit_5", "digit_6", "digit_7", "digit_8",
    "digit_9",
];

impl Prompt {
    /// Every prompt.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::WORDS.iter().copied().chain((0..10).map(Self::Digit))
    }
}

/// The table of texts of a language: lines of `NAME<TAB>TEXT`, a line for each prompt.
#[must_use]
pub const fn texts(language: Language) -> &'static str {
    match language {
        Language::English => include_str!("texts/en.tsv"),
        Language::French => include_str!("texts/fr.tsv"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prompt_has_a_name_and_a_text_in_each_language() {
        let names: Vec<_> = Prompt::all().map(Prompt::name).collect();
        for language in Language::ALL {
            let rows: Vec<_> = texts(language).lines().map(|line| line.split_once('\t').unwrap()).collect();
            assert_eq!(rows.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names, "{language:?}");
            assert!(rows.iter().all(|(_, text)| text.ends_with('.')), "{rows:?}");
        }
        assert!(
            Prompt::all()
                .all(|prompt| prompt.name().bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()))
        );
    }
}
