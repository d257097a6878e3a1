//! Path, flows and clones, row by row.

use super::*;
use crate::sip::Message;
use bytes::Bytes;
use proptest::prelude::*;

const NOW: Wall = Wall::from_secs(1_000_000);
const TERMS: Terms = Terms { expires_min: Duration::from_secs(60), expires_max: Duration::from_secs(3600) };
const ME: DeviceId = DeviceId(1);
const I: &str = "+sip.instance=\"<urn:uuid:8f1fa16a-1165-4a96-8341-785b1ef24f12>\"";
const PROXY: &str = "Via: SIP/2.0/UDP proxy;branch=z9hG4bK2\r\n";

fn register(call_id: &str, cseq: u32, fields: &str) -> Message {
    let fields = fields.replace("{I}", I).replace("{PROXY}", PROXY);
    let text = format!(
        "REGISTER sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:a@x>\r\n\
         Call-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\n{fields}\r\n\r\n"
    );
    let message = Message::parse(Bytes::from(text)).unwrap();
    assert_eq!(message.fault(), None);
    message
}

fn flow(port: u16) -> Flow {
    Flow::udp(0, ([192, 0, 2, 1], port).into())
}

#[derive(Default)]
struct State {
    bindings: Vec<Binding>,
    next: u32,
    now_s: u64,
}

impl State {
    fn send(&mut self, port: u16, call_id: &str, cseq: u32, fields: &str) -> Result<Plan, RegisterError> {
        let message = register(call_id, cseq, fields);
        let asked = Asked::of(&message, &TERMS)?;
        let now = NOW + Duration::from_secs(self.now_s);
        self.next = self.next.max(1);
        let plan = plan(&self.bindings, ME, &asked, flow(port), true, 0, now)?;
        apply(&mut self.bindings, &mut self.next, &plan, ME, &asked, flow(port));
        Ok(plan)
    }

    /// Contact and `reg-id` of each.
    fn flows(&self) -> Vec<(&str, u32)> {
        let shown = |binding: &'_ Binding| binding.reg_id();
        self.bindings.iter().map(|b| (std::str::from_utf8(&b.contact).unwrap(), shown(b))).collect()
    }
}

#[test]
fn what_a_register_says_of_flows_and_its_way() {
    use RegisterError::{BadContact, BadPath, FirstHop};
    // Name, fields, then: reg-id, through a proxy, or the refusal.
    type Row = (&'static str, &'static str, Result<(u32, bool), RegisterError>);
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ("plain",                               "Contact: <sip:a@h>",                                                Ok((0, false))),
        ("a flow",                              "Contact: <sip:a@h>;{I};reg-id=1",                                   Ok((1, false))),
        ("the largest",                         "Contact: <sip:a@h>;{I};reg-id=2147483647",                          Ok((2_147_483_647, false))),
        ("one past it",                         "Contact: <sip:a@h>;{I};reg-id=2147483648",                          Ok((0, false))),
        ("zero is none",                        "Contact: <sip:a@h>;{I};reg-id=0",                                   Ok((0, false))),
        ("no number is none",                   "Contact: <sip:a@h>;{I};reg-id=x",                                   Ok((0, false))),
        ("without an instance it is ignored",   "Contact: <sip:a@h>;reg-id=1\r\nSupported: outbound",                Ok((0, false))),
        ("beside another contact",              "Contact: <sip:a@h>;{I};reg-id=1, <sip:b@h>",                        Err(BadContact)),
        ("beside one that ends",                "Contact: <sip:a@h>;{I};reg-id=1, <sip:b@h>;expires=0",              Ok((1, false))),
        ("a proxy that keeps no flows",         "{PROXY}Contact: <sip:a@h>;{I};reg-id=1",                            Ok((0, true))),
        ("the same, to a phone that wants one", "{PROXY}Contact: <sip:a@h>;{I};reg-id=1\r\nSupported: path, Outbound", Err(FirstHop)),
        ("a proxy with Path, but no flows",     "{PROXY}Path: <sip:p;lr>\r\nContact: <sip:a@h>;{I};reg-id=1\r\nk: outbound", Err(FirstHop)),
        ("an edge that keeps flows",            "{PROXY}Path: <sip:tok@p;lr;ob>\r\nContact: <sip:a@h>;{I};reg-id=1\r\nk: outbound", Ok((1, true))),
        ("the edge is the last of the Path",    "{PROXY}Path: <sip:q;lr>\r\nPath: <sip:tok@p;lr;ob>\r\nContact: <sip:a@h>;{I};reg-id=1\r\nk: outbound", Ok((1, true))),
        ("or the first",                        "{PROXY}Path: <sip:tok@p;lr;ob>, <sip:q;lr>\r\nContact: <sip:a@h>;{I};reg-id=1\r\nk: outbound", Ok((1, true))),
        ("a Path alone is a proxy, too",        "Path: <sip:p;lr>\r\nContact: <sip:a@h>",                            Ok((0, true))),
        ("a proxy without Path",                "{PROXY}Contact: <sip:a@h>",                                         Ok((0, true))),
        ("a hop that is no loose router",       "Path: <sip:p>\r\nContact: <sip:a@h>",                               Err(BadPath)),
        ("a hop without angles",                "Path: sip:p;lr\r\nContact: <sip:a@h>",                              Err(BadPath)),
        ("a hop that is no SIP URI",            "Path: <tel:+16045550199;lr>\r\nContact: <sip:a@h>",                 Err(BadPath)),
    ];
    for (name, fields, expected) in rows {
        let message = register("c", 1, fields);
        let found = Asked::of(&message, &TERMS);
        let found = found.map(|asked| (asked.main_contact().unwrap().reg_id, asked.by_proxy));
        assert_eq!(found, *expected, "{name}");
    }
}

#[test]
fn a_path_as_long_as_allowed_and_one_byte_more() {
    let hop = |bytes: usize| format!("<sip:{}@p;lr>", "x".repeat(bytes - 11));
    for (bytes, good) in [(1_022, true), (1_023, false)] {
        let message = register("c", 1, &format!("Path: {}\r\nContact: <sip:a@h>", hop(bytes)));
        assert_eq!(Asked::of(&message, &TERMS).is_ok(), good, "{bytes}");
    }
}

/// Name, fields, the flows that are left, whether nothing need be durable.
type FlowRow = (&'static str, &'static str, &'static [(&'static str, u32)], bool);

/// Each row goes on from `sip:a@h` as flow 1 and `sip:b@h` as flow 2.
#[test]
fn flows_row_by_row() {
    #[rustfmt::skip]
    let rows: &[FlowRow] = &[
        ("refresh",                        "Contact: <sip:a@h>;{I};reg-id=1",              &[("sip:a@h", 1), ("sip:b@h", 2)], true),
        ("the flow has another contact",   "Contact: <sip:z@h>;{I};reg-id=1",              &[("sip:b@h", 2), ("sip:z@h", 1)], false),
        ("both flows by one contact",      "Contact: <sip:a@h>;{I};reg-id=2",              &[("sip:a@h", 1), ("sip:a@h", 2)], false),
        ("a third flow",                   "Contact: <sip:a@h>;{I};reg-id=3",              &[("sip:a@h", 1), ("sip:b@h", 2), ("sip:a@h", 3)], false),
        ("one flow ends",                  "Contact: <sip:a@h>;{I};reg-id=1;expires=0",    &[("sip:b@h", 2)], false),
        ("one ends whatever its contact",  "Contact: <sip:q@h>;{I};reg-id=2;expires=0",    &[("sip:a@h", 1)], false),
        ("one ends by its contact alone",  "Contact: <sip:a@h>;{I};expires=0",             &[("sip:b@h", 2)], false),
        ("both end by one contact",        "Contact: <sip:a@h>;{I};reg-id=1;expires=0, <sip:a@h>;{I};reg-id=2;expires=0", &[], false),
        ("no flows any more",              "Contact: <sip:n@h>;{I}",                       &[("sip:n@h", 0)], false),
        ("no flows any more, same contact","Contact: <sip:a@h>;{I}",                       &[("sip:a@h", 0)], false),
        ("all end",                        "Contact: *\r\nExpires: 0",                     &[], false),
        ("another Path",                   "Path: <sip:p;lr;ob>\r\nContact: <sip:a@h>;{I};reg-id=1", &[("sip:b@h", 2), ("sip:a@h", 1)], false),
    ];
    for (name, fields, left, refresh) in rows {
        let mut state = State::default();
        state.send(1, "c", 1, "Contact: <sip:a@h>;{I};reg-id=1").unwrap();
        state.send(2, "c", 2, "Contact: <sip:b@h>;{I};reg-id=2").unwrap();
        let plan = state.send(1, "c", 3, fields).unwrap();
        assert_eq!(state.flows(), *left, "{name}");
        assert_eq!(plan.is_refresh(), *refresh, "{name}");
    }
    let mut state = State::default();
    state.send(1, "c", 1, "Contact: <sip:a@h>;{I}").unwrap();
    state.send(1, "c", 2, "Contact: <sip:a@h>;{I};reg-id=1").unwrap();
    assert_eq!(state.flows(), [("sip:a@h", 1)], "a phone begins to keep flows");
}

#[test]
fn a_path_is_kept_with_its_binding_and_its_change_is_durable() {
    let mut state = State::default();
    let fields = "Path: <sip:q;lr>\r\nPath: <sip:p;lr>;x, <sip:o;lr>\r\nContact: <sip:a@h>";
    assert!(!state.send(1, "c", 1, fields).unwrap().is_refresh());
    let extra = state.bindings[0].extra.clone().unwrap();
    assert_eq!(&*extra.path, b"<sip:q;lr>, <sip:p;lr>;x, <sip:o;lr>");
    assert!(extra.by_proxy && extra.instance.is_empty());
    assert!(state.send(1, "c", 2, fields).unwrap().is_refresh());
    assert!(!state.send(1, "c", 3, "Path: <sip:q;lr>\r\nContact: <sip:a@h>").unwrap().is_refresh());
    assert!(!state.send(1, "c", 4, "Contact: <sip:a@h>").unwrap().is_refresh());
    assert_eq!(state.bindings[0].extra, None, "nothing is kept of nothing");
}

#[test]
fn who_knows_of_gruus_is_kept_and_its_change_is_durable() {
    let mut state = State::default();
    state.send(1, "c", 1, "Contact: <sip:a@h>;{I}").unwrap();
    assert_eq!(state.bindings[0].extra, None);
    assert!(!state.send(1, "c", 2, "Contact: <sip:a@h>;{I}\r\nSupported: gruu").unwrap().is_refresh());
    let extra = state.bindings[0].extra.clone().unwrap();
    assert!(extra.gruu && extra.instance.starts_with(b"\"<urn:uuid:8f1f"));
    assert!(state.send(1, "c", 3, "Contact: <sip:a@h>;{I}\r\nk: GRUU").unwrap().is_refresh());
    state.send(1, "c", 4, "Contact: <sip:b@h>\r\nk: gruu").unwrap();
    assert_eq!(state.bindings[0].extra, None, "without an instance there is none");
}

/// Temporary GRUUs hold as long as the device goes on in one Call-ID, whichever binding it has.
#[test]
fn what_a_binding_was_born_with() {
    let mut state = State::default();
    let born = |state: &State| -> Vec<u32> {
        state.bindings.iter().map(|b| b.extra.as_ref().map_or(0, |extra| extra.born)).collect()
    };
    state.send(1, "c", 1, "Contact: <sip:a@h>;{I}\r\nk: gruu").unwrap();
    assert_eq!((born(&state), state.bindings[0].number), (vec![0], 1));
    state.send(1, "c", 2, "Contact: <sip:b@h>;{I}\r\nk: gruu").unwrap();
    assert_eq!((born(&state), state.bindings[0].number), (vec![1], 2), "it moved");
    state.send(1, "c", 3, "Contact: <sip:c@h>;{I}\r\nk: gruu").unwrap();
    assert_eq!(born(&state), [1], "and again");
    state.send(1, "new", 1, "Contact: <sip:d@h>;{I}\r\nk: gruu").unwrap();
    assert_eq!(born(&state), [0], "started anew");
    state.send(1, "new", 2, "Contact: <sip:d@h>;{I};expires=0\r\nk: gruu").unwrap();
    state.send(1, "new", 3, "Contact: <sip:d@h>;{I}\r\nk: gruu").unwrap();
    assert_eq!(born(&state), [0], "it was away");
}

/// Source port, Call-ID, CSeq, contact; what was seen, and how often by then.
#[test]
fn clones_row_by_row() {
    use Seen::{Cloned, ClonedAgain, Usual};
    type Step = (u16, &'static str, u32, &'static str, Seen, u16);
    #[rustfmt::skip]
    let rows: &[(&str, &[Step])] = &[
        ("one phone, refreshing",          &[(1, "a", 1, "p", Usual, 0), (1, "a", 2, "p", Usual, 0)]),
        ("one that moves",                 &[(1, "a", 1, "p", Usual, 0), (2, "a", 2, "q", Usual, 0), (1, "a", 3, "p", Usual, 0)]),
        ("one that is started anew often", &[(1, "a", 1, "p", Usual, 0), (1, "b", 1, "p", Usual, 0), (2, "c", 1, "q", Usual, 0), (1, "d", 1, "p", Usual, 0)]),
        ("a Call-ID for each network",     &[(1, "a", 1, "p", Usual, 0), (2, "b", 1, "p", Usual, 0), (2, "b", 2, "p", Usual, 0)]),
        ("two phones, two contacts",       &[(1, "a", 1, "p", Usual, 0), (2, "b", 1, "q", Usual, 0), (1, "a", 2, "p", Cloned, 1), (2, "b", 2, "q", ClonedAgain, 2)]),
        ("two phones, one private contact",&[(1, "a", 1, "p", Usual, 0), (2, "b", 1, "p", Usual, 0), (1, "a", 2, "p", Cloned, 1), (2, "b", 2, "p", ClonedAgain, 2), (2, "b", 3, "p", Usual, 2)]),
        ("an old request that comes late", &[(1, "a", 5, "p", Usual, 0), (2, "b", 1, "p", Usual, 0), (1, "a", 5, "p", Usual, 0)]),
        ("two Call-IDs of one phone",      &[(1, "a", 1, "p", Usual, 0), (1, "b", 1, "p", Usual, 0), (1, "a", 2, "p", Usual, 0)]),
    ];
    for (name, steps) in rows {
        let mut state = State::default();
        for (at, (port, call_id, cseq, contact, seen, clones)) in steps.iter().enumerate() {
            let plan =
                state.send(*port, call_id, *cseq, &format!("Contact: <sip:{contact}@h>;{{I}}")).unwrap();
            let found: Vec<_> = state.bindings.iter().map(Binding::clones).collect();
            assert_eq!((plan.seen, found), (*seen, vec![*clones]), "{name}, step {at}");
            assert!(plan.seen != Seen::Cloned || !plan.is_refresh(), "{name}: the first is durable");
        }
    }
}

#[test]
fn flows_of_one_phone_are_no_clones() {
    let mut state = State::default();
    for cseq in 1..5 {
        for (flow, call_id) in [(1, "a"), (2, "b")] {
            let fields = format!("Contact: <sip:x@h>;{{I}};reg-id={flow}");
            assert_eq!(state.send(flow, call_id, cseq, &fields).unwrap().seen, Seen::Usual);
        }
    }
    assert_eq!(state.bindings.len(), 2);
}

#[test]
fn a_flow_knows_when_it_was_heard() {
    let mut state = State::default();
    for (now_s, reg_id) in [(0, 1), (10, 2), (20, 1)] {
        state.now_s = now_s;
        state
            .send(
                1,
                "c",
                u32::try_from(now_s).unwrap() + 1,
                &format!("Contact: <sip:x@h>;{{I}};reg-id={reg_id}"),
            )
            .unwrap();
    }
    let heard = |at: usize| state.bindings[at].extra.as_ref().unwrap().heard.since(NOW).as_secs();
    assert_eq!((heard(0), heard(1)), (20, 10));
}

/// Found by the program test below: the flow of another `reg-id` hid the contact without one, whose
/// order was not looked at then, and which came to stand twice.
#[test]
fn a_contact_without_a_flow_is_found_behind_a_flow_of_the_same_uri() {
    let mut state = State::default();
    let steps = [(0, 0, 0, 0), (0, 0, 1, 1), (1, 0, 1, 2), (0, 1, 1, 0), (0, 0, 1, 0)];
    for (call, cseq, contact, reg_id) in steps {
        let fields = format!("Contact: <sip:c{contact}@h>;{{I}};reg-id={reg_id};expires=600");
        let _ = state.send(1, &format!("c{call}"), cseq, &fields);
        let plain = state.flows().iter().filter(|found| **found == ("sip:c1@h", 0)).count();
        assert!(plain <= 1, "{:?}", state.flows());
    }
}

proptest! {
    /// Whatever two phones with one instance send in whatever order: a device has each flow once, its
    /// contacts without a flow are unlike, there are never more than allowed, and what is refused
    /// changes nothing.
    #[test]
    fn any_program_of_flows(
        steps in prop::collection::vec((1..3u16, 0..3u8, 0..12u32, 0..4u8, 0..20u32, any::<bool>(), any::<bool>()), 1..60),
    ) {
        let mut state = State::default();
        for (port, call, cseq, contact, reg_id, ends, path) in steps {
            let before = state.bindings.clone();
            let path = if path { "Path: <sip:p;lr;ob>\r\n" } else { "" };
            let expires = if ends { 0 } else { 600 };
            let fields = format!("{path}Contact: <sip:c{contact}@h>;{{I}};reg-id={reg_id};expires={expires}");
            if state.send(port, &format!("c{call}"), cseq, &fields).is_err() {
                prop_assert_eq!(&state.bindings, &before);
            }
            let mut flows: Vec<_> = state.bindings.iter().filter(|b| b.reg_id() != 0).map(Binding::reg_id).collect();
            let mut plain: Vec<_> = state.bindings.iter().filter(|b| b.reg_id() == 0).map(|b| b.contact.clone()).collect();
            let found = (flows.len(), plain.len());
            flows.sort_unstable();
            flows.dedup();
            plain.sort();
            plain.dedup();
            prop_assert_eq!((flows.len(), plain.len()), found);
            prop_assert!(state.bindings.len() <= crate::base::limit::BINDINGS_MAX);
        }
    }
}
