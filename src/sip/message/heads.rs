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
}

#[derive(Clone, Copy, Debug)]
struct AddressSpans {
    display: Span,
    uri: Span,
    params: Span,
    tag: Span,
}

impl Span {
    /// Where a part of `whole` stands in it; an empty part has no place.
    fn within(whole: &[u8], part: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
        if part.is_empty() || start >= whole.len() {
            Self::default()
        } else {
            Self::new(start..start + part.len())
        }
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

impl Heads {
    pub(super) fn of(message: &Message) -> Self {
        let whole = &*message.bytes;
        let span = |part| Span::within(whole, part);
        let via = message.field(Name::Via).and_then(Via::parse).map(|via| ViaSpans {
            version: span(via.version),
            transport: span(via.transport),
            host: span(via.host),
            port: via.port,
            params: span(via.params),
            raw: span(via.raw),
            branch: span(via.branch().unwrap_or_default()),
        });
        let address = |name| message.field(name).and_then(|value| AddressSpans::of(whole, value));
        let cseq = message.field(Name::CSeq).and_then(CSeq::parse);
        let cseq = cseq.map(|cseq| (cseq.number, span(cseq.method)));
        Self { via, from: address(Name::From), to: address(Name::To), cseq }
    }
}

impl Message {
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

    /// Whether From, To and CSeq could be read.
    pub(super) fn is_addressed(&self) -> bool {
        self.heads.from.is_some() && self.heads.to.is_some()
    }

    /// Whether CSeq could be read.
    pub(super) fn is_numbered(&self) -> bool {
        self.heads.cseq.is_some()
    }
}
