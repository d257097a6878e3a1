//! What the two ends of a call say: the parts of their messages.

use super::Call;
use crate::digest::{Answer, Challenge};
use crate::drive::{Branch, Lane};
use crate::net::Net;
use crate::put;
use crate::register::{Identity, put_contact_uri};
use crate::sip::{self, Headers, Name};
use crate::text::{Hex, hexadecimal, split_once};
use std::net::SocketAddrV4;

/// The tags that this tool gives out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Caller { lane: Lane, number: u64 },
    Callee { slot: u32, number: u64 },
}

impl Tag {
    pub(super) fn put(self, out: &mut Vec<u8>) {
        match self {
            Tag::Caller { lane, number } => put!(out, "caller", Hex(lane.into(), 1), ".", Hex(number, 1)),
            Tag::Callee { slot, number } => put!(out, "callee", Hex(slot.into(), 1), ".", Hex(number, 1)),
        }
    }

    pub(super) fn parse(tag: &[u8]) -> Option<Tag> {
        let (side, rest) = tag.split_at_checked(6)?;
        let (index, number) = split_once(rest, b'.')?;
        let (index, number) = (u32::try_from(hexadecimal(index)?).ok()?, hexadecimal(number)?);
        match side {
            b"caller" => Some(Tag::Caller { lane: index, number }),
            b"callee" => Some(Tag::Callee { slot: index, number }),
            _ => None,
        }
    }
}

/// Request line, Via, Max-Forwards, From, Call-ID and CSeq of a request by the caller.
#[allow(clippy::too_many_arguments)]
pub(super) fn put_request_head(
    out: &mut Vec<u8>,
    net: &Net,
    identity: &Identity,
    run: u64,
    call: &Call,
    lane: Lane,
    method: &[u8],
    uri: &[u8],
    branch: Branch,
) {
    let local = net.local(identity.socket(call.caller));
    put!(out, method, " ", uri, " SIP/2.0\r\nVia: SIP/2.0/UDP ", local, ";rport;branch=");
    branch.put(out);
    put!(out, "\r\nMax-Forwards: 70\r\nFrom: <sip:", identity.user(call.caller), identity.user_suffix, "@");
    put!(out, identity.domain, ">;tag=");
    Tag::Caller { lane, number: call.number }.put(out);
    // The ACK has the number of its INVITE.
    put!(
        out,
        "\r\nCall-ID: ",
        Hex(run, 1),
        ".",
        Hex(call.number, 1),
        "@",
        local,
        "\r\nCSeq: ",
        call.cseq,
        " ",
        method,
        "\r\n"
    );
}

pub(super) fn put_credentials(
    out: &mut Vec<u8>,
    identity: &Identity,
    device: usize,
    method: &[u8],
    uri: &[u8],
    branch: Branch,
    credentials: Option<(&Challenge, &str)>,
) {
    let Some((challenge, header)) = credentials else { return };
    let mut texts = [const { Vec::new() }; 3];
    let [name, password, cnonce] = &mut texts;
    put!(name, identity.user(device), identity.user_suffix);
    identity.put_password(password, identity.user(device));
    put!(cnonce, Hex(branch.seq, 16));
    Answer { user: name, password, method, uri, cnonce, nonce_count: 1 }.put_header(out, header, challenge);
}

/// Status line and the headers that a response copies from its request. A tag is added to the To
/// when there is none; an empty `rport` in the top Via is filled in (RFC 3581).
pub(super) fn put_response_head(
    out: &mut Vec<u8>,
    status: &str,
    request: &[u8],
    from: SocketAddrV4,
    tag: Option<Tag>,
) {
    put!(out, "SIP/2.0 ", status, "\r\n");
    let mut top = true;
    for (name, value) in Headers::of(request) {
        match name {
            Name::Via => {
                put!(out, "Via: ");
                match crate::text::find(value, b";rport").filter(|_| top) {
                    Some(at) if !matches!(value.get(at + 6), Some(b'=')) => {
                        let (before, after) = value.split_at(at + 6);
                        let octets = from.ip().octets().map(u32::from);
                        put!(out, before, "=", u32::from(from.port()), ";received=");
                        put!(out, octets[0], ".", octets[1], ".", octets[2], ".", octets[3], after);
                    }
                    _ => put!(out, value),
                }
                put!(out, "\r\n");
                top = false;
            }
            Name::RecordRoute => put!(out, "Record-Route: ", value, "\r\n"),
            Name::From => put!(out, "From: ", value, "\r\n"),
            Name::To => {
                put!(out, "To: ", value);
                if sip::param(value, "tag").is_none() {
                    put!(out, ";tag=");
                    tag.unwrap_or(Tag::Callee { slot: u32::MAX, number: 0 }).put(out);
                }
                put!(out, "\r\n");
            }
            Name::CallId => put!(out, "Call-ID: ", value, "\r\n"),
            Name::CSeq => put!(out, "CSeq: ", value, "\r\n"),
            _ => {}
        }
    }
}

pub(super) fn put_callee_contact(out: &mut Vec<u8>, net: &Net, identity: &Identity, device: usize) {
    put!(out, "Contact: <");
    put_contact_uri(out, net, identity, device);
    put!(out, ">\r\n");
}

/// Content-Type, Content-Length and an SDP body as an ordinary phone sends it.
pub(super) fn put_sdp(out: &mut Vec<u8>, net: &Net, socket: usize) {
    let ip = net.local(socket).split(':').next().unwrap_or_default();
    let mut body = Vec::with_capacity(384);
    put!(&mut body, "v=0\r\no=- 3900000000 1 IN IP4 ", ip, "\r\ns=-\r\nc=IN IP4 ", ip, "\r\nt=0 0\r\n");
    put!(
        &mut body,
        "m=audio ",
        30000 + 2 * socket,
        " RTP/AVP 0 8 9 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:9 G722/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n",
    );
    put!(out, "Content-Type: application/sdp\r\nContent-Length: ", body.len(), "\r\n\r\n", body);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_name_their_side() {
        for tag in [Tag::Caller { lane: 0xff, number: 1 }, Tag::Callee { slot: 3, number: u64::MAX }] {
            let mut text = Vec::new();
            tag.put(&mut text);
            assert_eq!(Tag::parse(&text), Some(tag));
        }
        assert_eq!(Tag::parse(b"as7df6.x"), None);
        assert_eq!(Tag::parse(b"abc"), None);
    }

    #[test]
    fn a_response_copies_its_request() {
        let request = b"INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z1\r\n\
            Via: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z2\r\nRecord-Route: <sip:p;lr>\r\nFrom: <sip:a@h>;tag=1\r\n\
            To: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
        let mut out = Vec::new();
        let from = "127.0.0.1:5060".parse().unwrap();
        put_response_head(&mut out, "200 OK", request, from, Some(Tag::Callee { slot: 1, number: 2 }));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;rport=5060;received=127.0.0.1;branch=z1\r\n\
             Via: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z2\r\nRecord-Route: <sip:p;lr>\r\nFrom: <sip:a@h>;tag=1\r\n\
             To: <sip:b@h>;tag=callee1.2\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
        );
    }
}
