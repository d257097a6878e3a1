//! REGISTER through a whole `Core`. The bindings are there before, so nothing waits for the store;
//! users go round, so with many of them their entries are as cold as in service.

use super::station::{Event, REALM, Station, call_id, contact, credentials, flow, login};
use super::{Work, steps};

const URI: &str = "sip:example.test";

/// The request of a user; `number` makes its CSeq.
fn register(user: u32, number: u32, authorization: &str) -> String {
    let (login, remote) = (login(user), flow(user).remote);
    format!(
        "REGISTER {URI} SIP/2.0\r\nVia: SIP/2.0/UDP {remote};rport;branch=z9hG4bK{number:08x}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:{login}@{REALM}>;tag=r2\r\nTo: <sip:{login}@{REALM}>\r\n\
         Call-ID: {}\r\nCSeq: {} REGISTER\r\nContact: <{}>;expires=3600\r\n{authorization}Expires: 3600\r\n\
         Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, UPDATE\r\nUser-Agent: sipload\r\n\
         Content-Length: 0\r\n\r\n",
        call_id(user),
        10 + number,
        contact(user)
    )
}

/// The request without credentials: what is answered, and that it is a challenge.
fn challenged(station: &mut Station, user: u32, number: u32) -> String {
    let mut answers = station.say(user, register(user, number, ""));
    let (_, answer) = answers.pop().unwrap();
    assert!(answer.starts_with("SIP/2.0 401 ") && answers.is_empty(), "{answer}");
    answer
}

fn refreshed(station: &mut Station, user: u32, number: u32, challenge: &str, nc: u32) {
    let authorization = credentials(user, challenge, "Authorization", "REGISTER", URI, nc);
    let answers = station.say(user, register(user, number, &authorization));
    let whole = |answer: &str| answer.starts_with("SIP/2.0 200 ") && answer.contains(&contact(user));
    assert!(matches!(&answers[..], [(_, answer)] if whole(answer)), "{answers:?}");
}

fn play(station: &mut Station, mut script: Vec<Event>) {
    station.play(&mut script);
}

/// REGISTER without credentials: 401, and nothing kept.
pub(crate) fn challenge(users: u32) -> Box<dyn Work> {
    let make = |station: &mut Station| {
        let (number, user) = station.next();
        challenged(station, user, number);
        station.script()
    };
    steps(Station::new(users), make, play)
}

/// REGISTER with credentials from a nonce that was used before: 200.
pub(crate) fn refresh(users: u32) -> Box<dyn Work> {
    // The phones of the refreshes to come, each with its challenge answered once already.
    let make = |(station, challenges): &mut (Station, Vec<String>)| {
        let (number, user) = station.next();
        let nc = 1 + (number - 1) / u32::try_from(challenges.len()).unwrap();
        refreshed(station, user, number, &challenges[user as usize], nc);
        station.script()
    };
    let mut station = Station::new(users);
    let mut challenges = vec![String::new(); users as usize];
    for _ in 0..users {
        let (number, user) = station.next();
        let challenge = challenged(&mut station, user, number);
        refreshed(&mut station, user, number, &challenge, 1);
        challenges[user as usize] = challenge;
    }
    let mut script = station.script();
    station.play(&mut script);
    steps((station, challenges), make, |(station, _), script| play(station, script))
}

/// Both: the challenge and the REGISTER that answers it.
pub(crate) fn cycle(users: u32) -> Box<dyn Work> {
    let make = |station: &mut Station| {
        let (number, user) = station.next();
        let challenge = challenged(station, user, 2 * number);
        refreshed(station, user, 2 * number + 1, &challenge, 1);
        station.script()
    };
    steps(Station::new(users), make, play)
}
