//! Mail addresses.

/// Longest address, in bytes (RFC 5321 §4.5.3.1.3, less the brackets).
const BYTES_MAX: usize = 254;

/// Whether a text is an address that mail may be sent to; whether anybody reads it is another
/// question. Neither quotes nor comments, line ends or other controls are in it, so it may stand in a
/// header as it is.
#[must_use]
pub fn is_address(text: &str) -> bool {
    let good = |c: char| !c.is_control() && !c.is_whitespace() && !"<>()[],;:\\\"".contains(c);
    let whole = text.len() <= BYTES_MAX && text.chars().all(good);
    text.split_once('@').is_some_and(|(local, domain)| {
        whole
            && !local.is_empty()
            && !domain.contains('@')
            && domain.split('.').all(|label| !label.is_empty())
    })
}

/// Who sends: an address, and a name if there is one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mailbox {
    /// The name; may be empty.
    pub name: String,
    /// The address.
    pub address: String,
}

impl Mailbox {
    /// Reads `ADDRESS` or `NAME <ADDRESS>`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, address) = match text.strip_suffix('>').map(|text| text.rsplit_once('<')) {
            Some(parts) => parts?,
            None => ("", text),
        };
        let name = name.trim().trim_matches('"').to_owned();
        let tame = !name.contains(|c: char| c.is_control() || "<>\"\\".contains(c));
        (tame && is_address(address)).then(|| Self { name, address: address.to_owned() })
    }

    /// The address's domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.address.rsplit('@').next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, good) in [
            ("a@b.example", true),
            ("first.last+tag@b.example", true),
            ("jörg@bücher.example", true),
            ("a@localhost", true),
            ("", false),
            ("a", false),
            ("@b", false),
            ("a@", false),
            ("a@b..example", false),
            ("a@b@c", false),
            ("a b@c", false),
            ("<a@b>", false),
            ("a@b\r\nBcc: c", false),
        ] {
            assert_eq!(is_address(text), good, "{text:?}");
        }
        assert!(is_address(&format!("{}@b", "a".repeat(252))));
        assert!(!is_address(&format!("{}@b", "a".repeat(253))));
    }

    #[test]
    fn mailboxes() {
        for (text, found) in [
            ("a@b", Some(("", "a@b"))),
            ("Phones <a@b>", Some(("Phones", "a@b"))),
            ("\"Téléphone, Inc.\" <a@b>", Some(("Téléphone, Inc.", "a@b"))),
            ("<a@b>", Some(("", "a@b"))),
            ("Phones <a>", None),
            ("Phones a@b>", None),
            ("a\r\nBcc: c <a@b>", None),
            ("", None),
        ] {
            let read = Mailbox::parse(text);
            let read = read.as_ref().map(|mailbox| (mailbox.name.as_str(), mailbox.address.as_str()));
            assert_eq!(read, found, "{text:?}");
        }
        assert_eq!(Mailbox::parse("a@b.example").unwrap().domain(), "b.example");
    }
}
