//! Lines over loopback: a phone of the test's own hears prompts and presses keys.

use super::*;
use crate::base::flow::ShardId;
use crate::call::CallRef;
use crate::menu::Prompt;
use crate::rtp::{Digit, Packet};
use crate::sdp::{Audio, Codec, Direction};
use crate::task::Stopper;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PATIENCE: Duration = Duration::from_secs(10);

struct Bench {
    media: Media,
    heard: mpsc::UnboundedReceiver<(Line, Heard)>,
    _stopper: Stopper,
}

fn line(number: u32) -> Line {
    Line { shard: ShardId(0), call: CallRef::of(number) }
}

impl Bench {
    fn new(ports: (u16, u16)) -> Self {
        let (told, heard) = mpsc::unbounded_channel();
        let deliver: Deliver = Arc::new(move |line, what| _ = told.send((line, what)));
        let (stopper, stop) = Stop::new();
        let prompts = Arc::new(Library::tones());
        let (media, sound) = media(Setup { ports, prompts, deliver, rng: Rng::from_number(1) }, stop);
        tokio::spawn(sound);
        Self { media, heard, _stopper: stopper }
    }

    async fn hears(&mut self) -> (Line, Heard) {
        tokio::time::timeout(PATIENCE, self.heard.recv()).await.unwrap().unwrap()
    }

    async fn open(&mut self, number: u32) -> Option<SocketAddr> {
        let told = [203, 0, 113, 7].into();
        self.media.order(line(number), Order::Open { bind: HERE, told, peer: HERE });
        match self.hears().await {
            (at, Heard::Opened(address)) => {
                assert_eq!((at, address.ip()), (line(number), told));
                Some(SocketAddr::new(HERE, address.port()))
            }
            (at, other) => {
                assert_eq!((at, other), (line(number), Heard::Full));
                None
            }
        }
    }
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

/// So many ports in a row of which nobody else has any, as it looks: other tests pass over them.
fn ports(count: u16) -> (u16, u16) {
    let free = std::net::UdpSocket::bind((HERE, 0)).unwrap().local_addr().unwrap().port();
    let first = free.min(64_000) & !1;
    (first, first + count * 2 - 1)
}

#[test]
fn a_prompt_is_heard_to_its_end_and_keys_are_told() {
    run(async {
        let mut bench = Bench::new((15_000, 15_999));
        let address = bench.open(1).await.unwrap();
        let phone = UdpSocket::bind((HERE, 0)).await.unwrap();
        let remote = Some(phone.local_addr().unwrap());
        let audio =
            Audio { codec: Codec::Pcma, kind: 8, events: Some(101), remote, direction: Direction::Both };
        bench.media.order(line(1), Order::Agree(audio));
        let says = [Prompt::Pin].into_iter().collect();
        bench.media.order(line(1), Order::Play { number: 5, says, language: None });
        assert_eq!(bench.hears().await, (line(1), Heard::Played(5)));
        let mut bytes = [0; 400];
        let (mut packets, mut sound) = (0, false);
        while let Ok((length, from)) = phone.try_recv_from(&mut bytes) {
            let packet = Packet::read(&bytes[..length]).unwrap();
            assert_eq!((from, packet.kind, packet.payload.len()), (address, 8, 160));
            sound |= packet.payload.iter().any(|sample| *sample != 0xd5);
            packets += 1;
        }
        assert_eq!((packets, sound), (15, true), "300 ms");
        for byte in *b"1#" {
            let digit = Digit::of_byte(byte).unwrap();
            let payload = [digit.event(), 0x8a, 0, 160];
            let timestamp = u32::from(byte) * 1_600;
            let packet =
                Packet { marker: true, kind: 101, sequence: 1, timestamp, source: 9, payload: &payload };
            for _ in 0..3 {
                phone.send_to(&packet.written(), address).await.unwrap();
            }
            assert_eq!(bench.hears().await, (line(1), Heard::Key(digit)));
        }
    });
}

#[test]
fn a_port_is_given_back_with_its_line() {
    run(async {
        let mut bench = Bench::new(ports(2));
        let mut open = Vec::new();
        for number in 1..=3 {
            open.extend(bench.open(number).await.map(|address| (number, address)));
        }
        assert!(!open.is_empty() && open.len() <= 2, "{open:?}");
        // 100 calls one after another, each at one of them.
        let mut last = open[0].0;
        for number in 10..110 {
            bench.media.order(line(last), Order::Close);
            let mut found = None;
            // The line's task ends a moment after it was told to.
            for _ in 0..1_000 {
                found = bench.open(number).await;
                if found.is_some() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            assert!(open.iter().any(|(_, address)| Some(*address) == found), "{found:?}");
            last = number;
        }
    });
}

#[test]
fn past_the_bound_there_is_no_line() {
    run(async {
        // More ports than lines may be open.
        let first = 32_768;
        let mut bench = Bench::new((first, 60_999));
        let mut opened = 0;
        for number in 0..limit::MEDIA_LINES_MAX as u32 {
            opened += usize::from(bench.open(number).await.is_some());
        }
        assert_eq!(opened, limit::MEDIA_LINES_MAX);
        assert_eq!(bench.open(9_999).await, None);
        bench.media.order(line(3), Order::Close);
        for _ in 0..1_000 {
            if bench.open(10_000).await.is_some() {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("no room after one was closed");
    });
}
