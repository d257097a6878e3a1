//! The head of a response to a request, and where it goes (RFC 3261 §8.2.6, §18.2; RFC 3581).

use super::{Message, Name, Via, Writer, text, uri};
use crate::base::flow::{Flow, Transport};
use bytes::BytesMut;
use std::net::SocketAddr;

/// The To tag of a response.
#[derive(Clone, Copy, Debug)]
pub enum ToTag<'a> {
    /// As the request has it: 100, and requests in a dialog.
    AsIs,
    /// This one, unless the request has one already.
    Mint(&'a [u8]),
}

/// Begins a response: status line, every Via (the topmost with `received` and `rport` filled in),
/// From, To, Call-ID and CSeq, as far as the request has them.
///
/// `source` is where the request came from. Further fields may follow before the body.
pub fn begin<'a>(
    out: &'a mut BytesMut,
    request: &Message,
    source: SocketAddr,
    code: u16,
    reason: Option<&[u8]>,
    tag: ToTag<'_>,
) -> Writer<'a> {
    let mut writer = Writer::response(out, code, reason);
    let mut vias = request.fields(Name::Via);
    if let Some(first) = vias.next() {
        write_top_via(&mut writer, first, request.via(), source);
    }
    for via in vias {
        writer.field(Name::Via, via);
    }
    if let Some(from) = request.field(Name::From) {
        writer.field(Name::From, from);
    }
    if let Some(to) = request.field(Name::To) {
        writer.begin(Name::To).bytes(to);
        if let ToTag::Mint(tag) = tag
            && request.to_tag().is_none()
        {
            writer.bytes(b";tag=").bytes(tag);
        }
        writer.end();
    }
    for name in [Name::CallId, Name::CSeq] {
        if let Some(value) = request.field(name) {
            writer.field(name, value);
        }
    }
    writer
}

/// The first Via field of a request with `received` and `rport` set in its first value (RFC 3261
/// §18.2.1, RFC 3581 §4). `received` is always set: it costs little and old phones like it.
fn write_top_via(writer: &mut Writer<'_>, field: &[u8], via: Option<Via<'_>>, source: SocketAddr) {
    let Some(via) = via else {
        writer.field(Name::Via, field);
        return;
    };
    writer
        .begin(Name::Via)
        .text("SIP/")
        .bytes(via.version)
        .bytes(b"/")
        .bytes(via.transport)
        .bytes(b" ")
        .bytes(via.host);
    if let Some(port) = via.port {
        writer.bytes(b":").number(port.into());
    }
    for (name, value) in text::Params::new(via.params) {
        if name.eq_ignore_ascii_case(b"received") {
            continue; // whatever the sender claims, only we saw where it came from
        }
        writer.bytes(b";").bytes(name);
        if name.eq_ignore_ascii_case(b"rport") {
            writer.bytes(b"=").number(source.port().into());
        } else if let Some(value) = value {
            writer.bytes(b"=").bytes(value);
        }
    }
    writer.bytes(b";received=").ip_bare(source);
    let raw_end = via.raw.as_ptr_range().end as usize - field.as_ptr_range().start as usize;
    writer.bytes(field.get(raw_end..).unwrap_or_default()).end();
}

/// Where a response goes: back over the connection; over UDP to the source address, at the source
/// port if `rport` was asked for, else at the port of the sent-by (RFC 3581 §4, RFC 3261 §18.2.2).
///
/// `maddr` is not followed: it would let anybody aim our answers at a third party.
#[must_use]
pub fn destination(request: &Message, flow: Flow) -> Flow {
    if flow.transport != Transport::Udp {
        return flow;
    }
    match request.via() {
        Some(via) if !via.wants_rport() => {
            let mut back = flow;
            // A sent-by that names the very source address vouches for its port; any other is
            // behind a NAT that only the source port passes.
            if uri::ip(via.host) == Some(flow.remote.ip()) || uri::ip(via.host).is_none() {
                back.remote.set_port(via.port.unwrap_or(5060));
            }
            back
        }
        _ => flow,
    }
}

/// Where a response goes once the connection of its request is gone (RFC 3261 §18.2.2): to the source
/// address, at the port of the sent-by. `None` if the topmost Via names another address than the source,
/// from behind a NAT or by a lie, and for what is not TCP: a client of TLS has no certificate that could
/// be asked for, a browser takes no connection.
///
/// Asked of server transactions only: who has one has signed in, or is the peer of a call. What is answered
/// without one, to strangers above all, goes nowhere else, so that nobody can have us knock at ports.
#[must_use]
pub fn way_back(request: &Message, flow: &Flow) -> Option<SocketAddr> {
    let via = request.via().filter(|_| flow.transport == Transport::Tcp)?;
    let host = uri::ip(via.host)?.to_canonical();
    let back = SocketAddr::new(flow.remote.ip(), via.port.unwrap_or(5060));
    (host == flow.remote.ip().to_canonical() && back.port() != 0).then_some(back)
}

impl Writer<'_> {
    /// The IP address alone, IPv6 without brackets, as `received` wants it.
    fn ip_bare(&mut self, addr: SocketAddr) -> &mut Self {
        match addr {
            SocketAddr::V4(_) => self.ip(addr),
            SocketAddr::V6(v6) => self.display(v6.ip()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn request(via: &str) -> Message {
        let text = format!(
            "OPTIONS sip:a SIP/2.0\r\nv: {via}\r\nVia: SIP/2.0/TCP z;branch=1\r\nf: <sip:b>;tag=9\r\nt: <sip:a>\r\ni: c\r\nCSeq: 1 OPTIONS\r\n\r\n"
        );
        let message = Message::parse(Bytes::from(text)).unwrap();
        assert_eq!(message.fault(), None);
        message
    }

    #[test]
    fn the_head_is_that_of_the_request() {
        let mut out = BytesMut::new();
        let request =
            request("SIP/2.0/UDP 10.0.0.1:5062;rport;branch=z9hG4bK1;received=1.1.1.1, SIP/2.0/UDP y");
        let source = "192.0.2.1:1024".parse().unwrap();
        let reply = begin(&mut out, &request, source, 404, None, ToTag::Mint(b"t1")).finish();
        assert_eq!(
            reply,
            "SIP/2.0 404 Not Found\r\n\
             Via: SIP/2.0/UDP 10.0.0.1:5062;rport=1024;branch=z9hG4bK1;received=192.0.2.1, SIP/2.0/UDP y\r\n\
             Via: SIP/2.0/TCP z;branch=1\r\nFrom: <sip:b>;tag=9\r\nTo: <sip:a>;tag=t1\r\nCall-ID: c\r\n\
             CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn where_it_goes() {
        let flow = Flow::udp(0, "192.0.2.1:1024".parse().unwrap());
        for (via, to) in [
            ("SIP/2.0/UDP 10.0.0.1:5062;rport;branch=1", "192.0.2.1:1024"),
            ("SIP/2.0/UDP 192.0.2.1:5062;branch=1", "192.0.2.1:5062"),
            ("SIP/2.0/UDP 192.0.2.1;branch=1", "192.0.2.1:5060"),
            ("SIP/2.0/UDP phone.example;branch=1", "192.0.2.1:5060"),
            ("SIP/2.0/UDP 10.0.0.1:5062;branch=1", "192.0.2.1:1024"),
            ("SIP/2.0/UDP 192.0.2.1:5062;maddr=10.0.0.9;branch=1", "192.0.2.1:5062"),
        ] {
            assert_eq!(destination(&request(via), flow).remote.to_string(), to, "{via}");
        }
    }

    #[test]
    fn the_way_back_is_to_the_source_alone() {
        let flow = |transport| Flow { transport, ..Flow::udp(0, "192.0.2.1:1024".parse().unwrap()) };
        for (transport, via, back) in [
            (Transport::Tcp, "SIP/2.0/TCP 192.0.2.1:5062;rport;branch=1", Some("192.0.2.1:5062")),
            (Transport::Tcp, "SIP/2.0/TCP 192.0.2.1;branch=1", Some("192.0.2.1:5060")),
            (Transport::Tcp, "SIP/2.0/TCP 192.0.2.1:0;branch=1", None),
            (Transport::Tcp, "SIP/2.0/TCP 10.0.0.1:5062;branch=1;received=10.0.0.1", None),
            (Transport::Tcp, "SIP/2.0/TCP 10.0.0.1:22;maddr=10.0.0.9;branch=1", None),
            (Transport::Tcp, "SIP/2.0/TCP phone.example;branch=1", None),
            (Transport::Udp, "SIP/2.0/UDP 192.0.2.1:5062;branch=1", None),
            (Transport::Tls, "SIP/2.0/TLS 192.0.2.1:5062;branch=1", None),
            (Transport::Ws, "SIP/2.0/WS 192.0.2.1:5062;branch=1", None),
        ] {
            let found = way_back(&request(via), &flow(transport)).map(|back| back.to_string());
            assert_eq!(found.as_deref(), back, "{via}");
        }
    }
}
