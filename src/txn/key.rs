//! What makes two requests the same transaction (RFC 3261 §17.2.3).
//!
//! With the magic cookie: branch, sent-by and method. The Call-ID is added, since cheap phones
//! behind different NATs can share a private address and a counter for a branch; a true repetition
//! has the same one. Without the cookie (RFC 2543), or with nothing behind it: Request-URI, To and
//! From tag, Call-ID, CSeq number and the topmost Via. There an ACK has the To tag of our answer,
//! where its INVITE has none, or that of the dialog: [`Servers::find`](super::servers::Servers::find)
//! sees to that.

use crate::base::token::COOKIE;
use crate::sip::{Message, Method};

/// Writes the key of the transaction with this method that `request` would belong to: its own, or
/// `Invite` for an ACK, or for what a CANCEL is aimed at. `to_tag` is the one of that transaction's
/// request; it counts without the cookie only.
pub(super) fn write(key: &mut Vec<u8>, request: &Message, method: Method, to_tag: &[u8]) {
    let mut part = |bytes: &[u8]| {
        key.extend_from_slice(bytes);
        key.push(0);
    };
    match method {
        Method::Other => part(request.method_token()),
        known => part(&[1 + known as u8]), // no token begins with so low a byte
    }
    part(request.call_id());
    let Some(via) = request.via() else { return };
    match request.branch() {
        Some(branch) if names_transaction(branch) => {
            part(branch);
            let host = key.len();
            key.extend_from_slice(via.host);
            key[host..].make_ascii_lowercase();
            key.extend_from_slice(&via.port.unwrap_or(0).to_be_bytes());
        }
        _ => {
            part(request.request_uri());
            part(to_tag);
            part(request.from_tag().unwrap_or_default());
            part(&request.cseq().number.to_be_bytes());
            part(via.raw);
        }
    }
}

/// Whether a request's branch alone names its transaction, as since RFC 3261.
pub(super) fn is_modern(request: &Message) -> bool {
    request.branch().is_some_and(names_transaction)
}

fn names_transaction(branch: &[u8]) -> bool {
    branch.len() > COOKIE.len() && branch.starts_with(COOKIE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn key(line: &str, via: &str, call_id: &str, cseq: &str, method: Method) -> Vec<u8> {
        let text = format!(
            "{line} SIP/2.0\r\nVia: SIP/2.0/UDP {via}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n\r\n"
        );
        let message = Message::parse(Bytes::from(text)).unwrap();
        assert_eq!(message.fault(), None);
        let mut key = Vec::new();
        write(&mut key, &message, method, message.to_tag().unwrap_or_default());
        key
    }

    #[test]
    fn with_the_cookie() {
        let invite = key("INVITE sip:x", "Phone:5062;branch=z9hG4bKa", "i", "1 INVITE", Method::Invite);
        let same = |line: &str, via: &str, call_id: &str, cseq: &str, method| {
            key(line, via, call_id, cseq, method) == invite
        };
        assert!(same("INVITE sip:x", "phone:5062;branch=z9hG4bKa;rport", "i", "1 INVITE", Method::Invite));
        assert!(same("ACK sip:x", "phone:5062;branch=z9hG4bKa", "i", "1 ACK", Method::Invite));
        assert!(same("CANCEL sip:x", "phone:5062;branch=z9hG4bKa", "i", "1 CANCEL", Method::Invite));
        assert!(!same("CANCEL sip:x", "phone:5062;branch=z9hG4bKa", "i", "1 CANCEL", Method::Cancel));
        assert!(!same("INVITE sip:x", "phone:5062;branch=z9hG4bKb", "i", "1 INVITE", Method::Invite));
        assert!(!same("INVITE sip:x", "phone:5063;branch=z9hG4bKa", "i", "1 INVITE", Method::Invite));
        assert!(!same("INVITE sip:x", "phone;branch=z9hG4bKa", "i", "1 INVITE", Method::Invite));
        assert!(!same("INVITE sip:x", "phone:5062;branch=z9hG4bKa", "j", "1 INVITE", Method::Invite));
    }

    #[test]
    fn without_the_cookie() {
        let invite = key("INVITE sip:x", "phone:5062;branch=1", "i", "1 INVITE", Method::Invite);
        let same = |line: &str, via: &str, cseq: &str| key(line, via, "i", cseq, Method::Invite) == invite;
        assert!(same("ACK sip:x", "phone:5062;branch=1", "1 ACK"));
        assert!(!same("INVITE sip:y", "phone:5062;branch=1", "1 INVITE"));
        assert!(!same("INVITE sip:x", "phone:5062;branch=2", "1 INVITE"));
        assert!(!same("INVITE sip:x", "phone:5062;branch=1", "2 INVITE"));
        assert_ne!(invite, key("INVITE sip:x", "phone:5062", "i", "1 INVITE", Method::Invite));
    }

    /// RFC 4475 §3.2.1: a phone whose branch is nothing but the cookie has the same one always.
    #[test]
    fn the_bare_cookie_tells_nothing_apart() {
        let of = |line: &str, cseq: &str| key(line, "phone:5062;branch=z9hG4bK", "i", cseq, Method::Invite);
        assert_ne!(of("INVITE sip:x", "1 INVITE"), of("INVITE sip:x", "2 INVITE"));
        assert_eq!(of("INVITE sip:x", "1 INVITE"), of("ACK sip:x", "1 ACK"));
    }

    #[test]
    fn unknown_methods_differ() {
        let of = |method: &str| {
            key(&format!("{method} sip:x"), "p;branch=z9hG4bKa", "i", &format!("1 {method}"), Method::Other)
        };
        assert_ne!(of("FOO"), of("BAR"));
        assert_ne!(of("FOO"), of("foo"));
    }
}
