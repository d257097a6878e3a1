//! A message as bytes: RFC 5322 with a text and an HTML alternative (RFC 2046 §5.1.4).
//!
//! Parts that are ASCII with short lines stand as they are, so that people can read them in a spool;
//! others are quoted-printable (RFC 2045 §6.7). Header values beyond ASCII are encoded words (RFC 2047),
//! but for addresses, which stand as UTF-8 (RFC 6532).

use super::Mailbox;
use crate::base::time::Wall;
use std::fmt::Write as _;

/// Longest line without its end, in bytes (RFC 5322 §2.1.1).
const LINE_BYTES_MAX: usize = 998;

/// Most bytes of text in an encoded word, so that a line holds it behind the name of its header
/// (RFC 2047 §2).
const WORD_BYTES_MAX: usize = 39;

/// Longest encoded line, in bytes (RFC 2045 §6.7).
const ENCODED_LINE_BYTES_MAX: usize = 76;

/// One message to one person.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// Its name, the same whenever the same message is made: letters, digits and hyphens.
    pub name: String,
    /// When it came to be.
    pub at: Wall,
    /// Who sends it.
    pub from: Mailbox,
    /// The address it goes to.
    pub to: String,
    /// What it is about.
    pub subject: String,
    /// What it says.
    pub text: String,
    /// The same in HTML.
    pub html: String,
}

impl Message {
    /// The message with CRLF line ends. The same message has the same bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { name, at, from, to, subject, text, html } = self;
        let boundary = format!("=_{name}_=");
        let mut out = String::with_capacity(1024 + text.len() + 2 * html.len());
        let mut header = |name: &str, value: &str| {
            let _ = write!(out, "{name}: {value}\r\n");
        };
        header("Date", &date(*at));
        let sender = match from.name.as_str() {
            "" => from.address.clone(),
            name if is_plain(name) => format!("\"{name}\" <{}>", from.address),
            name => format!("{} <{}>", words(name), from.address),
        };
        header("From", &sender);
        header("To", to);
        header("Subject", &words(subject));
        header("Message-ID", &format!("<{name}@{}>", from.domain()));
        header("Auto-Submitted", "auto-generated");
        header("MIME-Version", "1.0");
        header("Content-Type", &format!("multipart/alternative; boundary=\"{boundary}\""));
        for (kind, part) in [("plain", text), ("html", html)] {
            let (encoding, body) = encode(part);
            let _ = write!(
                out,
                "\r\n--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\n\
                 Content-Transfer-Encoding: {encoding}\r\n\r\n{body}"
            );
        }
        let _ = write!(out, "\r\n--{boundary}--\r\n");
        out.into_bytes()
    }
}

/// `Sun, 22 Nov 2026 06:23:08 +0000` (RFC 5322 §3.3).
fn date(at: Wall) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let civil = at.rfc3339();
    let part = |from: usize, to: usize| civil.get(from..to).unwrap_or_default();
    let day = usize::try_from(at.as_secs() / 86_400 % 7).unwrap_or_default();
    let month = part(5, 7).parse().unwrap_or(1usize);
    let name = |names: &[&'static str], at: usize| names.get(at).copied().unwrap_or_default();
    let (day, month) = (name(&DAYS, day), name(&MONTHS, month.saturating_sub(1)));
    format!("{day}, {} {month} {} {} +0000", part(8, 10), part(0, 4), part(11, 19))
}

/// Whether a text may stand in a header as it is.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && !text.contains("=?")
}

/// A header value, as encoded words if it must be.
fn words(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut words = Vec::new();
    let mut word = String::new();
    for char in text.chars().map(|char| if char.is_control() { ' ' } else { char }) {
        if word.len() + char.len_utf8() > WORD_BYTES_MAX {
            words.push(std::mem::take(&mut word));
        }
        word.push(char);
    }
    words.push(word);
    let encoded = words.iter().map(|word| format!("=?utf-8?B?{}?=", base64(word.as_bytes())));
    encoded.collect::<Vec<_>>().join("\r\n ")
}

pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS.get((bits >> (18 - 6 * place) & 63) as usize).copied().unwrap_or(b'=');
            out.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

/// A body with CRLF line ends, and how it is encoded.
fn encode(text: &str) -> (&'static str, String) {
    let lines = || text.lines();
    if text.is_ascii() && lines().all(|line| line.len() <= LINE_BYTES_MAX) {
        return ("7bit", lines().fold(String::new(), |out, line| out + line + "\r\n"));
    }
    let mut out = String::with_capacity(text.len() * 2);
    for line in lines() {
        let mut width = 0;
        let last = line.len().saturating_sub(1);
        for (at, byte) in line.bytes().enumerate() {
            let bare = matches!(byte, b'!'..=b'<' | b'>'..=b'~') || (byte == b' ' && at != last);
            let wide = if bare { 1 } else { 3 };
            if width + wide >= ENCODED_LINE_BYTES_MAX {
                out.push_str("=\r\n");
                width = 0;
            }
            if bare {
                out.push(char::from(byte));
            } else {
                let _ = write!(out, "={byte:02X}");
            }
            width += wide;
        }
        out.push_str("\r\n");
    }
    ("quoted-printable", out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(subject: &str, text: &str) -> String {
        let message = Message {
            name: "0001-200-acme-0".into(),
            at: Wall::from_secs(1_795_328_588),
            from: Mailbox::parse("Phones <phones@example.test>").unwrap(),
            to: "ada@example.test".into(),
            subject: subject.into(),
            text: text.into(),
            html: "<p>x</p>\n".into(),
        };
        String::from_utf8(message.to_bytes()).unwrap()
    }

    #[test]
    fn a_message_of_two_texts() {
        assert_eq!(
            message("Your extension", "Hello\nAda\n"),
            "Date: Sun, 22 Nov 2026 06:23:08 +0000\r\n\
             From: \"Phones\" <phones@example.test>\r\n\
             To: ada@example.test\r\n\
             Subject: Your extension\r\n\
             Message-ID: <0001-200-acme-0@example.test>\r\n\
             Auto-Submitted: auto-generated\r\n\
             MIME-Version: 1.0\r\n\
             Content-Type: multipart/alternative; boundary=\"=_0001-200-acme-0_=\"\r\n\
             \r\n--=_0001-200-acme-0_=\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: 7bit\r\n\r\n\
             Hello\r\nAda\r\n\
             \r\n--=_0001-200-acme-0_=\r\n\
             Content-Type: text/html; charset=utf-8\r\n\
             Content-Transfer-Encoding: 7bit\r\n\r\n\
             <p>x</p>\r\n\
             \r\n--=_0001-200-acme-0_=--\r\n"
        );
    }

    /// RFC 4648 §10.
    #[test]
    fn base64_is_base64() {
        let rows = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (bytes, text) in rows {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn what_is_beyond_ascii_is_encoded() {
        let text = message("Votre numéro", "Bonjour Zoé = 1 \n");
        assert!(text.contains("\r\nSubject: =?utf-8?B?Vm90cmUgbnVtw6lybw==?=\r\n"), "{text}");
        assert!(text.contains("quoted-printable\r\n\r\nBonjour Zo=C3=A9 =3D 1=20\r\n"), "{text}");
        assert!(text.is_ascii());
        for line in message(&"é".repeat(200), &"é".repeat(500)).split("\r\n") {
            assert!(line.len() <= ENCODED_LINE_BYTES_MAX, "{line}");
        }
    }

    #[test]
    fn no_header_is_smuggled_in() {
        let text = message("a\r\nBcc: c@example.test", "x");
        assert!(!text.contains("\r\nBcc:"), "{text}");
    }
}
