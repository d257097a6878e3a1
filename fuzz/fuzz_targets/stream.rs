//! Any bytes as a stream, cut anywhere: the same messages come out however the segments fall, they
//! and the line ends between them are all of the stream, each is as long as its Content-Length
//! says, and what waits is bounded. The first byte says how many cuts there are, the bytes after
//! it how long the segments are.

#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use stationmaster::base::limit;
use stationmaster::sip::Message;
use stationmaster::sip::frame::{Frame, FrameError, Framer};

fuzz_target!(|data: &[u8]| {
    let Some((&count, rest)) = data.split_first() else { return };
    let (cuts, stream) = rest.split_at(rest.len().min(usize::from(count % 32)));
    let whole = messages(stream, &[stream.len()]);
    assert_eq!(messages(stream, &[1]), whole);
    if !cuts.is_empty() {
        let lengths: Vec<usize> = cuts.iter().map(|cut| 1 + usize::from(*cut)).collect();
        assert_eq!(messages(stream, &lengths), whole);
    }
    covered(stream, &whole.0);
});

/// The messages of a stream that comes in segments of these sizes, over and over, and why it ended
/// if it did. Pings are left out: what a lone LF does to one that follows depends on the segments.
fn messages(stream: &[u8], lengths: &[usize]) -> (Vec<Bytes>, Option<FrameError>) {
    let (mut found, mut buffer, mut framer) = (Vec::new(), BytesMut::new(), Framer::default());
    let mut lengths = lengths.iter().copied().cycle();
    let mut rest = stream;
    while !rest.is_empty() {
        let (segment, after) = rest.split_at(lengths.next().unwrap_or(1).min(rest.len()));
        rest = after;
        buffer.extend_from_slice(segment);
        loop {
            match framer.next(&mut buffer) {
                Ok(Frame::Message(message)) => found.push(message),
                Ok(Frame::Ping) => {}
                Ok(Frame::Partial) => break,
                Err(error) => return (found, Some(error)),
            }
        }
        assert!(buffer.len() <= limit::MESSAGE_BYTES_MAX + limit::HEADER_BYTES_MAX);
    }
    (found, None)
}

/// The messages stand in the stream one after the other, with nothing between them but line ends.
fn covered(stream: &[u8], messages: &[Bytes]) {
    let mut rest = stream;
    for message in messages {
        while matches!(rest.first(), Some(b'\r' | b'\n')) {
            rest = &rest[1..];
        }
        rest = rest.strip_prefix(&message[..]).expect("the message stands here");
        if let Ok(parsed) = Message::parse(message.clone()) {
            let body = parsed.body().len();
            assert!(parsed.fault().is_some() || message.ends_with(parsed.body()), "{body} bytes of body");
        }
    }
}
