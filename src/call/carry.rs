//! What is carried from one leg to the other: a short list. Everything else stays on its own leg,
//! so that neither side learns of the other's addresses, software or extensions.
//!
//! | carried | in |
//! | --- | --- |
//! | the body with Content-Type, Content-Disposition, Content-Encoding, Content-Language, MIME-Version | everything that may have one |
//! | Subject, Priority | the INVITE that begins a call |
//! | Retry-After, its seconds alone | refusals |
//! | Accept | 415 |
//!
//! Alert-Info is not: it would let a caller make the called phone fetch any address. Supported is
//! never sent, since no extension is carried; what is required is refused with 420.

use crate::sip::{Message, Name, Writer, text};
use smallvec::SmallVec;

/// Who calls or is called, as it is written; an ordinary one is no heap block.
pub(super) type AddrText = SmallVec<[u8; 96]>;

/// The methods that a call carries, for Allow.
pub(super) const ALLOW: &[u8] = b"INVITE, ACK, CANCEL, BYE, OPTIONS, INFO";

/// Writes the fields that describe the body; returns the body. A body without a type is not
/// carried, since nobody could read it.
pub(super) fn content<'m>(writer: &mut Writer<'_>, message: &'m Message) -> &'m [u8] {
    if message.body().is_empty() || message.field(Name::ContentType).is_none() {
        return b"";
    }
    for (name, _, value) in message.all_fields() {
        if matches!(
            name,
            Name::ContentType
                | Name::ContentDisposition
                | Name::ContentEncoding
                | Name::ContentLanguage
                | Name::MimeVersion
        ) {
            writer.field(name, value);
        }
    }
    message.body()
}

/// Writes what the called phone may see of the INVITE that begins a call.
pub(super) fn invite(writer: &mut Writer<'_>, message: &Message) {
    for name in [Name::Subject, Name::Priority] {
        if let Some(value) = message.field(name) {
            writer.field(name, value);
        }
    }
}

/// Writes what a refusal tells besides its status.
pub(super) fn refusal(writer: &mut Writer<'_>, message: &Message) {
    if let Some(value) = message.field(Name::RetryAfter) {
        let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if let Some(seconds) = value.get(..digits).and_then(text::delta_seconds) {
            writer.begin(Name::RetryAfter).number(seconds.into()).end();
        }
    }
    if message.status() == 415
        && let Some(value) = message.field(Name::Accept)
    {
        writer.field(Name::Accept, value);
    }
}

/// Writes the refusal of an offer, if there is one to be refused; returns the body.
pub(super) fn refused<'m>(writer: &mut Writer<'_>, refusal: &'m [u8]) -> &'m [u8] {
    if !refusal.is_empty() {
        writer.field(Name::ContentType, b"application/sdp");
    }
    refusal
}

/// Whether a request demands an extension; none is carried (RFC 3261 §8.2.2.3).
pub(super) fn demands(request: &Message) -> bool {
    demanded(request).next().is_some()
}

/// Writes Unsupported for what a request demands.
pub(super) fn unsupported(writer: &mut Writer<'_>, request: &Message) {
    for option in demanded(request) {
        writer.field(Name::Unsupported, option);
    }
}

fn demanded(request: &Message) -> impl Iterator<Item = &[u8]> {
    request.values(Name::Require).chain(request.values(Name::ProxyRequire))
}

/// A name-addr without a tag: the display name quoted, `user` and `host` as they are.
///
/// Control characters are taken out of the display name, so that it cannot end its line.
pub(super) fn name_addr(display: &[u8], user: &[u8], host: &[u8]) -> AddrText {
    let mut out = AddrText::with_capacity(display.len() + user.len() + host.len() + 12);
    if !display.is_empty() {
        out.push(b'"');
        for &byte in display.iter().filter(|byte| !byte.is_ascii_control()) {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.extend_from_slice(b"\" ");
    }
    for piece in [b"<sip:", user, b"@", host, b">"] {
        out.extend_from_slice(piece);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::{Bytes, BytesMut};

    fn message(fields: &str) -> Message {
        let text = format!("INVITE sip:a SIP/2.0\r\n{fields}Content-Length: 3\r\n\r\nabc");
        Message::parse(Bytes::from(text)).unwrap()
    }

    fn written<'m>(message: &'m Message, write: impl Fn(&mut Writer<'_>, &'m Message) -> &'m [u8]) -> String {
        let mut out = BytesMut::new();
        let mut writer = Writer::response(&mut out, 200, None);
        let body = write(&mut writer, message);
        String::from_utf8(writer.finish_with(body).to_vec()).unwrap().split_off("SIP/2.0 200 OK\r\n".len())
    }

    #[test]
    fn the_body_goes_with_what_describes_it() {
        let all = message("c: application/sdp\r\nX-Secret: 1\r\nContent-Language: en\r\nUser-Agent: x\r\n");
        assert_eq!(
            written(&all, content),
            "Content-Type: application/sdp\r\nContent-Language: en\r\nContent-Length: 3\r\n\r\nabc"
        );
        assert_eq!(written(&message("Content-Language: en\r\n"), content), "Content-Length: 0\r\n\r\n");
    }

    #[test]
    fn of_an_invite_subject_and_priority() {
        let all = message(
            "Subject: s\r\nPriority: urgent\r\nAlert-Info: <http://x>\r\nP-Asserted-Identity: <sip:x@y>\r\nSupported: 100rel\r\n",
        );
        let fields = written(&all, |writer, message| {
            invite(writer, message);
            b""
        });
        assert_eq!(fields, "Subject: s\r\nPriority: urgent\r\nContent-Length: 0\r\n\r\n");
    }

    #[test]
    fn of_retry_after_the_seconds_alone() {
        for (value, kept) in [
            ("18 (in a meeting at x);duration=9", "Retry-After: 18\r\n"),
            ("18;x=y", "Retry-After: 18\r\n"),
            ("soon", ""),
        ] {
            let message = message(&format!("Retry-After: {value}\r\nAccept: a/b\r\n"));
            let fields = written(&message, |writer, message| {
                refusal(writer, message);
                b""
            });
            assert_eq!(fields, format!("{kept}Content-Length: 0\r\n\r\n"), "{value}");
        }
    }

    #[test]
    fn every_demand_is_named() {
        let message = message("Require: 100rel, timer\r\nProxy-Require: x\r\nRequire: y\r\n");
        assert!(demands(&message));
        let fields = written(&message, |writer, message| {
            unsupported(writer, message);
            b""
        });
        assert_eq!(
            fields,
            "Unsupported: 100rel\r\nUnsupported: timer\r\nUnsupported: y\r\nUnsupported: x\r\nContent-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn display_names_are_quoted() {
        for (display, addr) in [
            ("", "<sip:201@s>"),
            ("Ann", "\"Ann\" <sip:201@s>"),
            ("A\"\\\r\nB: é", "\"A\\\"\\\\B: é\" <sip:201@s>"),
        ] {
            assert_eq!(
                String::from_utf8(name_addr(display.as_bytes(), b"201", b"s").to_vec()).unwrap(),
                addr
            );
        }
    }
}
