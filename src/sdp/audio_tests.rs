//! Offers of phones, and what is answered.

use super::*;
use proptest::prelude::*;

const LOCAL: &str = "203.0.113.7:20000";

fn session() -> Session {
    Session::new(LOCAL.parse().unwrap(), 14)
}

/// An offer with these lines behind the head.
fn offer(lines: &str) -> Vec<u8> {
    let head = "v=0\no=x 1 1 IN IP4 192.0.2.1\ns=x\nc=IN IP4 192.0.2.1\nt=0 0\n";
    format!("{head}{lines}").replace('\n', "\r\n").into_bytes()
}

/// What is agreed, in words: codec, payload type, that of events, where to, who sends.
fn agreed(lines: &str) -> Option<String> {
    let (_, audio) = session().answer(&offer(lines)).ok()?;
    let Audio { codec, kind, events, remote, direction } = audio;
    let events = events.map_or("-".to_owned(), |kind| kind.to_string());
    let remote = remote.map_or("-".to_owned(), |remote| remote.to_string());
    Some(format!("{} {kind} {events} {remote} {}", codec.name(), direction.word()))
}

#[test]
fn every_row_of_the_table() {
    for (name, lines, wanted) in [
        ("PCMU", "m=audio 4000 RTP/AVP 0\n", Some("PCMU 0 - 192.0.2.1:4000 sendrecv")),
        ("PCMA", "m=audio 4000 RTP/AVP 8\n", Some("PCMA 8 - 192.0.2.1:4000 sendrecv")),
        ("their order", "m=audio 4000 RTP/AVP 9 8 0\n", Some("PCMA 8 - 192.0.2.1:4000 sendrecv")),
        (
            "events",
            "m=audio 4000 RTP/AVP 0 96\na=rtpmap:0 PCMU/8000\na=rtpmap:96 telephone-event/8000\na=fmtp:96 0-15\n",
            Some("PCMU 0 96 192.0.2.1:4000 sendrecv"),
        ),
        (
            "events of another clock",
            "m=audio 4000 RTP/AVP 0 96\na=rtpmap:96 telephone-event/48000\n",
            Some("PCMU 0 - 192.0.2.1:4000 sendrecv"),
        ),
        (
            "another number, another case, its one channel",
            "m=audio 4000 RTP/AVP 97 101\na=rtpmap:97 pcma/8000/1\na=rtpmap:101 Telephone-Event/8000\n",
            Some("PCMA 97 101 192.0.2.1:4000 sendrecv"),
        ),
        (
            "a name that is mapped and not offered",
            "m=audio 4000 RTP/AVP 0\na=rtpmap:101 telephone-event/8000\n",
            Some("PCMU 0 - 192.0.2.1:4000 sendrecv"),
        ),
        (
            "an address of its own",
            "m=audio 4000 RTP/AVP 0\nc=IN IP4 192.0.2.9/127\n",
            Some("PCMU 0 - 192.0.2.9:4000 sendrecv"),
        ),
        ("on hold", "m=audio 4000 RTP/AVP 0\na=sendonly\n", Some("PCMU 0 - 192.0.2.1:4000 recvonly")),
        ("they listen", "m=audio 4000 RTP/AVP 0\na=recvonly\n", Some("PCMU 0 - 192.0.2.1:4000 sendonly")),
        ("inactive", "a=inactive\nm=audio 4000 RTP/AVP 0\n", Some("PCMU 0 - 192.0.2.1:4000 inactive")),
        ("on hold by address", "m=audio 4000 RTP/AVP 0\nc=IN IP4 0.0.0.0\n", Some("PCMU 0 - - sendrecv")),
        (
            "the second of two",
            "m=audio 0 RTP/AVP 0\nm=audio 4002/2 RTP/AVP 0\n",
            Some("PCMU 0 - 192.0.2.1:4002 sendrecv"),
        ),
        ("no codec of ours", "m=audio 4000 RTP/AVP 9 18\n", None),
        ("0 is something else", "m=audio 4000 RTP/AVP 0\na=rtpmap:0 L16/8000\n", None),
        ("encrypted", "m=audio 4000 RTP/SAVP 0\n", None),
        ("a browser's", "m=audio 4000 UDP/TLS/RTP/SAVPF 0\n", None),
        ("refused", "m=audio 0 RTP/AVP 0\n", None),
        ("video", "m=video 4000 RTP/AVP 0\n", None),
        ("another family", "m=audio 4000 RTP/AVP 0\nc=IN IP6 2001:db8::1\n", None),
        ("a name for an address", "m=audio 4000 RTP/AVP 0\nc=IN IP4 phone.example.com\n", None),
        ("no stream", "", None),
        ("half a stream", "m=audio 4000\n", None),
        ("no port", "m=audio x RTP/AVP 0\n", None),
        ("no payload type", "m=audio 4000 RTP/AVP 300\n", None),
    ] {
        assert_eq!(agreed(lines).as_deref(), wanted, "{name}");
        let local = LOCAL.parse::<SocketAddr>().unwrap().ip();
        assert_eq!(acceptable(&offer(lines), local).is_ok(), wanted.is_some(), "{name}");
    }
}

#[test]
fn the_answer_has_every_stream_and_its_version_rises_with_changes_only() {
    let mut session = session();
    let lines = "m=video 4002 RTP/AVP 96\nm=audio 4000 RTP/AVP 0 101\na=rtpmap:101 telephone-event/8000\n";
    let mut told = |lines: &str| {
        String::from_utf8(session.answer(&offer(lines)).unwrap().0).unwrap().replace("\r\n", "\n")
    };
    let first = told(lines);
    assert_eq!(
        first,
        "v=0\no=- 7 1 IN IP4 203.0.113.7\ns=-\nc=IN IP4 203.0.113.7\nt=0 0\nm=video 0 RTP/AVP 96\n\
         m=audio 20000 RTP/AVP 0 101\na=rtpmap:0 PCMU/8000\na=rtpmap:101 telephone-event/8000\n\
         a=fmtp:101 0-15\na=ptime:20\na=sendrecv\n"
    );
    assert_eq!(told(lines), first);
    let held = told(&format!("{lines}a=sendonly\n"));
    assert!(held.contains("o=- 7 2 IN") && held.ends_with("a=recvonly\n"), "{held}");
    assert!(told(lines).contains("o=- 7 3 IN"));
}

#[test]
fn what_we_offer_and_its_answer() {
    let mut session = session();
    let offered = String::from_utf8(session.offer()).unwrap();
    assert!(
        offered.contains("m=audio 20000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n")
    );
    let answer = offer("m=audio 4000 RTP/AVP 8 101\na=rtpmap:101 telephone-event/8000\n");
    let audio = session.accept(&answer).unwrap();
    assert_eq!((audio.codec, audio.events), (Codec::Pcma, Some(101)));
    assert_eq!(session.accept(&offer("m=audio 0 RTP/AVP 8\n")), Err(NotAcceptable));
    assert_eq!(session.accept(b""), Err(NotAcceptable));
    let mut six = Session::new("[2001:db8::7]:20000".parse().unwrap(), 14);
    assert!(String::from_utf8(six.offer()).unwrap().contains("c=IN IP6 2001:db8::7\r\n"));
}

#[test]
fn what_has_too_many_streams_is_refused() {
    let streams = |number: usize| agreed(&"m=audio 4000 RTP/AVP 0\n".repeat(number));
    assert!(streams(limit::SDP_STREAMS_MAX).is_some());
    assert!(streams(limit::SDP_STREAMS_MAX + 1).is_none());
    let formats = |before: usize| agreed(&format!("m=audio 4000 RTP/AVP{} 0\n", " 9".repeat(before)));
    assert!(formats(limit::SDP_FORMATS_MAX - 1).is_some());
    assert!(formats(limit::SDP_FORMATS_MAX).is_none());
}

proptest! {
    #[test]
    fn no_offer_is_too_bad(text in "([vocma]=[ -~]{0,40}\r?\n){0,12}", bytes: Vec<u8>) {
        for offer in [text.as_bytes(), &bytes] {
            if let Ok((answer, _)) = session().answer(offer) {
                let streams = |text: &[u8]| text.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"m=")).count();
                prop_assert_eq!(streams(&answer), streams(offer));
                prop_assert!(acceptable(offer, "203.0.113.7".parse().unwrap()).is_ok());
            }
        }
    }
}
