//! Finding the lines and fields of a message (RFC 3261 §7, §7.5, §18.3).

use super::heads::Heads;
use super::{Fault, Field, First, Message, ParseError, Span, Start};
use crate::base::limit;
use crate::sip::header::Stands;
use crate::sip::{Method, Name, text};
use bytes::Bytes;
use smallvec::SmallVec;
use std::ops::Range;

impl Message {
    /// Reads the frame of a message; also tells whether lines are folded, in which case it has to be
    /// read again from [`unfold`].
    pub(super) fn scan(bytes: Bytes) -> Result<(Self, bool), ParseError> {
        let line = line_at(&bytes, start(&bytes)).ok_or(ParseError::StartLine)?;
        let (start, mut fault) = start_line(&bytes, &line)?;
        let mut at = line.next;

        let mut fields: SmallVec<[Field; 20]> = SmallVec::new();
        let mut first = First([First::NONE; Name::COUNT + 1]);
        let (mut folded, mut ended) = (false, false);
        let mut note = |found: Fault| fault = fault.or(Some(found));
        while let Some(line) = line_at(&bytes, at) {
            at = line.next;
            if line.text.is_empty() {
                ended = true;
                break;
            }
            if matches!(bytes.get(line.text.start), Some(b' ' | b'\t')) {
                folded = true;
                continue;
            }
            if fields.len() == limit::HEADERS_MAX {
                note(Fault::TooManyHeaders);
                continue;
            }
            match field(&bytes, &line) {
                Ok(field) => {
                    if !first.note(field.name, fields.len()) && field.name.stands() == Stands::Once {
                        note(Fault::Duplicate);
                    }
                    fields.push(field);
                }
                Err(found) => note(found),
            }
        }
        if !ended {
            note(Fault::Truncated);
            at = bytes.len();
        }
        let length = fields.get(first.of(Name::ContentLength)).map(|field| field.value.of(&bytes));
        let body = body(bytes.len() - at, length).unwrap_or_else(|| {
            note(Fault::ContentLength);
            bytes.len() - at
        });
        Ok((
            Self {
                start,
                fields,
                first,
                body: Span::new(at..at + body),
                heads: Heads::default(),
                fault,
                bytes,
            },
            folded,
        ))
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

struct Line {
    /// Without its end.
    text: Range<usize>,
    /// Where the next one begins.
    next: usize,
    /// Whether a CR stands in it, which ends no line.
    has_cr: bool,
}

/// The line that begins at `at`; `None` if no line end comes.
fn line_at(bytes: &[u8], at: usize) -> Option<Line> {
    let (mut from, mut has_cr) = (at, false);
    loop {
        let end = from + memchr::memchr2(b'\r', b'\n', bytes.get(from..)?)?;
        let next = match (bytes.get(end), bytes.get(end + 1)) {
            (Some(b'\n'), _) => end + 1,
            (_, Some(b'\n')) => end + 2,
            _ => {
                (from, has_cr) = (end + 1, true);
                continue;
            }
        };
        return Some(Line { text: at..end, next, has_cr });
    }
}

fn start_line(bytes: &[u8], line: &Line) -> Result<(Start, Option<Fault>), ParseError> {
    let text = bytes.get(line.text.clone()).unwrap_or_default();
    let is_response = text.get(..8).is_some_and(|version| version.eq_ignore_ascii_case(b"SIP/2.0 "));
    let (start, fault) = if is_response {
        (status_line(text, line.text.start)?, None)
    } else {
        request_line(text, line.text.start)?
    };
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
    let method_end = memchr::memchr(b' ', text).ok_or(ParseError::StartLine)?;
    let version_start = memchr::memrchr(b' ', text.trim_ascii_end()).ok_or(ParseError::StartLine)?;
    let token = &text[..method_end];
    let version = text[version_start..].trim_ascii();
    let is_sip = version.get(..4).is_some_and(|sip| sip.eq_ignore_ascii_case(b"SIP/"));
    if !text::is_all_token(token) || version_start <= method_end || !is_sip {
        return Err(ParseError::StartLine);
    }
    let uri = &text[method_end + 1..version_start];
    let is_bad = |byte: &u8| *byte <= b' ' || matches!(byte, b'<' | b'>' | b'"' | 127);
    let fault = if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        Some(Fault::Version)
    } else if uri.len() > limit::REQUEST_URI_BYTES_MAX {
        Some(Fault::RequestUriTooLong)
    } else if uri.is_empty() || uri.iter().any(is_bad) {
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

fn field(bytes: &[u8], line: &Line) -> Result<Field, Fault> {
    let (start, text) = (line.text.start, bytes.get(line.text.clone()).unwrap_or_default());
    if text.len() > limit::LINE_BYTES_MAX {
        return Err(Fault::LineTooLong);
    }
    let colon = text.iter().position(|&byte| byte == b':').ok_or(Fault::Line)?;
    let token = text::trim_end(&text[..colon]);
    let name = Name::of(token);
    if name == Name::Other && !text::is_all_token(token) {
        return Err(Fault::Line);
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
                copy[line.text.end..line.next].fill(b' ');
            }
        }
        (at, is_start_line) = (line.next, false);
    }
    Bytes::from(copy)
}
