//! Whether what was typed will do: names, addresses, passwords.

use super::Refusal;
use crate::account::password::Policy;
use crate::base::limit;
use crate::mail::address::is_address;

/// Longest name of a tenant or extension, in characters.
const NAME_CHARS_MAX: usize = 128;

/// A name that people see.
pub(super) fn name(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("it is empty".into());
    }
    if text.chars().count() > NAME_CHARS_MAX {
        return Err(format!("it is longer than {NAME_CHARS_MAX} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("it has control characters".into());
    }
    Ok(())
}

/// A name of a device; an empty one gives it its model's back.
pub(super) fn device_name(text: &str) -> Result<(), String> {
    let text = text.trim();
    if text.chars().count() > limit::DEVICE_NAME_CHARS_MAX {
        return Err(format!("it is longer than {} characters", limit::DEVICE_NAME_CHARS_MAX));
    }
    if text.is_empty() { Ok(()) } else { name(text) }
}

/// An address that mail may be sent to; whether anybody reads it is another question.
pub(super) fn email(text: &str) -> Result<(), String> {
    if is_address(text) { Ok(()) } else { Err(format!("{text:?} is no e-mail address")) }
}

/// A password under a tenant's policy.
pub(in crate::service) fn password(policy: Policy, text: &str, login: &str) -> Result<(), Refusal> {
    policy
        .check(text, login)
        .map_err(|refused| Refusal::WeakPassword(refused.0.iter().map(ToString::to_string).collect()))
}

/// The refusal of an argument.
pub(super) fn bad(what: &str, reason: String) -> Refusal {
    Refusal::BadValue { what: what.to_owned(), reason }
}

/// What is wrong with the fields of one request: all of it is told at once.
#[derive(Default)]
pub(super) struct Faults(Vec<Refusal>);

impl Faults {
    /// What was judged, if it is good; else its fault is kept.
    ///
    /// # Errors
    /// A refusal that is not of a field: there is nothing more to judge.
    pub(super) fn judge<T>(&mut self, judged: Result<T, Refusal>) -> Result<Option<T>, Refusal> {
        match judged {
            Ok(good) => Ok(Some(good)),
            Err(fault @ (Refusal::BadValue { .. } | Refusal::BadFields(_) | Refusal::WeakPassword(_))) => {
                self.0.push(fault);
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Keeps the fault of something that needs no store.
    pub(super) fn note(&mut self, judged: Result<(), Refusal>) {
        self.0.extend(judged.err());
    }

    /// Goes on if there was none.
    ///
    /// # Errors
    /// The only fault as it is, several as [`Refusal::BadFields`].
    pub(super) fn end(mut self) -> Result<(), Refusal> {
        match self.0.pop() {
            None => Ok(()),
            Some(only) if self.0.is_empty() => Err(only),
            Some(last) => {
                self.0.push(last);
                Err(Refusal::BadFields(self.fields()))
            }
        }
    }

    /// Each fault with its field.
    pub(super) fn fields(self) -> Vec<(String, String)> {
        let of = |fault| match fault {
            Refusal::BadValue { what, reason } => vec![(what, reason)],
            Refusal::BadFields(fields) => fields,
            Refusal::WeakPassword(rules) => {
                rules.into_iter().map(|rule| ("password".to_owned(), rule)).collect()
            }
            other => vec![(String::new(), other.to_string())],
        };
        self.0.into_iter().flat_map(of).collect()
    }
}

/// A number within bounds, if it is given.
pub(super) fn within<T>(what: &str, asked: Option<T>, least: T, most: T) -> Result<(), Refusal>
where
    T: PartialOrd + std::fmt::Display,
{
    match asked {
        Some(number) if number < least || number > most => {
            Err(bad(what, format!("{number} is not between {least} and {most}")))
        }
        _ => Ok(()),
    }
}

/// Whether so many more extensions than there are may be added.
///
/// # Errors
/// [`Refusal::Full`] past [`limit::EXTENSIONS_MAX`].
pub(super) fn room(present: usize, more: usize) -> Result<(), Refusal> {
    if present.saturating_add(more) > limit::EXTENSIONS_MAX { Err(Refusal::Full(present)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_extensions_as_allowed_and_one_more() {
        let max = limit::EXTENSIONS_MAX;
        for (present, more, fits) in
            [(0, max, true), (max - 1, 1, true), (max, 0, true), (max, 1, false), (1, max, false)]
        {
            assert_eq!(room(present, more).is_ok(), fits, "{present} + {more}");
        }
    }

    #[test]
    fn names() {
        for (text, good) in [("Jörg", true), (" ", false), ("", false), ("a\u{1b}[2J", false)] {
            assert_eq!(name(text).is_ok(), good, "{text:?}");
        }
        assert!(name(&"ö".repeat(128)).is_ok());
        assert!(name(&"ö".repeat(129)).is_err());
        for (text, good) in [("Jörg", true), (" ", true), ("", true), ("a\u{1b}[2J", false), ("a\tb", false)]
        {
            assert_eq!(device_name(text).is_ok(), good, "{text:?}");
        }
        assert!(device_name(&"ö".repeat(64)).is_ok() && device_name(&"ö".repeat(65)).is_err());
    }
}
