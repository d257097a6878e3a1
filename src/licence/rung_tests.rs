//! Rungs 3 and 4, and phones behind a proxy, row by row.

use super::tests::{A, Bound, LATER, NOW, Phone, WEAK_A, known, licence, tcp};
use super::*;

const MAC: &str = "80:5e:c0:12:34:56";
const OTHER: &str = "80:5e:c0:12:34:57";
const PUSH: &str = "sip:200@10.0.0.5:5060;pn-provider=fcm;pn-prid=ZTY4ZDJlMzODE1NmUgKi0K;line=x1";

fn mac(mac: &'static str) -> Phone {
    Phone::new().with(|p| p.mac = mac)
}

fn push() -> Phone {
    Phone::new().with(|p| p.contact = PUSH.to_owned())
}

fn prid(prid: &str) -> Phone {
    push().with(|p| p.contact = PUSH.replace("ZTY4ZDJlMzODE1NmUgKi0K", prid))
}

#[test]
fn a_key_of_rung_3_or_4_decides_alone() {
    let mac_first = Phone::new().with(|p| p.agent = "Yealink SIP-T46S 66.84.0.15 80:5e:c0:12:34:56");
    let one = DeviceId(1);
    let is = |by, known_flow| Who::Known { device: one, by, known_flow };
    #[rustfmt::skip]
    let rows = [
        ("same MAC, all else new",               mac(MAC), mac(MAC).afresh(),                     is(Rung::Mac, false)),
        ("same MAC on its flow",                 mac(MAC), mac(MAC),                              is(Rung::Mac, true)),
        ("same MAC, written otherwise",          mac(MAC), mac("805EC0123456"),                   is(Rung::Mac, true)),
        ("same MAC, another product",            mac(MAC), mac(MAC).afresh().with(|p| p.agent = "Other/1"), is(Rung::Mac, false)),
        ("same MAC, now in the User-Agent",      mac(MAC), mac_first.clone().afresh(),            is(Rung::Mac, false)),
        ("another MAC, all else the same",       mac(MAC), mac(OTHER),                            Who::New),
        ("another MAC over a known nonce",       mac(MAC), mac(OTHER).with(|p| p.nonce = Some(1)), Who::New),
        ("a MAC where there was none",           Phone::new(), mac(MAC),                          Who::New),
        ("no MAC now, but it goes on",           mac(MAC), Phone::new(),                          is(Rung::CallId, true)),
        ("no MAC now, and nothing else",         mac(MAC), Phone::new().afresh(),                 Who::New),
        ("an unsound MAC is none",               mac(MAC), mac("02:00:00:12:34:56"),              is(Rung::CallId, true)),
        ("a weak instance beside the MAC",       mac(MAC), mac(MAC).instance(WEAK_A).afresh(),    is(Rung::Mac, false)),
        ("an unknown instance beside the MAC",   mac(MAC), mac(MAC).instance(A),                  Who::New),
        ("instance and MAC, then the MAC alone", mac(MAC).instance(A), mac(MAC).afresh(),         is(Rung::Mac, false)),
        ("instance and MAC, then the instance alone", mac(MAC).instance(A), Phone::new().instance(A).afresh(), is(Rung::Instance, false)),
        ("same push identity, all else new",     push(), push().afresh(),                         is(Rung::Push, false)),
        ("same push identity on its flow",       push(), push(),                                  is(Rung::Push, true)),
        ("another push identity",                push(), prid("AAAAZDJlMzODE1NmUgKi0K"),          Who::New),
        ("a push identity where there was none", Phone::new(), push(),                            Who::New),
        ("too short to be one",                  Phone::new(), prid("123"),                       is(Rung::CallId, true)),
        ("MAC before push identity",             push(), push().with(|p| p.mac = MAC),            Who::New),
        ("no push identity now, but it goes on", push(), Phone::new(),                            is(Rung::CallId, true)),
    ];
    for (name, was, comes, who) in rows {
        let (licence, bindings) = licence(&[(&was, Some(LATER))]);
        assert_eq!(identify(&comes.evidence(), &licence, &bindings, NOW), who, "{name}");
    }
}

/// Two phones of one model behind one NAT, alike in all but their MAC or push identity.
#[test]
fn two_phones_with_keys_of_their_own_are_two() {
    for (one, two) in
        [(mac(MAC), mac(OTHER)), (prid("AAAAZDJlMzODE1NmUgKi0K"), prid("BBBBZDJlMzODE1NmUgKi0K"))]
    {
        let (licence, bindings) = licence(&[(&one, Some(LATER)), (&two, Some(LATER))]);
        let who = |phone: &Phone| identify(&phone.evidence(), &licence, &bindings, NOW).device();
        assert_eq!((who(&one), who(&two)), (Some(DeviceId(1)), Some(DeviceId(2))));
        assert_eq!(who(&one.afresh()), Some(DeviceId(1)));
    }
}

#[test]
fn a_device_with_such_a_key_is_never_taken_over_by_its_looks() {
    for phone in [mac(MAC), push()] {
        let (licence, bindings) = licence(&[(&phone, None)]);
        let contact = phone.contact.clone();
        let look_alike = Phone::new().afresh().with(|p| p.contact = contact.replace("pn-", "x-"));
        assert_eq!(identify(&look_alike.evidence(), &licence, &bindings, NOW), Who::New);
    }
}

#[test]
fn keys_that_come_later_are_kept_and_those_not_shown_stay() {
    let phone = Phone::new();
    let (mut licence, _) = licence(&[(&phone, None)]);
    let id = DeviceId(1);
    let steps = [mac(MAC), push(), Phone::new().instance(A), Phone::new()];
    for step in &steps {
        assert!(licence.recognise(id, step.evidence().newcomer(), LATER));
        assert!(step.evidence().is_kept_in(licence.device(id).unwrap()));
    }
    let keys = &licence.device(id).unwrap().keys;
    assert_eq!(keys.instance.as_deref(), Some(A.trim_matches(['<', '>'])));
    let more = keys.more.as_deref().unwrap();
    assert_eq!((more.mac, more.push), (mac(MAC).evidence().mac(), push().evidence().push()));
    let rotated = prid("AAAAZDJlMzODE1NmUgKi0K").instance(A);
    assert!(!rotated.evidence().is_kept_in(licence.device(id).unwrap()), "the push service gave it another");
    assert!(licence.recognise(id, rotated.evidence().newcomer(), LATER));
    assert!(rotated.evidence().is_kept_in(licence.device(id).unwrap()));
    assert!(
        !Phone::new().instance(A).with(|p| p.mac = OTHER).evidence().is_kept_in(licence.device(id).unwrap())
    );
}

#[test]
fn a_key_of_a_revoked_device_refuses_whoever_else_has_it() {
    for (was, comes) in [(mac(MAC), mac(MAC).afresh()), (push(), push().afresh())] {
        let newer = was.clone().instance(A);
        let (mut licence, _) = licence(&[(&was, None), (&newer, None)]);
        assert_eq!(identify::<Bound>(&comes.evidence(), &licence, &[], NOW).device(), Some(DeviceId(1)));
        licence.revoke(DeviceId(1), std::iter::empty(), NOW);
        assert_eq!(identify::<Bound>(&comes.evidence(), &licence, &[], NOW), Who::Revoked(DeviceId(1)));
        let with_instance = newer.afresh();
        assert_eq!(
            identify::<Bound>(&with_instance.evidence(), &licence, &[], NOW),
            known(2, Rung::Instance, false)
        );
    }
}

/// Two phones with the same private address behind two NATs, both through one proxy: their flow,
/// their stream and their Contact are the same.
#[test]
fn the_flow_of_a_proxy_proves_nothing() {
    let over_udp = Phone::new().with(|p| p.by_proxy = true);
    let over_tcp = over_udp.clone().with(|p| p.flow = tcp("192.0.2.8:50000", 7));
    for (phone, state) in [(&over_udp, LATER), (&over_tcp, LATER)] {
        let (licence, bindings) = licence(&[(phone, Some(state))]);
        let who = |phone: Phone| identify(&phone.evidence(), &licence, &bindings, NOW);
        let other = phone.clone().with(|p| p.call_id = "other".to_owned());
        assert_eq!(who(other.clone()), Who::New, "all but the Call-ID is the same");
        assert_eq!(who(other.with(|p| p.by_proxy = false)), Who::New, "nor does a binding by proxy prove");
        let next = phone.clone().with(|p| p.cseq += 1);
        assert_eq!(who(next.clone()), known(1, Rung::CallId, false), "no known flow");
        assert_eq!(who(next.with(|p| p.agent = "Other/1")), Who::New);
    }
    let direct = Phone::new();
    let (licence, bindings) = licence(&[(&direct, Some(LATER))]);
    let by_proxy = direct.with(|p| p.by_proxy = true).with(|p| p.call_id = "other".to_owned());
    assert_eq!(identify(&by_proxy.evidence(), &licence, &bindings, NOW), Who::New);
    let keyed = over_udp.instance(A);
    let (licence, bindings) = super::tests::licence(&[(&keyed, Some(LATER))]);
    assert_eq!(identify(&keyed.evidence(), &licence, &bindings, NOW), known(1, Rung::Instance, false));
}
