use super::*;
use crate::registrar::Terms;
use crate::sip::Message;
use bytes::Bytes;
use proptest::prelude::*;

const NOW: Wall = Wall::from_secs(1_000_000);
const TERMS: Terms = Terms { expires_min: Duration::from_secs(60), expires_max: Duration::from_secs(3600) };
const ME: DeviceId = DeviceId(1);

fn register(call_id: &str, cseq: u32, fields: &str) -> Message {
    let text = format!(
        "REGISTER sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:a@x>\r\n\
         Call-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\n{fields}\r\n"
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
}

impl State {
    fn send(&mut self, device: DeviceId, replaces: bool, message: &Message) -> Result<Plan, RegisterError> {
        let asked = Asked::of(message, &TERMS)?;
        let plan = plan(&self.bindings, device, &asked, flow(1), replaces, 0, NOW)?;
        apply(&mut self.bindings, &mut self.next, &plan, device, &asked, flow(1));
        Ok(plan)
    }

    fn contacts(&self) -> Vec<&str> {
        self.bindings.iter().map(|binding| std::str::from_utf8(&binding.contact).unwrap()).collect()
    }
}

/// Name, Call-ID, CSeq, fields, what is left after it (or the refusal). All rows but the first
/// start from the bindings `sip:a@h` (Call-ID `c1`, CSeq 5) and `sip:b@h` (Call-ID `c1`, CSeq 5).
type Row = (&'static str, &'static str, u32, &'static str, Result<&'static [&'static str], RegisterError>);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("query changes nothing",       "c9", 1, "",                                                  Ok(&["sip:a@h", "sip:b@h"])),
    ("refresh",                     "c1", 6, "Contact: <sip:a@h>\r\n",                            Ok(&["sip:a@h", "sip:b@h"])),
    ("refresh, equal URI",          "c1", 6, "Contact: <sip:%61@H>\r\n",                          Ok(&["sip:b@h", "sip:%61@H"])),
    ("add",                         "c1", 6, "Contact: <sip:c@h>\r\n",                            Ok(&["sip:a@h", "sip:b@h", "sip:c@h"])),
    ("remove by parameter",         "c1", 6, "Contact: <sip:a@h>;expires=0\r\n",                  Ok(&["sip:b@h"])),
    ("remove by header",            "c1", 6, "Contact: <sip:a@h>\r\nExpires: 0\r\n",              Ok(&["sip:b@h"])),
    ("parameter before header",     "c1", 6, "Contact: <sip:a@h>;expires=60\r\nExpires: 0\r\n",   Ok(&["sip:a@h", "sip:b@h"])),
    ("remove what is not there",    "c1", 6, "Contact: <sip:z@h>;expires=0\r\n",                  Ok(&["sip:a@h", "sip:b@h"])),
    ("named twice, the first counts","c1", 6, "Contact: <sip:c@h>, <sip:c@h>;expires=0\r\n",     Ok(&["sip:a@h", "sip:b@h", "sip:c@h"])),
    ("swap in one request",         "c1", 6, "Contact: <sip:a@h>;expires=0, <sip:c@h>\r\n",       Ok(&["sip:b@h", "sip:c@h"])),
    ("star",                        "c1", 6, "Contact: *\r\nExpires: 0\r\n",                      Ok(&[])),
    ("star after reboot",           "c2", 1, "Contact: *\r\nExpires: 0\r\n",                      Ok(&[])),
    ("star needs Expires",          "c1", 6, "Contact: *\r\n",                                    Err(RegisterError::BadStar)),
    ("star needs Expires 0",        "c1", 6, "Contact: *\r\nExpires: 60\r\n",                     Err(RegisterError::BadStar)),
    ("star stands alone",           "c1", 6, "Contact: *, <sip:a@h>\r\nExpires: 0\r\n",           Err(RegisterError::BadContact)),
    ("star out of order",           "c1", 5, "Contact: *\r\nExpires: 0\r\n",                      Err(RegisterError::OutOfOrder)),
    ("equal CSeq",                  "c1", 5, "Contact: <sip:a@h>\r\n",                            Err(RegisterError::OutOfOrder)),
    ("lower CSeq",                  "c1", 4, "Contact: <sip:a@h>\r\n",                            Err(RegisterError::OutOfOrder)),
    ("lower CSeq, other Call-ID",   "c2", 1, "Contact: <sip:a@h>\r\n",                            Ok(&["sip:a@h", "sip:b@h"])),
    ("all or nothing: order",       "c1", 5, "Contact: <sip:c@h>, <sip:a@h>\r\n",                 Err(RegisterError::OutOfOrder)),
    ("all or nothing: brief",       "c1", 6, "Contact: <sip:c@h>, <sip:a@h>;expires=59\r\n",      Err(RegisterError::TooBrief { min_s: 60 })),
    ("brief by header",             "c1", 6, "Contact: <sip:c@h>\r\nExpires: 1\r\n",              Err(RegisterError::TooBrief { min_s: 60 })),
    ("malformed expires is 3600",   "c1", 6, "Contact: <sip:c@h>;expires=soon\r\n",               Ok(&["sip:a@h", "sip:b@h", "sip:c@h"])),
    ("no SIP contact",              "c1", 6, "Contact: <mailto:a@h>\r\n",                         Err(RegisterError::BadContact)),
    ("broken contact",              "c1", 6, "Contact: <sip:a@h\r\n",                             Err(RegisterError::BadContact)),
];

#[test]
fn every_row() {
    for (name, call_id, cseq, fields, expected) in ROWS {
        let mut state = State::default();
        state.send(ME, false, &register("c1", 5, "Contact: <sip:a@h>, <sip:b@h>\r\n")).unwrap();
        let before = state.bindings.clone();
        match (state.send(ME, false, &register(call_id, *cseq, fields)), expected) {
            (Ok(_), Ok(left)) => assert_eq!(state.contacts(), *left, "{name}"),
            (Err(found), Err(expected)) => {
                assert_eq!(found, *expected, "{name}");
                assert_eq!(state.bindings, before, "{name}: nothing may change");
            }
            (found, expected) => panic!("{name}: {found:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn a_refresh_is_no_durable_change_and_a_change_is() {
    let mut state = State::default();
    let first = state.send(ME, false, &register("c", 1, "Contact: <sip:a@h>\r\n")).unwrap();
    assert!(!first.is_refresh());
    assert!(state.send(ME, false, &register("c", 2, "Contact: <sip:a@h>\r\n")).unwrap().is_refresh());
    assert!(state.send(ME, false, &register("new", 1, "Contact: <sip:a@h>\r\n")).unwrap().is_refresh());
    assert!(state.send(ME, false, &register("c", 3, "")).unwrap().is_refresh());
    assert!(!state.send(ME, false, &register("c", 3, "Contact: <sip:a@h>;q=0.1\r\n")).unwrap().is_refresh());
}

#[test]
fn each_device_has_its_own_contacts() {
    let mut state = State::default();
    let other = DeviceId(2);
    state.send(ME, false, &register("c", 1, "Contact: <sip:a@10.0.0.1>\r\n")).unwrap();
    state.send(other, false, &register("d", 1, "Contact: <sip:a@10.0.0.1>\r\n")).unwrap();
    assert_eq!(state.bindings.len(), 2);
    state.send(other, false, &register("d", 2, "Contact: *\r\nExpires: 0\r\n")).unwrap();
    assert_eq!(state.bindings.iter().map(|binding| binding.device).collect::<Vec<_>>(), [ME]);
}

#[test]
fn a_device_with_a_lasting_key_has_one_place() {
    let mut state = State::default();
    state.send(ME, true, &register("c", 1, "Contact: <sip:a@home>\r\n")).unwrap();
    state.send(ME, true, &register("c", 2, "Contact: <sip:a@cafe>\r\n")).unwrap();
    assert_eq!(state.contacts(), ["sip:a@cafe"]);
}

#[test]
fn as_many_bindings_as_allowed_and_one_more() {
    let mut state = State::default();
    for number in 0..limit::BINDINGS_MAX {
        let contact = format!("Contact: <sip:a@h{number}>\r\n");
        state.send(ME, false, &register("c", u32::try_from(number).unwrap(), &contact)).unwrap();
    }
    let one_more = register("c", 99, "Contact: <sip:one@more>\r\n");
    assert_eq!(state.send(ME, false, &one_more), Err(RegisterError::TooMany));
    state.bindings[3].expires = NOW;
    state.send(ME, false, &one_more).unwrap();
    assert_eq!(state.bindings.len(), limit::BINDINGS_MAX, "the expired one made room");
}

#[test]
fn what_is_granted() {
    assert_eq!(granted(60, 255), Duration::from_secs(60));
    assert_eq!(granted(3600, 0), Duration::from_secs(3600));
    assert!(granted(3600, 255) > Duration::from_secs(3420));
    let long = register("c", 1, "Contact: <sip:a@h>;expires=999999999999\r\n");
    let asked = Asked::of(&long, &TERMS).unwrap();
    assert_eq!(asked.main_contact().unwrap().expires_s, 3600);
}

proptest! {
    /// Whatever is sent in whatever order: bindings stay bounded and numbered uniquely, no device
    /// has a contact twice, and a refused request changes nothing.
    #[test]
    fn any_program(steps in prop::collection::vec((0..3u32, 0..3u8, 0..12u32, 0..5u8, prop::sample::select(vec![0u32, 59, 60, 3600]), any::<bool>()), 1..60)) {
        let mut state = State::default();
        for (device, call, cseq, contact, expires, replaces) in steps {
            let before = state.bindings.clone();
            let message = register(&format!("c{call}"), cseq, &format!("Contact: <sip:u@h{contact}>;expires={expires}\r\n"));
            if state.send(DeviceId(device), replaces, &message).is_err() {
                prop_assert_eq!(&state.bindings, &before);
            }
            let mut seen: Vec<_> = state.bindings.iter().map(|binding| (binding.device, binding.contact.clone())).collect();
            seen.sort();
            seen.dedup();
            prop_assert_eq!(seen.len(), state.bindings.len());
            let mut numbers: Vec<_> = state.bindings.iter().map(|binding| binding.number).collect();
            numbers.sort_unstable();
            numbers.dedup();
            prop_assert_eq!(numbers.len(), state.bindings.len());
            prop_assert!(state.bindings.len() <= limit::BINDINGS_MAX);
            prop_assert!(numbers.iter().all(|number| *number < state.next));
        }
    }
}
