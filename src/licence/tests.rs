//! The ladder, row by row; the phones that [`super::cap_tests`] use too.

use super::*;
use crate::base::flow::{Flow, FlowId, ShardId};

pub(super) const NOW: Wall = Wall::from_secs(1_000_000);
pub(super) const LATER: Wall = Wall::from_secs(1_003_600);
const GONE: Wall = Wall::from_secs(999_999);

pub(super) const A: &str = "<urn:uuid:8f1fa16a-1165-4a96-8341-785b1ef24f12>";
pub(super) const B: &str = "<urn:uuid:00000000-0000-1000-8000-000a95a0e128>";
pub(super) const WEAK_A: &str = "<urn:uuid:00000000-0000-0000-0000-0000deadbeef>";
const WEAK_B: &str = "<urn:uuid:00000000-0000-0000-0000-0000cafebabe>";

/// What a phone sends, owned.
#[derive(Clone, Debug)]
pub(super) struct Phone {
    pub(super) instance: Option<String>,
    pub(super) agent: &'static str,
    pub(super) contact: String,
    pub(super) call_id: String,
    pub(super) cseq: u32,
    pub(super) flow: Flow,
    pub(super) nonce: Option<u32>,
    pub(super) mac: &'static str,
    pub(super) by_proxy: bool,
}

/// A binding of these tests.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) device: DeviceId,
    pub(super) phone: Phone,
    pub(super) expires: Wall,
}

impl Traced for Bound {
    fn trace(&self) -> Trace<'_> {
        Trace {
            device: self.device,
            contact: self.phone.contact.as_bytes(),
            call_id: self.phone.call_id.as_bytes(),
            cseq: self.phone.cseq,
            flow: self.phone.flow,
            by_proxy: self.phone.by_proxy,
            expires: self.expires,
        }
    }
}

impl Phone {
    pub(super) fn new() -> Self {
        Self {
            instance: None,
            agent: "Acme Phone/1.0",
            contact: "sip:200@10.0.0.5:5060;line=x1".to_owned(),
            call_id: "abc@10.0.0.5".to_owned(),
            cseq: 10,
            flow: udp("192.0.2.7:40000"),
            nonce: None,
            mac: "",
            by_proxy: false,
        }
    }

    pub(super) fn instance(mut self, instance: &str) -> Self {
        self.instance = Some(format!("\"{instance}\""));
        self
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Another Call-ID, port and Contact port: nothing that continues.
    pub(super) fn afresh(self) -> Self {
        self.with(|phone| {
            phone.call_id = "fresh@elsewhere".to_owned();
            phone.cseq = 1;
            phone.flow.remote.set_port(41_111);
            phone.flow.stream = None;
            phone.contact = phone.contact.replace(":5060", ":5070");
        })
    }

    pub(super) fn evidence(&self) -> Evidence<'_> {
        Evidence {
            sip_instance: self.instance.as_deref().map(str::as_bytes),
            labelled_mac: self.mac.as_bytes(),
            by_proxy: self.by_proxy,
            user_agent: self.agent.as_bytes(),
            contact_uri: self.contact.as_bytes(),
            call_id: self.call_id.as_bytes(),
            cseq: self.cseq,
            flow: self.flow,
            same_nonce_chain: self.nonce.map(DeviceId),
        }
    }
}

pub(super) fn udp(remote: &str) -> Flow {
    Flow::udp(0, remote.parse().unwrap())
}

pub(super) fn tcp(remote: &str, slot: u32) -> Flow {
    let stream = Some(FlowId { shard: ShardId(0), slot, generation: 1 });
    Flow { transport: Transport::Tcp, stream, ..udp(remote) }
}

/// A licence whose devices 1, 2 … are these phones, each with a binding that ends at its time; `None`
/// for a device without binding.
pub(super) fn licence(phones: &[(&Phone, Option<Wall>)]) -> (Licence, Vec<Bound>) {
    let mut licence = Licence::default();
    licence.enable();
    let mut bindings = Vec::new();
    for (phone, expires) in phones {
        let device = licence.activate(phone.evidence().newcomer(), 64, NOW).unwrap();
        bindings.extend(expires.map(|expires| Bound { device, phone: (*phone).clone(), expires }));
    }
    (licence, bindings)
}

pub(super) fn known(device: u32, by: Rung, known_flow: bool) -> Who {
    Who::Known { device: DeviceId(device), by, known_flow }
}

#[test]
fn a_good_instance_decides_alone() {
    let phone = Phone::new().instance(A);
    let (licence, bindings) = licence(&[(&phone, Some(LATER))]);
    for (name, phone, who) in [
        ("same flow", phone.clone(), known(1, Rung::Instance, true)),
        ("everything else changed", phone.clone().afresh(), known(1, Rung::Instance, false)),
        ("upper case", phone.clone().instance(&A.to_uppercase()), known(1, Rung::Instance, true)),
        (
            "without quotes",
            phone.clone().with(|p| p.instance = Some(A.to_owned())),
            known(1, Rung::Instance, true),
        ),
        ("another instance, all else the same", phone.clone().instance(B), Who::New),
        (
            "another instance over a known nonce",
            phone.clone().instance(B).with(|p| p.nonce = Some(1)),
            Who::New,
        ),
        ("none now, but it goes on", phone.clone().with(|p| p.instance = None), known(1, Rung::CallId, true)),
        ("none now, and nothing else", phone.clone().with(|p| p.instance = None).afresh(), Who::New),
    ] {
        assert_eq!(identify(&phone.evidence(), &licence, &bindings, NOW), who, "{name}");
    }
}

#[test]
fn continuity_row_by_row() {
    let phone = Phone::new();
    let stream = Phone::new().with(|p| {
        p.flow = tcp("192.0.2.8:50000", 7);
        p.contact = "sip:200@10.0.0.6:50000;transport=tcp".to_owned();
        p.call_id = "tcp@10.0.0.6".to_owned();
    });
    let (licence, bindings) = licence(&[(&phone, Some(LATER)), (&stream, Some(LATER))]);
    let next = |change: fn(&mut Phone)| phone.clone().with(|p| p.cseq += 1).with(change);
    let moved = |p: &mut Phone| {
        p.flow = udp("198.51.100.9:1024");
        p.contact = "sip:200@172.16.0.9:6000".to_owned();
    };
    let other_stream = |change: fn(&mut Phone)| {
        stream.clone().with(|p| p.call_id = "new".to_owned()).with(|p| p.cseq = 1).with(change)
    };
    for (name, phone, who) in [
        ("the next refresh", next(|_| {}), known(1, Rung::CallId, true)),
        (
            "the next refresh, NAT port changed",
            next(|p| p.flow.remote.set_port(9)),
            known(1, Rung::CallId, false),
        ),
        ("the next refresh from another network", next(|_| {}).with(moved), known(1, Rung::CallId, false)),
        ("app updated", next(|p| p.agent = "Acme Phone/2.1").with(moved), known(1, Rung::CallId, false)),
        ("Call-ID by chance: another product", next(|p| p.agent = "Other/1.0").with(moved), Who::New),
        ("Call-ID alone: CSeq falls", next(|p| p.cseq = 9).with(moved), Who::New),
        ("Call-ID alone: CSeq equal, elsewhere", next(|p| p.cseq = 10).with(moved), Who::New),
        ("retransmission", phone.clone(), known(1, Rung::CallId, true)),
        ("restarted on its flow", next(|p| p.call_id = "x".to_owned()), known(1, Rung::Flow, true)),
        (
            "its flow, Contact written otherwise",
            next(|p| {
                p.call_id = "x".to_owned();
                p.contact = "sip:%3200@10.0.0.5:5060;line=x1".replace("%32", "2");
            }),
            known(1, Rung::Flow, true),
        ),
        (
            "flow alone: another Contact",
            next(|p| {
                p.call_id = "x".to_owned();
                p.contact = "sip:200@10.0.0.99:5060;line=x1".to_owned();
            }),
            Who::New,
        ),
        (
            "Contact alone: another port",
            next(|p| {
                p.call_id = "x".to_owned();
                p.flow.remote.set_port(9);
                p.agent = "Other/1.0";
            }),
            Who::New,
        ),
        ("nonce chain", next(|p| p.nonce = Some(1)).afresh(), known(1, Rung::NonceChain, false)),
        (
            "nonce of another product",
            next(|p| p.nonce = Some(1)).afresh().with(|p| p.agent = "Other/1.0"),
            Who::New,
        ),
        ("nonce of a device that is no more", next(|p| p.nonce = Some(77)).afresh(), Who::New),
        ("same stream", other_stream(|p| p.contact = "sip:9@x".to_owned()), known(2, Rung::Stream, true)),
        (
            "same stream, another product (a proxy)",
            other_stream(|p| p.contact = "sip:9@x".to_owned()).with(|p| p.agent = "Other/1.0"),
            Who::New,
        ),
        (
            "same slot, later connection from elsewhere",
            other_stream(|p| {
                p.flow = tcp("192.0.2.8:50001", 7);
                p.flow.stream = Some(FlowId { shard: ShardId(0), slot: 7, generation: 2 });
                p.contact = "sip:9@x".to_owned();
            }),
            Who::New,
        ),
        ("no Contact (query or star)", next(|p| p.contact = String::new()), known(1, Rung::CallId, true)),
        (
            "star with another Call-ID",
            next(|p| {
                p.contact = String::new();
                p.call_id = "x".to_owned();
            }),
            Who::New,
        ),
    ] {
        assert_eq!(identify(&phone.evidence(), &licence, &bindings, NOW), who, "{name}");
    }
}

#[test]
fn a_proxy_stream_is_told_apart_by_contact_or_not_at_all() {
    let one = Phone::new().instance(A).with(|p| p.flow = tcp("192.0.2.8:5061", 1));
    let two = Phone::new().instance(B).with(|p| {
        p.flow = one.flow;
        p.contact = "sip:200@10.0.0.6:5060".to_owned();
        p.call_id = "two".to_owned();
    });
    let (licence, bindings) = licence(&[(&one, Some(LATER)), (&two, Some(LATER))]);
    let ask = |contact: &str| {
        let phone = one.clone().with(|p| {
            p.instance = None;
            p.call_id = "x".to_owned();
            p.contact = contact.to_owned();
        });
        identify(&phone.evidence(), &licence, &bindings, NOW)
    };
    assert_eq!(ask(&two.contact), known(2, Rung::Stream, true));
    assert_eq!(ask(&one.contact), known(1, Rung::Stream, true));
    assert_eq!(ask("sip:200@10.0.0.7:5060"), Who::New);
}

#[test]
fn a_weak_instance_proves_nothing_and_disproves() {
    let phone = Phone::new().instance(WEAK_A);
    let (licence, bindings) = licence(&[(&phone, Some(LATER))]);
    let nil = "<urn:uuid:00000000-0000-0000-0000-000000000000>";
    for (name, phone, who) in [
        ("goes on", phone.clone().with(|p| p.cseq += 1), known(1, Rung::CallId, true)),
        ("alone", phone.clone().afresh(), Who::New),
        (
            "goes on without it (pjsip over UDP)",
            phone.clone().with(|p| p.instance = None),
            known(1, Rung::CallId, true),
        ),
        ("goes on with nil", phone.clone().instance(nil), known(1, Rung::CallId, true)),
        ("same flow and Contact, another host's", phone.clone().instance(WEAK_B), Who::New),
    ] {
        assert_eq!(identify(&phone.evidence(), &licence, &bindings, NOW), who, "{name}");
    }
}

#[test]
fn adoption_row_by_row() {
    let phone = Phone::new();
    let (alive, dead, unbound) = (Some(LATER), Some(GONE), None);
    let away = |p: Phone| p.with(|p| p.contact = p.contact.replace("10.0.0.5", "10.0.0.77"));
    let rebooted = |p: Phone| p.with(|p| p.call_id = "boot".to_owned()).with(|p| p.flow.remote.set_port(4));
    let roamed = |p: Phone| rebooted(p).with(|p| p.flow = udp("203.0.113.3:7"));
    let adopt = Who::Adopt(DeviceId(1));
    for (name, state, phone, who) in [
        ("alive, same place and address, new port", alive, rebooted(phone.clone()), adopt),
        ("alive, another public address", alive, roamed(phone.clone()), Who::New),
        ("alive, another private port", alive, phone.clone().afresh(), Who::New),
        ("alive, another private host", alive, away(rebooted(phone.clone())), Who::New),
        ("dead, same place and address", dead, rebooted(phone.clone()), adopt),
        ("un-REGISTERed, another private port", unbound, phone.clone().afresh(), adopt),
        ("un-REGISTERed, another private host", unbound, away(phone.clone().afresh()), adopt),
        ("dead, all of it elsewhere", dead, away(roamed(phone.clone())), adopt),
        ("dead, updated", unbound, phone.clone().afresh().with(|p| p.agent = "Acme Phone/9.9 x"), adopt),
        ("dead, another product", unbound, phone.clone().afresh().with(|p| p.agent = "Other/1.0"), Who::New),
        (
            "dead, another Contact user",
            unbound,
            phone.clone().afresh().with(|p| p.contact = "sip:201@10.0.0.5:5060;line=x1".to_owned()),
            Who::New,
        ),
        (
            "dead, another line",
            unbound,
            phone.clone().afresh().with(|p| p.contact = "sip:200@10.0.0.5:5060;line=x2".to_owned()),
            Who::New,
        ),
        ("dead, but the request has a good instance", unbound, phone.clone().afresh().instance(A), Who::New),
        ("dead, weak instance where there was none", unbound, phone.clone().afresh().instance(WEAK_A), adopt),
        ("no Contact", unbound, phone.clone().afresh().with(|p| p.contact.clear()), Who::New),
    ] {
        let (licence, bindings) = licence(&[(&Phone::new(), state)]);
        assert_eq!(identify(&phone.evidence(), &licence, &bindings, NOW), who, "{name}");
    }
}

#[test]
fn the_nearest_look_alike_is_taken_if_it_is_the_only_one() {
    let at = |contact: &str, remote: &str| {
        Phone::new().with(|p| {
            p.contact = format!("sip:200@{contact};line=x1");
            p.flow = udp(remote);
            p.call_id = format!("{contact}{remote}");
        })
    };
    let came = at("10.0.0.5:5060", "192.0.2.7:1").with(|p| p.call_id = "came".to_owned());
    let adopt = |device: u32| Who::Adopt(DeviceId(device));
    for (name, phones, who) in [
        (
            "host before address",
            vec![at("10.0.0.6:5060", "192.0.2.7:9"), at("10.0.0.5:1", "203.0.113.1:9")],
            adopt(2),
        ),
        (
            "place before host",
            vec![at("10.0.0.5:1", "192.0.2.7:9"), at("10.0.0.5:5060", "203.0.113.1:9")],
            adopt(2),
        ),
        (
            "place and address first",
            vec![at("10.0.0.5:5060", "203.0.113.1:9"), at("10.0.0.5:5060", "192.0.2.7:9")],
            adopt(2),
        ),
        (
            "address before nothing",
            vec![at("10.0.0.8:1", "192.0.2.7:9"), at("10.0.0.9:2", "203.0.113.1:9")],
            adopt(1),
        ),
        (
            "two as near as each other",
            vec![at("10.0.0.8:1", "192.0.2.7:9"), at("10.0.0.9:2", "192.0.2.7:8")],
            Who::New,
        ),
        (
            "two, a nearer one after them",
            vec![
                at("10.0.0.8:1", "192.0.2.7:9"),
                at("10.0.0.9:2", "192.0.2.7:8"),
                at("10.0.0.5:2", "192.0.2.7:8"),
            ],
            adopt(3),
        ),
    ] {
        let all: Vec<_> = phones.iter().map(|phone| (phone, None)).collect();
        let (licence, bindings) = licence(&all);
        assert_eq!(identify(&came.evidence(), &licence, &bindings, NOW), who, "{name}");
    }
}

#[test]
fn a_device_with_a_good_key_is_never_taken_over_by_its_looks() {
    let (licence, bindings) = licence(&[(&Phone::new().instance(A), None)]);
    let look_alike = Phone::new().with(|p| p.call_id = "x".to_owned());
    assert_eq!(identify(&look_alike.evidence(), &licence, &bindings, NOW), Who::New);
}

#[test]
fn without_a_user_agent_only_place_and_address_will_do() {
    let phone = Phone::new().with(|p| p.agent = "");
    let (licence, bindings) = licence(&[(&phone, None)]);
    let came = phone.clone().with(|p| p.call_id = "x".to_owned());
    let who = |phone: &Phone| identify(&phone.evidence(), &licence, &bindings, NOW);
    assert_eq!(who(&came), Who::Adopt(DeviceId(1)));
    assert_eq!(who(&came.clone().afresh()), Who::New);
    assert_eq!(who(&came.with(|p| p.flow = udp("203.0.113.3:7"))), Who::New);
}

#[test]
fn a_stream_binding_is_dead_without_its_connection() {
    let phone = Phone::new().with(|p| p.flow = tcp("192.0.2.7:40000", 3));
    let (licence, mut bindings) = licence(&[(&phone, Some(LATER))]);
    let came = phone.clone().afresh().with(|p| p.flow = tcp("192.0.2.7:40001", 4));
    assert_eq!(identify(&came.evidence(), &licence, &bindings, NOW), Who::New);
    bindings[0].phone.flow.stream = None;
    assert_eq!(identify(&came.evidence(), &licence, &bindings, NOW), Who::Adopt(DeviceId(1)));
}

#[test]
fn a_revoked_device_stays_refused_until_the_app_is_enabled_anew() {
    let keyed = Phone::new().instance(A);
    let bare = Phone::new();
    let revoked = Who::Revoked(DeviceId(1));
    for (name, was, comes) in [
        ("by its instance", &keyed, keyed.clone().afresh()),
        ("by its Call-ID", &bare, bare.clone().with(|p| p.flow = udp("203.0.113.3:7"))),
        ("by its Call-ID, though keyed before", &keyed, bare.clone().with(|p| p.flow = udp("203.0.113.3:7"))),
        ("by its flow and Contact", &bare, bare.clone().with(|p| p.call_id = "x".to_owned())),
        ("by its nonce", &bare, bare.clone().afresh().with(|p| p.nonce = Some(1))),
        ("by its looks", &bare, bare.clone().afresh()),
    ] {
        let (mut licence, mut bindings) = licence(&[(was, Some(LATER))]);
        assert!(licence.revoke(DeviceId(1), bindings.iter().map(Traced::trace), NOW));
        bindings.clear();
        assert_eq!(licence.activated(), 0, "{name}: its place is free");
        let who = identify(&comes.evidence(), &licence, &bindings, NOW);
        assert_eq!(who, revoked, "{name}");
        assert_eq!(admit(&licence, who, 4), Admission::Refuse(Refusal::DeviceRevoked), "{name}");
        assert!(!licence.recognise(DeviceId(1), comes.evidence().newcomer(), NOW), "{name}");
        licence.disable();
        licence.enable();
        assert_eq!(identify(&comes.evidence(), &licence, &bindings, NOW), Who::New, "{name}");
    }
    let (mut licence, _) = licence(&[(&keyed, None)]);
    licence.revoke(DeviceId(1), std::iter::empty(), NOW);
    let other = Phone::new().instance(B);
    let who = identify::<Bound>(&other.evidence(), &licence, &[], NOW);
    assert_eq!(admit(&licence, who, 1), Admission::Activate, "another phone takes the place");
}

#[test]
fn of_two_look_alikes_as_near_the_revoked_one_refuses() {
    let one = Phone::new();
    let two = Phone::new().with(|p| p.call_id = "two".to_owned());
    for revoked in [1, 2] {
        let (mut licence, bindings) = licence(&[(&one, None), (&two, None)]);
        licence.revoke(DeviceId(revoked), std::iter::empty(), NOW);
        let came = one.clone().afresh();
        let who = identify(&came.evidence(), &licence, &bindings, NOW);
        assert_eq!(who, Who::Revoked(DeviceId(revoked)));
    }
}
