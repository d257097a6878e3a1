//! A call through a whole `Core`, from the first INVITE to the last 200, both phones being registered:
//!
//! ```text
//! near -> INVITE                  407
//!         ACK
//!         INVITE (credentials)    100, INVITE -> far
//!                                 180, 200 <- far; ACK -> far
//!         ACK
//!         BYE                     200, BYE -> far
//!                                 200 <- far
//! ```
//! A second passes with each call, so that what is left of those of half a minute ago ends, and its
//! record is written, as in service.

use super::station::{Event, REALM, Station, contact, credentials, field, flow, login};
use super::{Work, steps};
use stationmaster::base::flow::Flow;
use std::time::Duration;

/// Calls after which as many transactions end as begin.
const SETTLED: usize = 70;

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                   m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n";

/// The head and the body of a request of the caller.
struct Caller {
    user: u32,
    number: u32,
    uri: String,
}

impl Caller {
    /// A request of the INVITE's dialog; `to` is the value of its To.
    fn request(&self, method: &str, uri: &str, to: &str, cseq: u32, more: &str, body: &str) -> String {
        let (login, remote, number) = (login(self.user), flow(self.user).remote, self.number);
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {remote};rport;branch=z9hG4bK{number:08x}.{cseq}{}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{login}@{REALM}>;tag=near{number}\r\nTo: {to}\r\n\
             Call-ID: {number:016x}@127.0.0.1\r\nCSeq: {cseq} {method}\r\n{more}User-Agent: sipload\r\n\
             Content-Length: {}\r\n\r\n{body}",
            if method == "INVITE" || (method == "ACK" && more.is_empty()) { "i" } else { method },
            body.len()
        )
    }

    fn invite(&self, cseq: u32, authorization: &str) -> String {
        let contact = contact(self.user);
        let more = format!(
            "Contact: <{contact}>\r\n{authorization}Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, UPDATE\r\n\
             Supported: replaces\r\nContent-Type: application/sdp\r\n"
        );
        self.request("INVITE", &self.uri, &format!("<{}>", self.uri), cseq, &more, SDP)
    }
}

/// What the called phone answers; `tagged` is the value of its To.
fn answer(request: &str, status: &str, tagged: &str, more: &str, body: &str) -> String {
    let vias: String =
        request.lines().filter(|line| line.starts_with("Via: ")).map(|line| format!("{line}\r\n")).collect();
    let [from, call_id, cseq] = ["From", "Call-ID", "CSeq"].map(|name| field(request, name));
    format!(
        "SIP/2.0 {status}\r\n{vias}From: {from}\r\nTo: {tagged}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n{more}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The one message of those that begins so.
fn one(sent: Vec<(Flow, String)>, begins: &str) -> String {
    let mut found: Vec<String> = sent.iter().map(|(_, text)| text.clone()).collect();
    found.retain(|text| text.starts_with(begins));
    assert!(found.len() == 1, "one {begins} in {sent:?}");
    found.remove(0)
}

/// One call of the user whose turn it is to the next one.
fn call(station: &mut Station, users: u32) {
    let (number, near) = station.next();
    let far = (near + 1) % users;
    let caller = Caller { user: near, number, uri: format!("sip:{}@{REALM}", login(far)) };

    let challenge = one(station.say(near, caller.invite(1, "")), "SIP/2.0 407 ");
    let ack = caller.request("ACK", &caller.uri, field(&challenge, "To"), 1, "", "");
    assert!(station.say(near, ack).is_empty());
    let authorization = credentials(near, &challenge, "Proxy-Authorization", "INVITE", &caller.uri, 1);
    let rung = one(station.say(near, caller.invite(2, &authorization)), "INVITE ");

    let tagged = format!("{};tag=far{number}", field(&rung, "To"));
    let contact = format!("Contact: <{}>\r\n", contact(far));
    one(station.say(far, answer(&rung, "180 Ringing", &tagged, &contact, "")), "SIP/2.0 180 ");
    let with_sdp = format!("{contact}Content-Type: application/sdp\r\n");
    let heard = station.say(far, answer(&rung, "200 OK", &tagged, &with_sdp, SDP));
    let acknowledged = one(heard.clone(), "ACK ");
    let answered = one(heard, "SIP/2.0 200 ");
    assert!(answered.contains("m=audio") && acknowledged.contains(&format!("tag=far{number}")));

    let target = field(&answered, "Contact").split(['<', '>']).nth(1).unwrap().to_owned();
    let to = field(&answered, "To");
    let ack = caller.request("ACK", &target, to, 2, "Supported: replaces\r\n", "");
    assert!(station.say(near, ack).is_empty());
    let ended = station.say(near, caller.request("BYE", &target, to, 3, "", ""));
    one(ended.clone(), "SIP/2.0 200 ");
    let bye = one(ended, "BYE ");
    let over = answer(&bye, "200 OK", field(&bye, "To"), "", "");
    assert!(station.say(far, over).is_empty());
    assert!(station.pass(Duration::from_secs(1)).is_empty(), "nothing was left unanswered");
}

/// A call with digest.
pub(crate) fn with_digest(users: u32) -> Box<dyn Work> {
    let make = |(station, users): &mut (Station, u32)| {
        call(station, *users);
        station.script()
    };
    let mut state = (Station::new(users), users);
    for _ in 0..SETTLED {
        let mut script = make(&mut state);
        state.0.play(&mut script);
    }
    steps(state, make, |(station, _), mut script: Vec<Event>| station.play(&mut script))
}
