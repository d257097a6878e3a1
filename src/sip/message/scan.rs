//! Finding the lines and fields of a message (RFC 3261 §7, §7.5, §18.3).

use super::heads::Heads;
use super::{Fault, Field, First, Message, ParseError, Span, Start};
use crate::base::limit;
use crate::sip::class::Class;
use crate::sip::header::Stands;
use crate::sip::{Method, Name, near, text};
use bytes::Bytes;
use smallvec::SmallVec;

/// Whether a message has lines that continue the one before (§7.3.1).
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Folds {
    No,
    /// It has to be read again from [`unfold`].
    Yes,
}

impl Message {
    /// A message of which the start line is read, with the rest of it for its body.
    pub(super) fn started(bytes: Bytes) -> Result<Self, ParseError> {
        if bytes.len() > limit::MESSAGE_BYTES_MAX {
            return Err(ParseError::TooLong);
        }
        let line = line_at(&bytes, start(&bytes)).ok_or(ParseError::StartLine)?;
        let (start, fault) = start_line(&line)?;
        Ok(Self {
            start,
            fields: SmallVec::new(),
            first: First::EMPTY,
            body: Span::new(line.next..bytes.len()),
            heads: Heads::default(),
            fault,
            bytes,
        })
    }

    /// Finds the header fields and the body behind the start line.
    pub(super) fn find_fields(&mut self) -> Folds {
        let Self { bytes, fields, first, fault, .. } = self;
        let (mut folds, mut ended) = (Folds::No, false);
        let mut note = |found: Fault| *fault = fault.or(Some(found));
        let bytes = &**bytes;
        let mut at = usize::from(self.body.start);
        while let Some(line) = line_at(bytes, at) {
            at = line.next;
            match line.text {
                [] => {
                    ended = true;
                    break;
                }
                [b' ' | b'\t', ..] => folds = Folds::Yes,
                _ if fields.len() == limit::HEADERS_MAX => note(Fault::TooManyHeaders),
                _ => match field(&line) {
                    Ok(field) => {
                        if !first.note(field.name, fields.len()) && field.name.stands() == Stands::Once {
                            note(Fault::Duplicate);
                        }
                        fields.push(field);
                    }
                    Err(found) => note(found),
                },
            }
        }
        if !ended {
            note(Fault::Truncated);
            at = bytes.len();
        }
        let length = fields.get(first.of(Name::ContentLength)).map(|field| field.value.of(bytes));
        let body = body(bytes.len() - at, length).unwrap_or_else(|| {
            note(Fault::ContentLength);
            bytes.len() - at
        });
        self.body = Span::new(at..at + body);
        folds
    }
}

/// How long the body is if `rest` bytes follow the header: what Content-Length says, without one
/// all that came; `None` if it cannot be read or promises more than came (§18.3).
fn body(rest: usize, length: Option<&[u8]>) -> Option<usize> {
    let Some(length) = length else { return Some(rest) };
    text::decimal(length).and_then(|length| usize::try_from(length).ok()).filter(|length| *length <= rest)
}

/// Where the start line begins: line ends before it are passed over (§7.5).
fn start(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

struct Line<'a> {
    start: usize,
    /// Without its end.
    text: &'a [u8],
    /// Where the next one begins.
    next: usize,
    /// Whether a CR stands in it, which ends no line.
    has_cr: bool,
}

/// The line that begins at `start`; `None` if no line end comes.
#[inline(always)] // it is the loop over the lines
fn line_at(bytes: &[u8], start: usize) -> Option<Line<'_>> {
    let (mut from, mut has_cr) = (start, false);
    loop {
        // Line ends are the control characters that mostly come.
        let end = near::find_control(bytes, from)?;
        let next = match bytes.get(end)? {
            b'\n' => end + 1,
            b'\r' if bytes.get(end + 1) == Some(&b'\n') => end + 2,
            control => {
                (from, has_cr) = (end + 1, has_cr || *control == b'\r');
                continue;
            }
        };
        return Some(Line { start, text: bytes.get(start..end)?, next, has_cr });
    }
}

fn start_line(line: &Line<'_>) -> Result<(Start, Option<Fault>), ParseError> {
    let text = line.text;
    let is_response = text.get(..8).is_some_and(|version| text::is_word(version, b"SIP/2.0 "));
    let (start, fault) =
        if is_response { (status_line(text, line.start)?, None) } else { request_line(text, line.start)? };
    let fault = fault
        .or((text.len() > limit::LINE_BYTES_MAX).then_some(Fault::LineTooLong))
        .or(line.has_cr.then_some(Fault::BareCr));
    Ok((start, fault))
}

fn status_line(text: &[u8], at: usize) -> Result<Start, ParseError> {
    let (code, reason) =
        text.get(8..).and_then(|rest| rest.split_at_checked(3)).ok_or(ParseError::StartLine)?;
    let status = text::decimal(code).and_then(|code| u16::try_from(code).ok());
    let status = status.filter(|status| (100..=699).contains(status)).ok_or(ParseError::StartLine)?;
    if !matches!(reason.first(), None | Some(b' ')) {
        return Err(ParseError::StartLine);
    }
    let (start, end) = (at + text.len().min(12), at + text.len());
    Ok(Start::Response { status, reason: Span::new(start..end) })
}

fn request_line(text: &[u8], at: usize) -> Result<(Start, Option<Fault>), ParseError> {
    let is_space = |byte: &u8| *byte == b' ';
    let method_end = text.iter().position(is_space).ok_or(ParseError::StartLine)?;
    let version_start = text.trim_ascii_end().iter().rposition(is_space).ok_or(ParseError::StartLine)?;
    let token = &text[..method_end];
    let version = text[version_start..].trim_ascii();
    let is_2_0 = text::is_word(version, b"SIP/2.0");
    let is_sip = is_2_0 || version.get(..4).is_some_and(|sip| text::is_word(sip, b"SIP/"));
    if !text::is_all_token(token) || version_start <= method_end || !is_sip {
        return Err(ParseError::StartLine);
    }
    let uri = &text[method_end + 1..version_start];
    let fault = if !is_2_0 {
        Some(Fault::Version)
    } else if uri.len() > limit::REQUEST_URI_BYTES_MAX {
        Some(Fault::RequestUriTooLong)
    } else if uri.is_empty() || !Class::Uri.has_all(uri) {
        Some(Fault::RequestUri)
    } else {
        None
    };
    let start = Start::Request {
        method: Method::of(token),
        token: Span::new(at..at + method_end),
        uri: Span::new(at + method_end + 1..at + version_start),
    };
    Ok((start, fault))
}

fn field(line: &Line<'_>) -> Result<Field, Fault> {
    let (start, text) = (line.start, line.text);
    if text.len() > limit::LINE_BYTES_MAX {
        return Err(Fault::LineTooLong);
    }
    let (mut name, colon) = Name::before_colon(text).ok_or(Fault::Line)?;
    let mut token = &text[..colon];
    if name == Name::Other {
        token = text::trim_end(token);
        name = Name::of(token);
        if name == Name::Other && !text::is_all_token(token) {
            return Err(Fault::Line);
        }
    }
    if line.has_cr {
        return Err(Fault::BareCr);
    }
    let value = text::trim_start(&text[colon + 1..]);
    let value_start = start + text.len() - value.len();
    let value_end = value_start + text::trim_end(value).len();
    Ok(Field { name, token: Span::new(start..start + token.len()), value: Span::new(value_start..value_end) })
}

/// The same bytes with each line break inside a folded field turned into spaces (§7.3.1).
pub(super) fn unfold(bytes: &Bytes) -> Bytes {
    let mut copy = bytes.to_vec();
    let (mut at, mut is_start_line) = (start(bytes), true);
    while let Some(line) = line_at(bytes, at) {
        if line.text.is_empty() {
            break;
        }
        if matches!(bytes.get(line.next), Some(b' ' | b'\t')) {
            if is_start_line {
                // It folds no field, so it is made one without a name, which is a fault.
                copy[line.next] = b':';
            } else {
                copy[at + line.text.len()..line.next].fill(b' ');
            }
        }
        (at, is_start_line) = (line.next, false);
    }
    Bytes::from(copy)
}
