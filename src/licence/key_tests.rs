//! What a REGISTER shows, read and kept.

use super::keys::{Instance, product};
use super::tests::{A, B, Bound, LATER, NOW, Phone, WEAK_A, known, licence, udp};
use super::*;
use proptest::prelude::*;

#[test]
fn instances_are_good_weak_or_none() {
    for (raw, expected) in [
        (A, "good"),
        (B, "good"),
        ("\"<urn:imei:490154203237518>\"", "good"),
        ("<urn:uuid:00000000-0000-0000-0000-000000000000>", "none"),
        ("<urn:uuid:ffffffff-ffff-ffff-ffff-ffffffffffff>", "weak"),
        (WEAK_A, "weak"),
        ("<urn:uuid:00000000-0000-1000-8000-000000000000>", "weak"),
        ("<phone>", "weak"),
        ("<>", "none"),
        ("\"\"", "none"),
        ("<urn:uuid:>", "none"),
        ("<a b c d e f g h i j k>", "none"),
        ("<\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}>", "none"),
    ] {
        let got = match Instance::of(Some(raw.as_bytes())) {
            Instance::Good(_) => "good",
            Instance::Weak(_) => "weak",
            Instance::None => "none",
        };
        assert_eq!(got, expected, "{raw}");
    }
    for (instance, random) in [
        (A, true),
        (B, false),
        ("urn:imei:490154203237518", false),
        ("<8f1fa16a116541a9683415b785b1ef24>", true),
        ("<urn:x:8f1fa16a116541a9683415b785b1ef24f>", false),
    ] {
        let (licence, bindings) = licence(&[(&Phone::new().instance(instance), Some(LATER))]);
        let who = identify(&Phone::new().instance(instance).afresh().evidence(), &licence, &bindings, NOW);
        let rung = if random { Rung::Instance } else { Rung::PlainInstance };
        assert_eq!(who, known(1, rung, false), "{instance}");
    }
    assert_eq!(Instance::of(Some("x1".repeat(64).as_bytes())), Instance::Good("x1".repeat(64).as_bytes()));
    assert_eq!(Instance::of(Some("x1".repeat(65).as_bytes())), Instance::None, "one past the limit");
    assert_eq!(Instance::of(None), Instance::None);
}

#[test]
fn products_have_no_version() {
    for (agent, expected) in [
        ("Yealink SIP-T46S 66.84.0.15", "Yealink SIP-T46S"),
        ("baresip v1.0.0 (x86_64/linux)", "baresip"),
        ("Grandstream GXP2170 1.0.11.6", "Grandstream GXP2170"),
        ("PolycomVVX-VVX_410-UA/5.9.0.9373", "PolycomVVX-VVX_410-UA"),
        ("snom370/8.7.5.35", "snom370"),
        ("Cisco/SPA303-7.4.9c", "Cisco/SPA303"),
        ("LinphoneAndroid/4.5.0 (Pixel 6) LinphoneSDK/5.0", "LinphoneAndroid"),
        ("Z 5.4.9 rv2.10.11.7", "Z"),
        ("Zoiper rv2.10.15.2", "Zoiper"),
        ("JsSIP 3.13.8", "JsSIP"),
        ("PJSUA v2.10 Linux-5.4/x86_64", "PJSUA"),
        ("sipload", "sipload"),
        ("Foo/12", "Foo"),
        ("3CX Phone", "3CX Phone"),
        ("1.2.3", "1.2.3"),
        ("", ""),
        (" - / v1.0", ""),
    ] {
        assert_eq!(product(agent.as_bytes()), expected.as_bytes(), "{agent}");
    }
}

#[test]
fn what_is_kept_is_bounded_and_printable() {
    let long = "x".repeat(400);
    let phone = Phone::new().with(|p| p.contact = format!("sip:{long}@{long}:1;line={long}"));
    let mut agent = "Acm\u{e9} \u{1}Phone ".to_owned();
    agent.push_str(&long);
    let evidence = Evidence { user_agent: agent.as_bytes(), ..phone.evidence() };
    let newcomer = evidence.newcomer();
    let print = &newcomer.keys.fingerprint;
    let kept = print.product.len() + print.contact_user.len() + print.contact_host.len() + print.line.len();
    assert_eq!(kept, 48 + 64 + 72 + 32);
    assert!(newcomer.model.len() <= 64 && newcomer.model.starts_with("Acm\u{e9} Phone xxx"));
    let mut licence = Licence::default();
    licence.enable();
    let id = licence.activate(newcomer, 4, NOW).unwrap();
    assert!(evidence.is_kept_in(licence.device(id).unwrap()), "compared as it is kept");
}

proptest! {
    /// Whatever is in the fields, nothing panics and what is kept compares equal to what was shown.
    #[test]
    fn any_bytes(
        instance in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..160)),
        user_agent in proptest::collection::vec(any::<u8>(), 0..160),
        contact_uri in proptest::collection::vec(any::<u8>(), 0..160),
    ) {
        let evidence = Evidence {
            sip_instance: instance.as_deref(),
            labelled_mac: &user_agent,
            by_proxy: false,
            user_agent: &user_agent,
            contact_uri: &contact_uri,
            call_id: b"c",
            cseq: 1,
            flow: udp("192.0.2.7:1"),
            same_nonce_chain: None,
        };
        let mut licence = Licence::default();
        licence.enable();
        let id = licence.activate(evidence.newcomer(), 4, NOW).unwrap();
        prop_assert!(evidence.is_kept_in(licence.device(id).unwrap()));
        let _ = identify::<Bound>(&evidence, &licence, &[], NOW);
    }
}
