//! The requests that are made from an INVITE as it was sent: its CANCEL (RFC 3261 §9.1) and the
//! ACK to a final answer other than 2xx (§17.1.1.3).

use crate::base::token::Token;
use crate::sip::{Message, Name, Writer};
use bytes::{Bytes, BytesMut};

/// The ACK to a 3xx–6xx answer.
pub(super) fn ack(out: &mut BytesMut, invite: &Message, answer: &Message) -> Bytes {
    let mut writer = head(out, b"ACK", invite, answer.field(Name::To).or_else(|| invite.field(Name::To)));
    writer.begin(Name::CSeq).number(invite.cseq().number.into()).text(" ACK").end();
    writer.finish()
}

/// The CANCEL, with the value of its Reason header field, if any (RFC 3326).
pub(super) fn cancel(out: &mut BytesMut, invite: &Message, reason: Option<&str>) -> Bytes {
    let mut writer = head(out, b"CANCEL", invite, invite.field(Name::To));
    writer.begin(Name::CSeq).number(invite.cseq().number.into()).text(" CANCEL").end();
    if let Some(reason) = reason {
        writer.field(Name::Reason, reason.as_bytes());
    }
    writer.finish()
}

/// The branch of an INVITE that we sent.
pub(super) fn branch(invite: &Message) -> Option<Token> {
    Token::of_branch(invite.branch()?)
}

/// Request-URI, the topmost Via, Route, From and Call-ID as the INVITE has them, and To.
fn head<'a>(out: &'a mut BytesMut, method: &[u8], invite: &Message, to: Option<&[u8]>) -> Writer<'a> {
    let mut writer = Writer::request(out, method, invite.request_uri());
    if let Some(via) = invite.via() {
        writer.field(Name::Via, via.raw);
    }
    writer.field(Name::MaxForwards, b"70");
    for route in invite.fields(Name::Route) {
        writer.field(Name::Route, route);
    }
    for (name, value) in
        [(Name::From, invite.field(Name::From)), (Name::To, to), (Name::CallId, invite.field(Name::CallId))]
    {
        writer.field(name, value.unwrap_or_default());
    }
    writer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_made_from_the_invite_as_sent() {
        let invite = Message::parse(Bytes::from_static(
            b"INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP s:5060;branch=z9hG4bK1, SIP/2.0/UDP t\r\nMax-Forwards: 7\r\n\
            Route: <sip:p;lr>\r\nRoute: <sip:q;lr>\r\nFrom: <sip:a@s>;tag=1\r\nTo: <sip:b@s>\r\nCall-ID: i\r\n\
            CSeq: 9 INVITE\r\nContact: <sip:c@s>\r\nSubject: s\r\nContent-Length: 0\r\n\r\n",
        ))
        .unwrap();
        let answer = Message::parse(Bytes::from_static(
            b"SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP s:5060;branch=z9hG4bK1\r\nFrom: <sip:a@s>;tag=1\r\nTo: <sip:b@s>;tag=2\r\n\
            Call-ID: i\r\nCSeq: 9 INVITE\r\nContent-Length: 0\r\n\r\n",
        ))
        .unwrap();
        let mut out = BytesMut::new();
        let middle = "sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP s:5060;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
            Route: <sip:p;lr>\r\nRoute: <sip:q;lr>\r\nFrom: <sip:a@s>;tag=1\r\n";
        assert_eq!(
            ack(&mut out, &invite, &answer),
            format!(
                "ACK {middle}To: <sip:b@s>;tag=2\r\nCall-ID: i\r\nCSeq: 9 ACK\r\nContent-Length: 0\r\n\r\n"
            )
        );
        assert_eq!(
            cancel(&mut out, &invite, Some("SIP;cause=200")),
            format!(
                "CANCEL {middle}To: <sip:b@s>\r\nCall-ID: i\r\nCSeq: 9 CANCEL\r\nReason: SIP;cause=200\r\nContent-Length: 0\r\n\r\n"
            )
        );
    }
}
