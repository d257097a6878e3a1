//! Any bytes as the offer of a session: the answer that takes none of it (RFC 3264 §6) has its
//! streams in their order and nothing else of it, each with port 0, ends every line properly, is
//! hardly longer than the offer, and is itself an offer whose refusal is the same again.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use stationmaster::sdp;
use stationmaster::sip::Message;

fuzz_target!(|data: &[u8]| {
    let answer = sdp::refusal(data);
    assert!(answer.len() <= 2 * data.len() + 100, "{} of {}", answer.len(), data.len());
    assert!(answer.starts_with(b"v=0\r\n") && answer.ends_with(b"\r\n"));
    let lines: Vec<&[u8]> = answer.split(|byte| *byte == b'\n').collect();
    for line in &lines[..lines.len() - 1] {
        assert!(line.ends_with(b"\r"), "{}", answer.escape_ascii());
    }
    let streams = |text: &[u8]| -> Vec<Vec<u8>> {
        text.split(|byte| *byte == b'\n')
            .filter(|line| line.starts_with(b"m="))
            .filter_map(|line| line.split(|byte| *byte == b' ').next().map(<[u8]>::to_vec))
            .collect()
    };
    let (offered, answered) = (streams(data), streams(&answer));
    assert!(answered.len() <= offered.len());
    for line in lines.iter().filter(|line| line.starts_with(b"m=")) {
        assert_eq!(line.split(|byte| *byte == b' ').nth(1), Some(&b"0"[..]));
    }
    assert_eq!(sdp::refusal(&answer), answer, "{}", answer.escape_ascii());
    let head = b"SIP/2.0 200 OK\r\nContent-Type: application/sdp\r\n\r\n";
    if let Ok(message) = Message::parse(Bytes::from([head, data].concat())) {
        assert_eq!(sdp::is_in(&message), !message.body().is_empty());
    }
});
