//! Security questions (PRODUCT §2): what is kept of one, and when two answers are the same.
//!
//! People do not remember how they wrote an answer, so case, spaces, punctuation and the accents of Latin
//! letters do not count: `St. John's` is `ST JOHNS`, `Montréal` is `montreal`. Letters of other scripts
//! count as they are, in lower case. The standard library knows no Unicode decomposition, so
//! accents are taken off by a table of the letters that European languages write with them; combining
//! marks are taken off everywhere.

use super::portal::CodeHash;
use crate::base::private::Secret;
use crate::base::time::Wall;
use serde::{Deserialize, Serialize};

/// Fewest letters and digits of an answer.
pub const ANSWER_CHARS_MIN: usize = 3;

/// Longest answer, in characters as they were typed.
pub const ANSWER_CHARS_MAX: usize = 128;

/// Longest question, in characters.
pub const QUESTION_CHARS_MAX: usize = 128;

/// A question and what is kept of its answer.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// As its person wrote it.
    pub text: String,
    /// Keyed hash of the normalised answer, bound to its extension and to when it was set.
    pub hash: CodeHash,
    /// When it was set.
    pub set_at: Wall,
}

/// Why a question or its answer will not do.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum QuestionFault {
    /// Nothing is asked.
    #[error("the question is empty")]
    Empty,
    /// It is too long.
    #[error("the question is longer than {QUESTION_CHARS_MAX} characters")]
    TooLong,
    /// It cannot be shown.
    #[error("the question has control characters")]
    Control,
    /// So little is guessed at once.
    #[error("the answer needs at least {ANSWER_CHARS_MIN} letters or digits")]
    AnswerTooShort,
    /// It is too long.
    #[error("the answer is longer than {ANSWER_CHARS_MAX} characters")]
    AnswerTooLong,
    /// The question gives the answer away.
    #[error("the answer stands in the question")]
    AnswerInQuestion,
}

impl QuestionFault {
    /// Which of the two is at fault, as a field is called.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Empty | Self::TooLong | Self::Control => "question",
            Self::AnswerTooShort | Self::AnswerTooLong | Self::AnswerInQuestion => "answer",
        }
    }
}

/// Whether a question with this answer will do.
///
/// # Errors
/// Everything that is wrong with them.
pub fn check(question: &str, answer: &str) -> Result<(), Vec<QuestionFault>> {
    use QuestionFault as F;
    let normal = normalised(answer);
    let letters = normal.expose().chars().count();
    let in_question =
        letters >= ANSWER_CHARS_MIN && normalised(question).expose().contains(normal.expose().as_str());
    let faults: Vec<_> = [
        (question.trim().is_empty(), F::Empty),
        (question.chars().count() > QUESTION_CHARS_MAX, F::TooLong),
        (question.chars().any(char::is_control), F::Control),
        (letters < ANSWER_CHARS_MIN, F::AnswerTooShort),
        (answer.chars().count() > ANSWER_CHARS_MAX, F::AnswerTooLong),
        (in_question, F::AnswerInQuestion),
    ]
    .into_iter()
    .filter(|(wrong, _)| *wrong)
    .map(|(_, fault)| fault)
    .collect();
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// An answer without what does not count. Normalising it again changes nothing.
#[must_use]
pub fn normalised(answer: &str) -> Secret<String> {
    let mut out = String::with_capacity(answer.len().min(4 * ANSWER_CHARS_MAX) + 16);
    // No more than would be refused: a stranger may send any length.
    for char in answer.chars().take(ANSWER_CHARS_MAX + 1).flat_map(char::to_lowercase) {
        match plain(char) {
            Some(letters) => out.push_str(letters),
            None if char.is_alphanumeric() => out.push(char),
            None => {}
        }
    }
    Secret::new(out)
}

/// What a lower-case letter is without its accents; `None` if it has none that we know.
const fn plain(char: char) -> Option<&'static str> {
    Some(match char {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' | 'ǎ' | 'ạ' | 'ả' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' | 'ẹ' | 'ẻ' => "e",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'ĥ' | 'ħ' => "h",
        'ì' | 'í' | 'î' | 'ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' | 'ị' => "i",
        'ĵ' => "j",
        'ķ' => "k",
        'ĺ' | 'ļ' | 'ľ' | 'ŀ' | 'ł' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' | 'ŏ' | 'ő' | 'ơ' | 'ọ' => "o",
        'œ' => "oe",
        'ŕ' | 'ŗ' | 'ř' => "r",
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' | 'ſ' => "s",
        'ß' => "ss",
        'ţ' | 'ť' | 'ŧ' | 'ț' => "t",
        'þ' => "th",
        'ù' | 'ú' | 'û' | 'ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' | 'ư' | 'ụ' => "u",
        'ŵ' => "w",
        'ý' | 'ÿ' | 'ŷ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        // Combining marks, some of which count as letters elsewhere.
        '\u{300}'..='\u{36f}' => "",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    #[test]
    fn answers_that_people_mean_to_be_the_same_are() {
        for (one, other, same) in [
            ("Rex", "rex", true),
            ("  Rex ", "REX", true),
            ("St. John's", "st johns", true),
            ("Montréal", "montreal", true),
            ("MONTRÉAL", "Montre\u{301}al", true),
            ("Jörg Weiß", "jorg weiss", true),
            ("Œuvre", "oeuvre", true),
            ("Łódź", "lodz", true),
            ("12-34", "1234", true),
            ("Москва", "москва ", true),
            ("İstanbul", "istanbul", true),
            ("東京", "東京", true),
            ("Rex", "Max", false),
            ("Москва", "Moskva", false),
            ("12", "21", false),
        ] {
            assert_eq!(normalised(one) == normalised(other), same, "{one:?} {other:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_question_is_all_said() {
        use QuestionFault as F;
        let long = "x".repeat(QUESTION_CHARS_MAX + 1);
        for (question, answer, faults) in [
            ("First pet?", "Rex", vec![]),
            (&long[1..], &long[1..4], vec![F::AnswerInQuestion]),
            (" ", "Rex", vec![F::Empty]),
            (&long, "Rex", vec![F::TooLong]),
            ("First\u{7}pet?", "Rex", vec![F::Control]),
            ("First pet?", "R.x", vec![F::AnswerTooShort]),
            ("First pet?", "", vec![F::AnswerTooShort]),
            ("Is it Rex?", "REX", vec![F::AnswerInQuestion]),
            ("", "!", vec![F::Empty, F::AnswerTooShort]),
        ] {
            assert_eq!(check(question, answer).err().unwrap_or_default(), faults, "{question:?} {answer:?}");
        }
        let (at, past) = ("y".repeat(ANSWER_CHARS_MAX), "y".repeat(ANSWER_CHARS_MAX + 1));
        assert_eq!(check("First pet?", &at), Ok(()));
        assert_eq!(check("First pet?", &past), Err(vec![F::AnswerTooLong]));
    }

    #[test]
    fn an_answer_shows_nowhere() {
        assert_eq!(format!("{:?}", normalised("Rex")), "<secret>");
    }

    proptest! {
        #[test]
        fn normalising_again_changes_nothing(answer in any::<String>()) {
            let once = normalised(&answer);
            let cut: String = once.expose().chars().take(ANSWER_CHARS_MAX).collect();
            let again = normalised(&cut);
            prop_assert_eq!(again.expose(), &cut);
        }
    }
}
