//! The cap and the devices, row by row, and what no order of events may break.

use super::tests::{A, Bound, LATER, NOW, Phone, known, licence, udp};
use super::*;
use crate::base::limit::DEVICES_MAX;
use proptest::prelude::*;
use std::collections::HashMap;

#[test]
fn admission_row_by_row() {
    let phones: Vec<_> = (0..4).map(|n| Phone::new().instance(&format!("urn:uuid:{n}-{A}"))).collect();
    let all: Vec<_> = phones.iter().map(|phone| (phone, None)).collect();
    let (full, _) = licence(&all);
    let (three, _) = licence(&all[..3]);
    let off = Licence { enabled: false, ..full.clone() };
    let refuse = Admission::Refuse;
    for (name, licence, who, max, admission) in [
        ("app disabled", &off, known(1, Rung::Instance, true), 4, refuse(Refusal::AppDisabled)),
        ("app disabled, revoked", &off, Who::Revoked(DeviceId(1)), 4, refuse(Refusal::AppDisabled)),
        ("known", &full, known(1, Rung::Instance, true), 4, Admission::Known(DeviceId(1))),
        (
            "known above a lowered cap",
            &full,
            known(4, Rung::Instance, true),
            2,
            Admission::Known(DeviceId(4)),
        ),
        ("look-alike at the cap", &full, Who::Adopt(DeviceId(1)), 4, Admission::Adopt(DeviceId(1))),
        ("revoked", &full, Who::Revoked(DeviceId(1)), 4, refuse(Refusal::DeviceRevoked)),
        ("new, fourth", &three, Who::New, 4, Admission::Activate),
        ("new, fifth", &full, Who::New, 4, refuse(Refusal::CapReached { max: 4 })),
        ("new, cap raised", &full, Who::New, 5, Admission::Activate),
        ("new, none allowed", &three, Who::New, 0, refuse(Refusal::CapReached { max: 0 })),
    ] {
        assert_eq!(admit(licence, who, max), admission, "{name}");
    }
}

#[test]
fn a_change_keeps_what_is_not_shown_and_what_people_wrote() {
    let phone = Phone::new().instance(A);
    let (mut licence, _) = licence(&[(&phone, None)]);
    let id = DeviceId(1);
    assert!(phone.evidence().is_kept_in(licence.device(id).unwrap()));
    let newer = phone.clone().with(|p| {
        p.agent = "Acme Phone/2.0";
        p.instance = None;
        p.contact.clear();
    });
    assert!(newer.evidence().is_kept_in(licence.device(id).unwrap()), "nothing lasting changed");
    assert!(licence.recognise(id, newer.evidence().newcomer(), LATER));
    let device = licence.device(id).unwrap();
    assert_eq!((device.name.as_str(), device.model.as_str()), ("Acme Phone/2.0", "Acme Phone/2.0"));
    assert_eq!(device.keys, phone.evidence().keys());
    assert_eq!((device.first_seen, device.last_seen), (NOW, LATER));

    assert!(licence.rename(id, "  Front desk "));
    let moved = phone.clone().with(|p| p.contact = "sip:200@10.0.0.9:5060".to_owned());
    assert!(!moved.evidence().is_kept_in(licence.device(id).unwrap()));
    assert!(licence.recognise(id, moved.evidence().newcomer(), LATER));
    assert!(moved.evidence().is_kept_in(licence.device(id).unwrap()));
    let device = licence.device(id).unwrap();
    assert_eq!((device.name.as_str(), device.model.as_str()), ("Front desk", "Acme Phone/1.0"));
    assert!(licence.rename(id, " \n"));
    assert_eq!(licence.device(id).unwrap().name, "Acme Phone/1.0");
    assert!(!licence.rename(DeviceId(9), "x"));
}

#[test]
fn who_had_a_place_that_was_adopted_is_judged_anew() {
    let first = Phone::new().with(|p| p.nonce = Some(1));
    let moved = |contact: &str, remote: &str| {
        Phone::new().with(|p| {
            p.call_id = "x".to_owned();
            p.contact = contact.to_owned();
            p.flow = udp(remote);
        })
    };
    let here = "sip:200@10.0.0.5:5060;line=x1";
    for (name, came, id, who) in [
        (
            "the same phone behind a new port",
            moved(here, "192.0.2.7:9"),
            1,
            known(1, Rung::NonceChain, false),
        ),
        ("another port", moved("sip:200@10.0.0.5:5070;line=x1", "192.0.2.7:9"), 2, Who::New),
        ("another host", moved("sip:200@10.0.0.6:5060;line=x1", "192.0.2.7:9"), 2, Who::New),
        ("another public address", moved(here, "192.0.2.8:9"), 2, Who::New),
    ] {
        let (mut licence, _) = licence(&[(&first, None)]);
        assert_eq!(
            identify::<Bound>(&came.evidence(), &licence, &[], NOW),
            Who::Adopt(DeviceId(1)),
            "{name}"
        );
        let device = licence.adopt(DeviceId(1), came.evidence().newcomer(), LATER).unwrap();
        assert_eq!((device, licence.devices.len()), (DeviceId(id), 1), "{name}");
        let bindings = [Bound { device, phone: came, expires: LATER }];
        let back = first.clone().with(|p| p.call_id = "back".to_owned());
        assert_eq!(identify(&back.evidence(), &licence, &bindings, NOW), who, "{name}");
    }
    assert_eq!(Licence::default().adopt(DeviceId(1), first.evidence().newcomer(), NOW), None);
}

#[test]
fn ids_are_never_used_again_and_the_revoked_longest_ago_is_forgotten_first() {
    let (mut licence, _) = licence(&[]);
    for n in 0..DEVICES_MAX + 2 {
        let phone = Phone::new().instance(&format!("urn:uuid:{n:032}1"));
        let id = licence.activate(phone.evidence().newcomer(), 4, NOW).unwrap();
        assert_eq!(id.0 as usize, n + 1);
        assert!(licence.revoke(id, std::iter::empty(), NOW));
        assert!(licence.devices.len() <= DEVICES_MAX);
    }
    assert_eq!(licence.device(DeviceId(2)), None);
    assert!(licence.device(DeviceId(3)).is_some());
    licence.disable();
    licence.enable();
    assert_eq!((licence.generation, licence.devices.len()), (2, 0));
    let id = licence.activate(Phone::new().evidence().newcomer(), 4, NOW).unwrap();
    assert_eq!(id.0 as usize, DEVICES_MAX + 3);
}

#[test]
fn an_app_that_was_disabled_before_it_was_ever_enabled_is_no_new_one() {
    let mut licence = Licence::default();
    licence.disable();
    assert_eq!((licence.enabled, licence.generation), (false, 1));
    licence.disable();
    assert_eq!(licence.generation, 1);
    licence.enable();
    assert_eq!((licence.enabled, licence.generation), (true, 2));
}

#[test]
fn records_survive_the_store() {
    let phone = Phone::new().instance(A);
    let (mut licence, bindings) = licence(&[(&phone, Some(LATER)), (&Phone::new(), None)]);
    licence.revoke(DeviceId(1), bindings.iter().map(Traced::trace), NOW);
    let bytes = postcard::to_allocvec(&licence).unwrap();
    assert_eq!(postcard::from_bytes::<Licence>(&bytes).unwrap(), licence);
    let one = postcard::to_allocvec(&licence.devices[0]).unwrap();
    assert!(one.len() < 180, "{} bytes", one.len());
}

/// What can happen to a licence.
#[derive(Clone, Debug)]
enum Event {
    SignIn { phone: usize, keyed: bool, port: u16 },
    Unregister { phone: usize },
    Revoke(u32),
    Toggle,
    Jump(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        8 => (0..8usize, any::<bool>(), 0..3u16)
            .prop_map(|(phone, keyed, port)| Event::SignIn { phone, keyed, port }),
        2 => (0..8usize).prop_map(|phone| Event::Unregister { phone }),
        1 => (1..12u32).prop_map(Event::Revoke),
        1 => Just(Event::Toggle),
        1 => (0..4_000_000u64).prop_map(Event::Jump),
    ];
    proptest::collection::vec(event, 1..120)
}

fn phone_of(phone: usize, keyed: bool, port: u16) -> Phone {
    let bare = Phone::new().with(|p| {
        p.contact = format!("sip:200@10.0.0.{}:{}", phone / 2, 5060 + port);
        p.flow = udp(&format!("192.0.2.{}:{}", phone / 4, 40_000 + phone));
        p.call_id = format!("{phone}-{port}");
    });
    if keyed {
        bare.instance(&format!("<urn:uuid:{phone}0000000-1165-4a96-8341-785b1ef24f12>"))
    } else {
        bare
    }
}

proptest! {
    /// Whatever comes in whatever order, and however the clock jumps: never more than the cap are
    /// activated, an id is never used twice, a device with a good key is only ever itself, no phone
    /// comes back by its nonce to a place that another has now, and everything is decided again the
    /// same way.
    #[test]
    fn the_cap_holds(events in events(), cap in 0..6u16) {
        let mut licence = Licence::default();
        licence.enable();
        let mut bindings: Vec<Bound> = Vec::new();
        let (mut now, mut ids, mut cseq) = (NOW, Vec::new(), 0);
        let (mut nonces, mut holders) = ([None; 8], HashMap::new());
        for event in events {
            match event {
                Event::SignIn { phone, keyed, port } => {
                    cseq += 1;
                    let number = phone;
                    let phone = phone_of(phone, keyed, port).with(|p| {
                        p.cseq = cseq;
                        p.nonce = nonces[number];
                    });
                    let evidence = phone.evidence();
                    let who = identify(&evidence, &licence, &bindings, now);
                    prop_assert_eq!(who, identify(&evidence, &licence, &bindings, now));
                    let device = match admit(&licence, who, cap) {
                        Admission::Known(id) => {
                            // Two each show the same place and address: nothing tells them apart.
                            prop_assert!(keyed || holders.get(&id).is_none_or(|was| was / 2 == number / 2));
                            id
                        }
                        Admission::Adopt(id) => {
                            prop_assert!(!keyed);
                            bindings.retain(|binding| binding.device != id);
                            let adopted = licence.adopt(id, evidence.newcomer(), now).unwrap();
                            if adopted != id {
                                prop_assert!(!ids.contains(&adopted));
                                ids.push(adopted);
                            }
                            adopted
                        }
                        Admission::Activate => {
                            let id = licence.activate(evidence.newcomer(), cap, now).unwrap();
                            prop_assert!(!ids.contains(&id));
                            ids.push(id);
                            id
                        }
                        Admission::Refuse(_) => continue,
                    };
                    holders.insert(device, number);
                    nonces[number] = Some(device.0);
                    let kept = licence.device(device).unwrap();
                    prop_assert!(!kept.revoked);
                    if keyed {
                        prop_assert_eq!(&kept.keys.instance, &evidence.keys().instance);
                    }
                    bindings.retain(|binding| binding.device != device);
                    bindings.push(Bound { device, phone, expires: now + std::time::Duration::from_secs(60) });
                }
                Event::Unregister { phone } => {
                    let prefix = format!("{phone}-");
                    bindings.retain(|binding| !binding.phone.call_id.starts_with(&prefix));
                }
                Event::Revoke(id) => {
                    licence.revoke(DeviceId(id), bindings.iter().map(Traced::trace), now);
                    bindings.retain(|binding| binding.device != DeviceId(id));
                }
                Event::Toggle if licence.enabled => {
                    licence.disable();
                    bindings.clear();
                }
                Event::Toggle => licence.enable(),
                Event::Jump(to_s) => now = Wall::from_secs(to_s),
            }
            prop_assert!(licence.activated() <= usize::from(cap));
            prop_assert!(licence.devices.len() <= DEVICES_MAX);
        }
    }
}
