//! A message as ranges over its bytes (RFC 3261 §7).
//!
//! [`Message::parse`] fails only where no answer is possible. Everything else that is wrong with
//! the syntax is kept as the message's first [`Fault`], so that the request can be refused with a
//! reason (400, §8.2, §16.3) by whoever answers it.

use super::header::Stands;
use super::{CSeq, Method, Name, NameAddr, Via, text};
use crate::base::limit;
use bytes::Bytes;
use smallvec::SmallVec;
use std::ops::Range;

/// A range of a message, which is at most [`limit::MESSAGE_BYTES_MAX`] long.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Span {
    start: u16,
    end: u16,
}

impl Span {
    fn new(range: Range<usize>) -> Self {
        // The length of the whole is checked once, at the start of the parse.
        let narrow = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
        Self { start: narrow(range.start), end: narrow(range.end) }
    }

    fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(usize::from(self.start)..usize::from(self.end)).unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug)]
struct Field {
    name: Name,
    token: Span,
    value: Span,
}

#[derive(Clone, Copy, Debug)]
enum Start {
    Request { method: Method, token: Span, uri: Span },
    Response { status: u16, reason: Span },
}

/// Why bytes are not a message that could be answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseError {
    /// Longer than [`limit::MESSAGE_BYTES_MAX`].
    #[error("longer than a message may be")]
    TooLong,
    /// The first line is neither a request line nor a status line (§7.1, §7.2).
    #[error("no request line and no status line")]
    StartLine,
}

/// What is wrong with a message whose frame could be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// The version is not SIP/2.0: 505.
    #[error("Version Not Supported")]
    Version,
    /// A line without a colon, or with a name that is no token.
    #[error("Malformed Header Line")]
    Line,
    /// A CR that ends no line.
    #[error("Bare CR In Header")]
    BareCr,
    /// The header section has no end.
    #[error("Truncated Header")]
    Truncated,
    /// More than [`limit::HEADERS_MAX`] header fields.
    #[error("Too Many Headers")]
    TooManyHeaders,
    /// A field that may stand once stands twice.
    #[error("Duplicate Header")]
    Duplicate,
    /// Content-Length is no number, or promises more than came.
    #[error("Bad Content-Length")]
    ContentLength,
    /// Via, From, To, Call-ID or CSeq is missing (§8.1.1).
    #[error("Missing Header")]
    Missing,
    /// The CSeq cannot be read, or its method is not the request's (§8.1.1.5).
    #[error("Bad CSeq")]
    CSeq,
    /// The topmost Via, or another in the same line, cannot be read.
    #[error("Bad Via")]
    Via,
    /// From or To cannot be read.
    #[error("Bad From Or To")]
    FromTo,
    /// Max-Forwards is no number up to 255.
    #[error("Bad Max-Forwards")]
    MaxForwards,
    /// The Request-URI has white space, `<` or is empty.
    #[error("Bad Request-URI")]
    RequestUri,
}

impl Fault {
    /// Every fault, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::Version,
        Self::Line,
        Self::BareCr,
        Self::Truncated,
        Self::TooManyHeaders,
        Self::Duplicate,
        Self::ContentLength,
        Self::Missing,
        Self::CSeq,
        Self::Via,
        Self::FromTo,
        Self::MaxForwards,
        Self::RequestUri,
    ];

    /// The status code that refuses it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Version => 505,
            _ => 400,
        }
    }

    /// The label in `stationmaster_parse_errors_total{kind}`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Line => "line",
            Self::BareCr => "bare_cr",
            Self::Truncated => "truncated",
            Self::TooManyHeaders => "too_many_headers",
            Self::Duplicate => "duplicate",
            Self::ContentLength => "content_length",
            Self::Missing => "missing",
            Self::CSeq => "cseq",
            Self::Via => "via",
            Self::FromTo => "from_to",
            Self::MaxForwards => "max_forwards",
            Self::RequestUri => "request_uri",
        }
    }
}

/// A SIP request or response.
#[derive(Clone, Debug)]
pub struct Message {
    bytes: Bytes,
    start: Start,
    fields: SmallVec<[Field; 20]>,
    body: Span,
    fault: Option<Fault>,
}

impl Message {
    /// Reads one message from `bytes`: a datagram, or what [`super::frame`] cut from a stream.
    ///
    /// Line breaks before the start line are skipped (§7.5), folded lines are joined, bytes after
    /// the body that Content-Length gives are dropped (§18.3).
    ///
    /// # Errors
    /// Where not even the start line can be read. All other faults are kept, see
    /// [`fault`](Self::fault).
    pub fn parse(bytes: Bytes) -> Result<Self, ParseError> {
        if bytes.len() > limit::MESSAGE_BYTES_MAX {
            return Err(ParseError::TooLong);
        }
        let (mut message, folded) = Self::scan(bytes)?;
        if folded {
            message = Self::scan(unfold(&message.bytes))?.0;
        }
        if message.fault.is_none() {
            message.fault = message.semantic_fault();
        }
        Ok(message)
    }

    fn scan(bytes: Bytes) -> Result<(Self, bool), ParseError> {
        let mut at = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let (line, next) = line_at(&bytes, at).ok_or(ParseError::StartLine)?;
        let (start, mut fault) = start_line(&bytes, line)?;
        at = next;

        let mut fields: SmallVec<[Field; 20]> = SmallVec::new();
        let (mut seen, mut folded, mut ended) = (0u64, false, false);
        let mut note = |found: Fault| fault = fault.or(Some(found));
        while let Some((line, next)) = line_at(&bytes, at) {
            at = next;
            if line.is_empty() {
                ended = true;
                break;
            }
            if matches!(bytes.get(line.start), Some(b' ' | b'\t')) {
                folded = true;
                continue;
            }
            if fields.len() == limit::HEADERS_MAX {
                note(Fault::TooManyHeaders);
                continue;
            }
            match field(&bytes, line) {
                Ok(field) => {
                    if field.name.stands() == Stands::Once {
                        if seen & (1 << field.name as u8) != 0 {
                            note(Fault::Duplicate);
                        }
                        seen |= 1 << field.name as u8;
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
        let rest = bytes.len() - at;
        let length = fields.iter().find(|field| field.name == Name::ContentLength);
        let body = match length.map(|field| text::decimal(field.value.of(&bytes))) {
            None => at..bytes.len(),
            Some(Some(length)) if length <= rest as u64 => {
                at..at + usize::try_from(length).unwrap_or_default()
            }
            Some(_) => {
                note(Fault::ContentLength);
                at..bytes.len()
            }
        };
        Ok((Self { start, fields, body: Span::new(body), fault, bytes }, folded))
    }

    /// What every message must have, checked once so that those who use it need not.
    fn semantic_fault(&self) -> Option<Fault> {
        let Some(via) = self.field(Name::Via) else { return Some(Fault::Missing) };
        if !Via::is_good(via) {
            return Some(Fault::Via);
        }
        for name in [Name::From, Name::To] {
            match self.field(name) {
                None => return Some(Fault::Missing),
                Some(value) if NameAddr::parse(value).is_none() => return Some(Fault::FromTo),
                Some(_) => {}
            }
        }
        if self.field(Name::CallId).is_none_or(<[u8]>::is_empty) {
            return Some(Fault::Missing);
        }
        let Some(cseq) = self.field(Name::CSeq) else { return Some(Fault::Missing) };
        let Some(cseq) = CSeq::parse(cseq) else { return Some(Fault::CSeq) };
        if self.is_request() && cseq.method != self.method_token() {
            return Some(Fault::CSeq);
        }
        if let Some(hops) = self.field(Name::MaxForwards)
            && text::decimal(hops).is_none_or(|hops| hops > 255)
        {
            return Some(Fault::MaxForwards);
        }
        None
    }

    /// The first thing that is wrong with it; a request with a fault is refused with its status
    /// and reason, a response with one is dropped.
    #[must_use]
    pub const fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Whether it is a request.
    #[must_use]
    pub const fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }

    /// The method of a request; of a response the method in its CSeq.
    #[must_use]
    pub fn method(&self) -> Method {
        match self.start {
            Start::Request { method, .. } => method,
            Start::Response { .. } => Method::of(self.cseq().method),
        }
    }

    /// The method as it was written; empty for a response.
    #[must_use]
    pub fn method_token(&self) -> &[u8] {
        match self.start {
            Start::Request { token, .. } => token.of(&self.bytes),
            Start::Response { .. } => b"",
        }
    }

    /// The Request-URI; empty for a response.
    #[must_use]
    pub fn request_uri(&self) -> &[u8] {
        match self.start {
            Start::Request { uri, .. } => uri.of(&self.bytes),
            Start::Response { .. } => b"",
        }
    }

    /// The status code, 100–699; 0 for a request.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self.start {
            Start::Request { .. } => 0,
            Start::Response { status, .. } => status,
        }
    }

    /// The reason phrase; empty for a request.
    #[must_use]
    pub fn reason(&self) -> &[u8] {
        match self.start {
            Start::Request { .. } => b"",
            Start::Response { reason, .. } => reason.of(&self.bytes),
        }
    }

    /// The value of the first field of this name.
    #[must_use]
    pub fn field(&self, name: Name) -> Option<&[u8]> {
        self.fields.iter().find(|field| field.name == name).map(|field| field.value.of(&self.bytes))
    }

    /// The values of all fields of this name, each as it stands in its line.
    pub fn fields(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        self.fields.iter().filter(move |field| field.name == name).map(|field| field.value.of(&self.bytes))
    }

    /// The values of all fields of this name, one by one (§7.3.1): of a list between its commas, of
    /// any other name each field as it stands.
    pub fn values(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        let values = if name.stands() == Stands::List { text::List::new } else { text::List::one };
        self.fields(name).flat_map(values)
    }

    /// All fields in order: name, name as written, value.
    pub fn all_fields(&self) -> impl Iterator<Item = (Name, &[u8], &[u8])> {
        self.fields.iter().map(|field| (field.name, field.token.of(&self.bytes), field.value.of(&self.bytes)))
    }

    /// The value of the first field of a name that [`Name`] does not know, in any case.
    #[must_use]
    pub fn other(&self, name: &str) -> Option<&[u8]> {
        self.all_fields()
            .find(|(known, token, _)| *known == Name::Other && token.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, _, value)| value)
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.body.of(&self.bytes)
    }

    /// The whole message as it came.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The same message in bytes of its own, for whoever keeps it: it no longer holds the receive
    /// buffer, which others share.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self { bytes: Bytes::copy_from_slice(&self.bytes), ..self.clone() }
    }

    /// The topmost Via; `None` only in a message with a fault.
    #[must_use]
    pub fn via(&self) -> Option<Via<'_>> {
        Via::parse(self.field(Name::Via)?)
    }

    /// From; empty parts in a message with a fault.
    #[must_use]
    pub fn from(&self) -> NameAddr<'_> {
        self.field(Name::From).and_then(NameAddr::parse).unwrap_or_default()
    }

    /// To; empty parts in a message with a fault.
    #[must_use]
    pub fn to(&self) -> NameAddr<'_> {
        self.field(Name::To).and_then(NameAddr::parse).unwrap_or_default()
    }

    /// Call-ID; empty in a message with a fault.
    #[must_use]
    pub fn call_id(&self) -> &[u8] {
        self.field(Name::CallId).unwrap_or_default()
    }

    /// CSeq; zero and empty in a message with a fault.
    #[must_use]
    pub fn cseq(&self) -> CSeq<'_> {
        self.field(Name::CSeq).and_then(CSeq::parse).unwrap_or_default()
    }

    /// Max-Forwards, 0–255; `None` if it does not stand.
    #[must_use]
    pub fn max_forwards(&self) -> Option<u8> {
        text::decimal(self.field(Name::MaxForwards)?).and_then(|hops| u8::try_from(hops).ok())
    }
}

/// The line that begins at `at` without its end, and where the next one begins; `None` if no line
/// end comes. A CR that ends no line stays in the line, where [`field`] finds it.
fn line_at(bytes: &[u8], at: usize) -> Option<(Range<usize>, usize)> {
    let end = at + memchr::memchr(b'\n', bytes.get(at..)?)?;
    let line_end = if end > at && bytes[end - 1] == b'\r' { end - 1 } else { end };
    Some((at..line_end, end + 1))
}

fn start_line(bytes: &[u8], line: Range<usize>) -> Result<(Start, Option<Fault>), ParseError> {
    let text = bytes.get(line.clone()).unwrap_or_default();
    if let Some(rest) = text.strip_prefix(b"SIP/2.0 ") {
        let (code, reason) = rest.split_at_checked(3).ok_or(ParseError::StartLine)?;
        let status = text::decimal(code).and_then(|code| u16::try_from(code).ok());
        let status = status.filter(|status| (100..=699).contains(status)).ok_or(ParseError::StartLine)?;
        if !matches!(reason.first(), None | Some(b' ')) {
            return Err(ParseError::StartLine);
        }
        let reason_start = (line.start + 12).min(line.end);
        return Ok((Start::Response { status, reason: Span::new(reason_start..line.end) }, None));
    }
    let method_end = memchr::memchr(b' ', text).ok_or(ParseError::StartLine)?;
    let version_start = memchr::memrchr(b' ', text.trim_ascii_end()).ok_or(ParseError::StartLine)?;
    let token = &text[..method_end];
    if token.is_empty() || !token.iter().copied().all(text::is_token) {
        return Err(ParseError::StartLine);
    }
    let version = text[version_start..].trim_ascii();
    if version_start <= method_end || !version.get(..4).is_some_and(|sip| sip.eq_ignore_ascii_case(b"SIP/")) {
        return Err(ParseError::StartLine);
    }
    let uri = &text[method_end + 1..version_start];
    let fault = if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        Some(Fault::Version)
    } else if uri.is_empty()
        || uri.iter().any(|&byte| byte <= b' ' || matches!(byte, b'<' | b'>' | b'"' | 127))
    {
        Some(Fault::RequestUri)
    } else {
        None
    };
    let start = Start::Request {
        method: Method::of(token),
        token: Span::new(line.start..line.start + method_end),
        uri: Span::new(line.start + method_end + 1..line.start + version_start),
    };
    Ok((start, fault))
}

fn field(bytes: &[u8], line: Range<usize>) -> Result<Field, Fault> {
    let text = bytes.get(line.clone()).unwrap_or_default();
    let colon = text.iter().position(|&byte| byte == b':').ok_or(Fault::Line)?;
    let token = text[..colon].trim_ascii_end();
    let name = Name::of(token);
    if name == Name::Other && (token.is_empty() || !token.iter().copied().all(text::is_token)) {
        return Err(Fault::Line);
    }
    let value = &text[colon + 1..];
    if memchr::memchr(b'\r', value).is_some() {
        return Err(Fault::BareCr);
    }
    let lead = value.len() - value.trim_ascii_start().len();
    let start = line.start + colon + 1 + lead;
    let end = start + value.trim_ascii().len();
    Ok(Field { name, token: Span::new(line.start..line.start + token.len()), value: Span::new(start..end) })
}

/// The same bytes with each line break inside a folded field turned into spaces (§7.3.1).
fn unfold(bytes: &Bytes) -> Bytes {
    let mut copy = bytes.to_vec();
    let mut at = copy.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let mut first = true;
    while let Some((line, next)) = line_at(bytes, at) {
        if line.is_empty() {
            break;
        }
        // A fold after the start line joins nothing: it stays, and is a fault.
        if !first && matches!(bytes.get(next), Some(b' ' | b'\t')) {
            copy[line.end..next].fill(b' ');
        } else if first && matches!(bytes.get(next), Some(b' ' | b'\t')) {
            copy[next] = b':';
        }
        first = false;
        at = next;
    }
    Bytes::from(copy)
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
