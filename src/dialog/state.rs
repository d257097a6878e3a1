//! The state of one dialog (RFC 3261 §12).
//!
//! | State     | Input | Next | What |
//! |-----------|-------|------|------|
//! | early     | 2xx to our INVITE | confirmed | remote tag, remote target and route set from it (§12.1.2) |
//! | any       | request, CSeq above the last one | same | its CSeq is the last one (§12.2.2) |
//! | any       | request, CSeq not above the last one | same | refused: 500 |
//! | confirmed | re-INVITE, or 2xx to ours, with Contact | confirmed | remote target from it (§12.2.1.2, §12.2.2) |
//!
//! The dialog of an INVITE that came in is confirmed from the start as far as its state goes: the
//! caller's tag, target and routes are all in the INVITE (§12.1.1).

use super::Texts;
use crate::base::flow::{Flow, Transport};
use crate::base::limit;
use crate::base::token::{COOKIE, Token};
use crate::sip::uri::{ip, without_headers};
use crate::sip::{Message, Name, NameAddr, Scheme, Uri, Writer};
use bytes::{Bytes, BytesMut};
use std::net::SocketAddr;

/// The way to the peer of a dialog.
#[derive(Clone, Debug)]
pub struct Hop {
    /// Where requests go, whatever the remote target says.
    pub flow: Flow,
    /// Our `host[:port]` as this peer reaches it, for Via and Contact.
    pub sent_by: Bytes,
}

/// Why an INVITE makes no dialog; all are 400.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DialogError {
    /// Not exactly one Contact with a URI (§8.1.1.8), or one longer than
    /// [`limit::CONTACT_BYTES_MAX`].
    #[error("Bad Contact")]
    Contact,
    /// Record-Route is longer than [`limit::ROUTES_BYTES_MAX`].
    #[error("Bad Record-Route")]
    Routes,
}

/// One dialog, from our side.
#[derive(Clone, Debug)]
pub struct Dialog {
    local_tag: Token,
    /// In this order:
    ///
    /// | text | |
    /// | --- | --- |
    /// | Call-ID | |
    /// | remote tag | empty until it is known, and for a peer of RFC 2543 that has none |
    /// | local | From of our requests, with our tag |
    /// | remote | To of our requests, with the remote tag once it is known |
    /// | target | the remote target: the Request-URI of our requests |
    /// | strict | the first router, if it is a strict one: then it is the Request-URI; else empty |
    /// | routes | the route set as lines of Route, without a strict first router |
    texts: Texts<7>,
    local_cseq: u32,
    /// The highest CSeq that came; `None` before the first.
    remote_cseq: Option<u32>,
    confirmed: bool,
    /// Whether it was begun by a request for a sips URI: then our Contact is one (§12.1.1).
    secure: bool,
}

impl Dialog {
    /// The dialog that an INVITE from outside makes, with our tag (§12.1.1).
    ///
    /// # Errors
    /// If it says no usable Contact or too long a route set.
    pub fn of_invite(invite: &Message, tag: Token) -> Result<Self, DialogError> {
        let contact = contact(invite).ok_or(DialogError::Contact)?;
        let Routes { strict, lines } = routes(invite, false).ok_or(DialogError::Routes)?;
        let from = invite.field(Name::From).unwrap_or_default();
        let to = invite.field(Name::To).unwrap_or_default();
        let texts = Texts::of([
            &[invite.call_id()],
            &[invite.from_tag().unwrap_or_default()],
            &[to, b";tag=", tag.as_bytes()],
            &[from],
            &[contact],
            &[strict],
            &[&lines],
        ]);
        let remote_cseq = Some(invite.cseq().number);
        Ok(Self {
            local_tag: tag,
            texts,
            local_cseq: 0,
            remote_cseq,
            confirmed: true,
            secure: Scheme::of(invite.request_uri()) == Some(Scheme::Sips),
        })
    }

    /// The dialog that an INVITE of ours may make: `from` and `to` are name-addrs without a tag,
    /// `target` becomes the Request-URI, without its headers.
    #[must_use]
    pub fn of_ours(call_id: Token, tag: Token, from: &[u8], to: &[u8], target: &[u8]) -> Self {
        let secure = Scheme::of(target) == Some(Scheme::Sips);
        let texts = Texts::of([
            &[call_id.as_bytes()],
            &[],
            &[from, b";tag=", tag.as_bytes()],
            &[to],
            &[without_headers(target)],
            &[],
            &[],
        ]);
        Self { local_tag: tag, texts, local_cseq: 0, remote_cseq: None, confirmed: false, secure }
    }

    /// The same over these hops until it is answered: lines of Route, as [`crate::sip`] writes them.
    #[must_use]
    pub fn routed(mut self, lines: &[u8]) -> Self {
        if !lines.is_empty() {
            let [call_id, remote_tag, local, remote, target, strict, _] = self.texts.each();
            self.texts =
                Texts::of([&[call_id], &[remote_tag], &[local], &[remote], &[target], &[strict], &[lines]]);
        }
        self
    }

    /// Our INVITE was answered 2xx: the dialog with whoever answered (§12.1.2, §13.2.2.4).
    ///
    /// A 2xx without a usable Contact leaves the target as it was, one with too long a route set
    /// leaves that empty: it must be acknowledged all the same.
    pub fn answered(&mut self, response: &Message) {
        let Routes { strict, lines } = routes(response, true).unwrap_or_default();
        let [call_id, _, local, _, target, ..] = self.texts.each();
        self.texts = Texts::of([
            &[call_id],
            &[response.to_tag().unwrap_or_default()],
            &[local],
            &[response.field(Name::To).unwrap_or_default()],
            &[contact(response).unwrap_or(target)],
            &[strict],
            &[&lines],
        ]);
        self.confirmed = true;
    }

    /// Whether a request belongs to this dialog: Call-ID and both tags (§12.2.2).
    #[must_use]
    pub fn owns(&self, request: &Message) -> bool {
        let [call_id, remote_tag, ..] = self.texts.each();
        self.confirmed
            && call_id == request.call_id()
            && remote_tag == request.from_tag().unwrap_or_default()
            && request.to_tag() == Some(self.local_tag.as_bytes())
    }

    /// Takes the CSeq of a request; `false` if it is not above the last one.
    ///
    /// RFC 3261 §12.2.2 refuses what is lower; an equal one that is no repetition of a transaction
    /// is out of order as well.
    #[must_use]
    pub fn takes(&mut self, cseq: u32) -> bool {
        let rises = Some(cseq) > self.remote_cseq;
        self.remote_cseq = self.remote_cseq.max(Some(cseq));
        rises
    }

    /// Takes the remote target from the 2xx to a re-INVITE of ours, if it says one.
    pub fn refresh(&mut self, message: &Message) {
        self.move_to(self.target_in(message));
    }

    /// The remote target that a re-INVITE says, if it is another one. It counts once the re-INVITE is
    /// accepted (RFC 6141 §4.6): [`move_to`](Self::move_to).
    #[must_use]
    pub fn target_in(&self, message: &Message) -> Option<Bytes> {
        let [.., present, _, _] = self.texts.each();
        contact(message).filter(|target| *target != present).map(Bytes::copy_from_slice)
    }

    /// Takes a new remote target, if there is one.
    pub fn move_to(&mut self, target: Option<Bytes>) {
        if let Some(target) = target {
            let [call_id, remote_tag, local, remote, _, strict, routes] = self.texts.each();
            self.texts =
                Texts::of([&[call_id], &[remote_tag], &[local], &[remote], &[&target], &[strict], &[routes]]);
        }
    }

    /// The number of the next request of ours.
    pub fn next_cseq(&mut self) -> u32 {
        self.local_cseq += 1;
        self.local_cseq
    }

    /// The number of the last request of ours.
    #[must_use]
    pub const fn last_cseq(&self) -> u32 {
        self.local_cseq
    }

    /// Our tag.
    #[must_use]
    pub const fn local_tag(&self) -> Token {
        self.local_tag
    }

    /// The peer's tag; empty while it is not known.
    #[must_use]
    pub fn remote_tag(&self) -> &[u8] {
        let [_, remote_tag, ..] = self.texts.each();
        remote_tag
    }

    /// The address that our requests are for by their first route, else by the remote target; `None` if that
    /// names a host, or wants TLS.
    #[must_use]
    pub fn next_hop(&self) -> Option<SocketAddr> {
        let [.., target, strict, routes] = self.texts.each();
        let first = || {
            let value = routes.strip_prefix(b"Route: ")?;
            Some(NameAddr::parse(value.get(..memchr::memchr(b'\r', value)?)?)?.uri)
        };
        let uri = match (strict.is_empty(), routes.is_empty()) {
            (false, _) => strict,
            (true, false) => first()?,
            (true, true) => target,
        };
        let uri = Uri::parse(uri).filter(|uri| uri.scheme == Scheme::Sip)?;
        Some(SocketAddr::new(ip(uri.host)?.to_canonical(), uri.port.unwrap_or(5060)))
    }

    /// Whether it was confirmed: the first INVITE was answered, or it came from the peer.
    #[must_use]
    pub const fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// Begins a request within the dialog, up to CSeq; further fields and the body may follow
    /// (§12.2.1.1).
    pub fn request<'a>(
        &self,
        out: &'a mut BytesMut,
        method: &str,
        cseq: u32,
        branch: Token,
        hop: &Hop,
        hops_left: u8,
    ) -> Writer<'a> {
        // A strict router takes the next Route for the Request-URI, so the target is the last of them.
        let [call_id, _, local, remote, target, strict, routes] = self.texts.each();
        let uri = if strict.is_empty() { target } else { strict };
        let mut writer = Writer::request(out, method.as_bytes(), uri);
        writer
            .begin(Name::Via)
            .text("SIP/2.0/")
            .text(hop.flow.transport.via())
            .bytes(b" ")
            .bytes(&hop.sent_by);
        writer.bytes(b";rport;branch=").bytes(COOKIE).bytes(branch.as_bytes()).end();
        writer.begin(Name::MaxForwards).number(hops_left.into()).end();
        writer.bytes(routes);
        if !strict.is_empty() {
            writer.begin(Name::Route).bytes(b"<").bytes(target).bytes(b">").end();
        }
        writer.field(Name::From, local).field(Name::To, remote).field(Name::CallId, call_id);
        writer.begin(Name::CSeq).number(cseq.into()).bytes(b" ").text(method).end();
        writer
    }

    /// Writes the Contact of this dialog: our tag at our address.
    pub fn contact(&self, writer: &mut Writer<'_>, hop: &Hop) {
        writer
            .begin(Name::Contact)
            .bytes(if self.secure { &b"<sips:"[..] } else { b"<sip:" })
            .bytes(self.local_tag.as_bytes())
            .bytes(b"@")
            .bytes(&hop.sent_by);
        let transport = hop.flow.transport;
        // Of a sips URI, TLS is understood (RFC 5630 §3.1.4).
        if transport.is_reliable() && !(self.secure && transport == Transport::Tls) {
            writer.bytes(b";transport=").text(hop.flow.transport.uri());
        }
        writer.bytes(b">").end();
    }
}

/// The URI of the one Contact of a message, as it may stand in a request line; `None` if there is none, more than one, or one that is
/// too long or `*`.
fn contact(message: &Message) -> Option<&[u8]> {
    let mut all = message.values(Name::Contact);
    let uri = all.next().filter(|value| *value != b"*").and_then(NameAddr::parse)?.uri;
    let clean =
        uri.len() <= limit::CONTACT_BYTES_MAX && !uri.iter().any(|byte| *byte <= b' ' || *byte == 127);
    (clean && all.next().is_none()).then(|| without_headers(uri))
}

/// A route set: its first router if that is a strict one, and lines of Route for all others.
#[derive(Default)]
struct Routes<'m> {
    strict: &'m [u8],
    lines: Vec<u8>,
}

/// The route set of Record-Route; `None` if it is longer than [`limit::ROUTES_BYTES_MAX`].
fn routes(message: &Message, reversed: bool) -> Option<Routes<'_>> {
    let mut values: smallvec::SmallVec<[&[u8]; 4]> = message.values(Name::RecordRoute).collect();
    if reversed {
        values.reverse();
    }
    let first = values.first().and_then(|value| NameAddr::parse(value));
    let strict = first.filter(|first| Uri::parse(first.uri).is_some_and(|uri| !uri.is_loose()));
    let strict = strict.map_or(&b""[..], |first| without_headers(first.uri));
    let mut lines = Vec::new();
    for value in values.iter().skip(usize::from(!strict.is_empty())) {
        for piece in [b"Route: ", *value, b"\r\n"] {
            lines.extend_from_slice(piece);
        }
    }
    (lines.len() + strict.len() <= limit::ROUTES_BYTES_MAX).then_some(Routes { strict, lines })
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
