//! A message as ranges over its bytes (RFC 3261 §7).
//!
//! [`Message::parse`] fails only where no answer is possible. Everything else that is wrong with
//! the syntax is kept as the message's first [`Fault`], so that the request can be refused with a
//! reason (400, §8.2, §16.3) by whoever answers it.

mod fault;
mod heads;
mod scan;

pub use fault::{Fault, ParseError};

use super::header::Stands;
use super::text::List;
use super::{Method, Name, text};
use crate::base::limit;
use bytes::Bytes;
use heads::Heads;
use scan::Folds;
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
        const { assert!(limit::MESSAGE_BYTES_MAX <= u16::MAX as usize) };
        #[allow(clippy::cast_possible_truncation)]
        let narrow = |at: usize| at as u16;
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

/// Where the first field of each name stands, noted while the message is read: what a message is
/// asked for, over and over, is found without a search.
#[derive(Clone, Copy, Debug)]
struct First([u8; Name::COUNT + 1]);

impl First {
    const NONE: u8 = u8::MAX;
    /// There is no field.
    const EMPTY: Self = Self([Self::NONE; Name::COUNT + 1]);

    /// Notes that a field of this name stands at `place`; `false` if it is not the first.
    fn note(&mut self, name: Name, place: usize) -> bool {
        // There are at most `limit::HEADERS_MAX` fields.
        const { assert!(limit::HEADERS_MAX < Self::NONE as usize) };
        #[allow(clippy::cast_possible_truncation)]
        let place = place as u8;
        match self.0.get_mut(name as usize) {
            Some(first) if *first == Self::NONE => {
                *first = place;
                true
            }
            _ => false,
        }
    }

    /// The place; past the end of all fields if there is none.
    fn of(&self, name: Name) -> usize {
        usize::from(self.0.get(name as usize).copied().unwrap_or(Self::NONE))
    }
}

/// A SIP request or response.
#[derive(Clone, Debug)]
pub struct Message {
    bytes: Bytes,
    start: Start,
    fields: SmallVec<[Field; 20]>,
    first: First,
    body: Span,
    heads: Heads,
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
        // Not by `?`, which would move the message once more: it is large.
        let mut parsed = Self::started(bytes);
        if let Ok(message) = &mut parsed {
            message.complete();
        }
        parsed
    }

    /// Reads all behind the start line.
    fn complete(&mut self) {
        if self.find_fields() == Folds::Yes
            && let Ok(unfolded) = Self::started(scan::unfold(&self.bytes))
        {
            *self = unfolded;
            self.find_fields();
        }
        self.read_heads();
        if self.fault.is_none() {
            self.fault = self.semantic_fault();
        }
    }

    /// What every message must have, checked once so that those who use it need not.
    fn semantic_fault(&self) -> Option<Fault> {
        let stands = |name| self.first.of(name) < self.fields.len();
        if !(stands(Name::Via) && stands(Name::From) && stands(Name::To)) {
            return Some(Fault::Missing);
        }
        if !self.is_routed() {
            return Some(Fault::Via);
        }
        if !self.is_addressed() {
            return Some(Fault::FromTo);
        }
        if self.field(Name::CallId).is_none_or(<[u8]>::is_empty) || !stands(Name::CSeq) {
            return Some(Fault::Missing);
        }
        if !self.is_numbered() || self.is_request() && self.cseq().method != self.method_token() {
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
        self.fields.get(self.first.of(name)).map(|field| field.value.of(&self.bytes))
    }

    /// The values of all fields of this name, each as it stands in its line.
    pub fn fields(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        let from = self.fields.get(self.first.of(name)..).unwrap_or_default();
        from.iter().filter(move |field| field.name == name).map(|field| field.value.of(&self.bytes))
    }

    /// The values of all fields of this name, one by one (§7.3.1): of a list between its commas, of
    /// any other name each field as it stands.
    pub fn values(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        let is_list = name.stands() == Stands::List;
        self.fields(name).flat_map(move |value| if is_list { List::new(value) } else { List::one(value) })
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

    /// Call-ID; empty in a message with a fault.
    #[must_use]
    pub fn call_id(&self) -> &[u8] {
        self.field(Name::CallId).unwrap_or_default()
    }

    /// Max-Forwards, 0–255; `None` if it does not stand.
    #[must_use]
    pub fn max_forwards(&self) -> Option<u8> {
        text::decimal(self.field(Name::MaxForwards)?).and_then(|hops| u8::try_from(hops).ok())
    }
}

#[cfg(test)]
mod tests;
