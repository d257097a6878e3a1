//! What every message is asked for over and over, read once: its topmost Via, From, To and CSeq.

use super::{Message, Span};
use crate::sip::{CSeq, Name, NameAddr, Via};

/// The parts of these values as ranges; of a value that cannot be read, nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heads {
    via: Option<ViaSpans>,
    from: Option<AddressSpans>,
    to: Option<AddressSpans>,
    cseq: Option<(u32, Span)>,
}

#[derive(Clone, Copy, Debug)]
struct ViaSpans {
    version: Span,
    transport: Span,
    host: Span,
    port: Option<u16>,
    params: Span,
    raw: Span,
    branch: Span,
    /// Whether it is of SIP/2.0 and all else in its field are Via values too.
    is_good: bool,
}

#[derive(Clone, Copy, Debug)]
struct AddressSpans {
    display: Span,
    uri: Span,
    params: Span,
    tag: Span,
}

impl Span {
    /// Where a part of `whole` stands in it. An empty part may stand elsewhere: its range is any empty
    /// one.
    fn within(whole: &[u8], part: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
        Self::new(start..start.wrapping_add(part.len()))
    }
}

impl AddressSpans {
    fn of(whole: &[u8], value: &[u8]) -> Option<Self> {
        let address = NameAddr::parse(value)?;
        let span = |part| Span::within(whole, part);
        let tag = span(address.tag().unwrap_or_default());
        Some(Self {
            display: span(address.display),
            uri: span(address.uri),
            params: span(address.params),
            tag,
        })
    }

    fn read(self, whole: &[u8]) -> NameAddr<'_> {
        NameAddr { display: self.display.of(whole), uri: self.uri.of(whole), params: self.params.of(whole) }
    }
}

impl ViaSpans {
    fn of(whole: &[u8], field: &[u8]) -> Option<Self> {
        let via = Via::parse(field)?;
        let span = |part| Span::within(whole, part);
        Some(Self {
            version: span(via.version),
            transport: span(via.transport),
            host: span(via.host),
            port: via.port,
            params: span(via.params),
            raw: span(via.raw),
            branch: span(via.branch().unwrap_or_default()),
            is_good: via.is_good_in(field),
        })
    }
}

impl Message {
    /// Reads the heads of a message whose fields are found.
    pub(super) fn read_heads(&mut self) {
        let cseq = self.field(Name::CSeq).and_then(CSeq::parse);
        self.heads.cseq = cseq.map(|cseq| (cseq.number, Span::within(&self.bytes, cseq.method)));
        self.heads.via = self.field(Name::Via).and_then(|field| ViaSpans::of(&self.bytes, field));
        self.heads.from = self.field(Name::From).and_then(|value| AddressSpans::of(&self.bytes, value));
        self.heads.to = self.field(Name::To).and_then(|value| AddressSpans::of(&self.bytes, value));
    }

    /// The topmost Via; `None` only in a message with a fault.
    #[must_use]
    pub fn via(&self) -> Option<Via<'_>> {
        let ViaSpans { version, transport, host, port, params, raw, .. } = self.heads.via?;
        let of = |span: Span| span.of(&self.bytes);
        let (version, transport, host) = (of(version), of(transport), of(host));
        Some(Via { version, transport, host, port, params: of(params), raw: of(raw) })
    }

    /// The branch of the topmost Via; `None` if it is missing or empty.
    #[must_use]
    pub fn branch(&self) -> Option<&[u8]> {
        self.heads.via.map(|via| via.branch.of(&self.bytes)).filter(|branch| !branch.is_empty())
    }

    /// From; empty parts in a message with a fault.
    #[must_use]
    pub fn from(&self) -> NameAddr<'_> {
        self.heads.from.map(|from| from.read(&self.bytes)).unwrap_or_default()
    }

    /// The tag of From; `None` if it is missing or empty.
    #[must_use]
    pub fn from_tag(&self) -> Option<&[u8]> {
        self.heads.from.map(|from| from.tag.of(&self.bytes)).filter(|tag| !tag.is_empty())
    }

    /// To; empty parts in a message with a fault.
    #[must_use]
    pub fn to(&self) -> NameAddr<'_> {
        self.heads.to.map(|to| to.read(&self.bytes)).unwrap_or_default()
    }

    /// The tag of To; `None` if it is missing or empty.
    #[must_use]
    pub fn to_tag(&self) -> Option<&[u8]> {
        self.heads.to.map(|to| to.tag.of(&self.bytes)).filter(|tag| !tag.is_empty())
    }

    /// CSeq; zero and empty in a message with a fault.
    #[must_use]
    pub fn cseq(&self) -> CSeq<'_> {
        let read = |(number, method): (u32, Span)| CSeq { number, method: method.of(&self.bytes) };
        self.heads.cseq.map(read).unwrap_or_default()
    }

    /// Whether the topmost Via, and what stands in its field, could be read.
    pub(super) fn is_routed(&self) -> bool {
        self.heads.via.is_some_and(|via| via.is_good)
    }

    /// Whether From and To could be read.
    pub(super) fn is_addressed(&self) -> bool {
        self.heads.from.is_some() && self.heads.to.is_some()
    }

    /// Whether CSeq could be read.
    pub(super) fn is_numbered(&self) -> bool {
        self.heads.cseq.is_some()
    }
}
