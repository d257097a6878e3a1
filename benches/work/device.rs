//! Which device a REGISTER comes from, and what the licence says to it: the decision of the identity
//! ladder, for an extension with as many devices and bindings as its licence allows.

use super::{Work, steps};
use stationmaster::base::flow::{Flow, Transport};
use stationmaster::base::time::Wall;
use stationmaster::licence::{Evidence, Licence, admit, identify};
use stationmaster::registrar::Binding;
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

const NOW: Wall = Wall::from_secs(1_000_000);
const DEVICES: u32 = 4;
const AGENT: &[u8] = b"Acme Softphone/4.2.1 (Linux; build 1234)";

/// What a phone shows, held by itself.
struct Shown {
    instance: Option<String>,
    contact: String,
    call_id: String,
    flow: Flow,
}

impl Shown {
    /// Phone `number`, with an instance or without.
    fn of(number: u32, instance: bool) -> Self {
        let remote = SocketAddr::from(([192, 0, 2, 1], u16::try_from(5060 + number).unwrap()));
        Self {
            instance: instance
                .then(|| format!("\"<urn:uuid:6b1f0a2e-4d1c-4e0b-9a53-2f0c8d7e5{number:03}>\"")),
            contact: format!("sip:200-acme@10.0.0.{number}:5060;ob"),
            call_id: format!("f81d4fae-7dec-11d0-a765-00a0c91e6b{number:02}"),
            flow: Flow::udp(0, remote),
        }
    }

    fn evidence(&self) -> Evidence<'_> {
        Evidence {
            sip_instance: self.instance.as_deref().map(str::as_bytes),
            labelled_mac: b"",
            user_agent: AGENT,
            contact_uri: self.contact.as_bytes(),
            call_id: self.call_id.as_bytes(),
            cseq: 7,
            flow: self.flow,
            by_proxy: false,
            same_nonce_chain: None,
        }
    }
}

/// An extension whose places are all taken, and the phone that is judged.
struct Judged {
    licence: Licence,
    bindings: Vec<Binding>,
    shown: Shown,
}

fn judged(shown: Shown, instances: bool) -> Judged {
    let mut licence = Licence::default();
    licence.enable();
    let bindings = (1..=DEVICES).map(|number| {
        let known = Shown::of(number, instances);
        let device = licence.activate(known.evidence().newcomer(), 4, NOW).unwrap();
        Binding {
            number,
            turn: 0,
            device,
            contact: known.contact.into_bytes().into(),
            call_id: known.call_id.into_bytes().into(),
            cseq: 1,
            expires: NOW + Duration::from_secs(3600),
            transport: Transport::Udp,
            listener: 0,
            remote: known.flow.remote,
            stream: None,
            q: 1000,
            extra: None,
            proof: Default::default(),
        }
    });
    let bindings = bindings.collect();
    Judged { licence, bindings, shown }
}

fn decide(judged: Judged) -> Box<dyn Work> {
    steps(
        judged,
        |_| (),
        |Judged { licence, bindings, shown }, ()| {
            let who = identify(&shown.evidence(), licence, bindings, NOW);
            black_box(admit(licence, who, 4));
        },
    )
}

/// The last of four devices, known by its instance.
pub(crate) fn known(_users: u32) -> Box<dyn Work> {
    decide(judged(Shown::of(DEVICES, true), true))
}

/// A phone without an instance that looks like none of four such devices: every rung is asked.
pub(crate) fn stranger(_users: u32) -> Box<dyn Work> {
    decide(judged(Shown::of(DEVICES + 5, false), false))
}
