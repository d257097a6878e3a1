//! The store fails once in the middle of each flow that changes something: at each of its operations, in each
//! way. Then nothing is half done, memory and store agree, whoever was told that it is done can rely on it, and
//! who asks again gets what they asked for.

use super::faults::{FAULTS, fail, recover};
use super::flows::{Did, Flow, PORTAL, REQUESTS, ask, own, secret};
use super::*;
use crate::account::{MailKind, Tenant};
use crate::service::tables::{AUDIT, BANS, KEYS, SESSIONS, TENANTS, account};
use crate::store::faulty::Operation;
use std::collections::BTreeSet;

/// What there is, in the store and in memory, without what differs each time (secrets, numbers of mails).
fn state(bench: &Bench) -> Vec<String> {
    let services = bench.desk.services();
    let (view, memory) = (services.store.view(), &services.directory);
    let mut found = Vec::new();
    for tenant in ["acme", "beta"] {
        let kept = TENANTS.get(&view, &[tenant]).unwrap().map(|row| row.value);
        found.push(format!("{tenant}: {}", kept.as_ref().map_or_else(String::new, set)));
        if memory.tenant(tenant).as_deref() != kept.as_ref() {
            found.push(format!("otherwise in memory: {:?}", memory.tenant(tenant)));
        }
    }
    for name in ["201-acme", "202-acme", "203-acme", "desk1-acme"] {
        let login = LoginName::of_account(name).unwrap();
        let kept = account(&view, &login).unwrap().map(|row| row.value);
        // An agent at a station counts only if the extension names the station back.
        let named =
            |station: &ExtensionRecord| station.paired().and_then(|agent| account(&view, &agent).unwrap());
        let kept = kept.map(|mut record| {
            if login.is_station() && named(&record).is_none_or(|agent| agent.value.station.is_none()) {
                record.station = None;
            }
            record
        });
        found.push(format!("{name}: {}", kept.as_ref().map_or_else(String::new, told)));
        let known = memory.with(name, |entry| {
            let epoch = entry.credentials.as_ref().map(|credentials| credentials.epoch);
            let licence = (entry.licence.enabled, entry.licence.generation, entry.licence.devices.len());
            let sure = !entry.doubt.is_any();
            (entry.life, licence, entry.bindings.len(), epoch, entry.name.to_string(), sure)
        });
        let expected = kept.map(|record| {
            let epoch = record.credentials.as_ref().map(|credentials| credentials.epoch);
            let licence = (record.licence.enabled, record.licence.generation, record.licence.devices.len());
            (record.life, licence, record.bindings.len(), epoch, record.name, true)
        });
        if known != expected {
            found.push(format!("otherwise in memory: {known:?}"));
        }
    }
    // A session counts by its browser, which the record remembers last.
    let next = account(&view, &own())
        .unwrap()
        .and_then(|row| row.value.portal)
        .map_or(0, |portal| portal.next_browser);
    let sessions = SESSIONS.scan(&view, &["acme", "201"], None, 100).unwrap();
    let sessions = sessions.iter().filter(|(_, row)| row.value.browser.0 < next).count();
    let operators = KEYS.scan(&view, &["op"], None, 100).unwrap().len();
    let bans = BANS.scan(&view, &[], None, 100).unwrap().len();
    let known = memory.bans(Mono::default()).len();
    found.push(format!("{sessions} sessions, {operators} keys of operators, {bans} bans, {known} in memory"));
    found
}

fn set(tenant: &Tenant) -> String {
    let Tenant { active, name, policies, main_number, .. } = tenant;
    format!("{name} active {active} devices {:?} main {main_number:?}", policies.max_devices)
}

fn told(record: &ExtensionRecord) -> String {
    let kind = |kind: &MailKind| format!("{kind:?}").split([' ', '{']).next().unwrap().to_owned();
    let mails: Vec<_> = record.mails.waiting().iter().map(|mail| kind(&mail.kind)).collect();
    let devices = record.licence.devices.iter().map(|it| (it.id, it.revoked, it.name.clone(), it.sha256));
    let portal = record.portal.as_deref().map(|portal| {
        let second = SecondStanding::of(record);
        let question = portal.question.as_ref().map(|question| question.text.clone());
        let begun =
            portal.second.as_ref().map(|second| (second.enrolling.is_some(), second.mailed.is_some()));
        let set = [portal.must_change, portal.pin.is_some(), portal.reset.is_some()];
        (set, question, begun, second, portal.keys.len())
    });
    let epochs = [&record.credentials, &record.previous].map(|one| one.as_ref().map(|sealed| sealed.epoch));
    format!(
        "{:?} {} {:?} {:?} {:?} app {} {} {:?} bindings {} passwords {epochs:?} locks {} {} invited {} owed {mails:?} \
         portal {portal:?} at {:?}",
        record.life,
        record.name,
        record.email,
        record.role,
        record.numbers,
        record.licence.enabled,
        record.licence.generation,
        devices.collect::<Vec<_>>(),
        record.bindings.len(),
        record.lock.is_some(),
        record.locks.len(),
        record.invitation.is_some(),
        record.station,
    )
}

fn lines(bench: &Bench) -> usize {
    AUDIT.scan(&bench.desk.services().store.view(), &[], None, 1_000).unwrap().len()
}

/// Runs a flow with this fault at its `number`-th operation of a kind; whether it has that many.
///
/// # Errors
/// What should not be.
fn try_flow(flow: &Flow, sound: &Sound, kind: Operation, fault: Fault, number: u32) -> Result<bool, String> {
    let bench = Bench::new();
    let kit = (flow.before)(&bench);
    let written = lines(&bench);
    let met = fail(&bench, kind, number, fault);
    let did = (flow.act)(&bench, &kit);
    recover(&bench);
    let now = state(&bench);
    let (before, once) = (&sound.before, &sound.once);
    let check =
        |good: bool, what: &str| if good { Ok(()) } else { Err(format!("{what}: {did:?}, {now:#?}")) };
    if !met.load(Ordering::Relaxed) {
        check(did == Did::Done && now == *once, "nothing failed")?;
        return Ok(false);
    }
    check(matches!(did, Did::Done | Did::Away), "it says something else than that the store was away")?;
    check(did != Did::Done || now == *once, "whoever was told that it is done cannot rely on it")?;
    check(flow.several || now == *once || now == *before, "half done")?;
    let was_done = now == *once && once != before;
    check(!was_done || sound.lines == 0 || lines(&bench) > written, "no line of the audit")?;
    // Once more: what was not done is, and what was done stays so.
    let again = (flow.act)(&bench, &kit);
    let after = state(&bench);
    let (expected, end) = if was_done { (&sound.again, &sound.twice) } else { (&Did::Done, once) };
    let alike = std::mem::discriminant(&again) == std::mem::discriminant(expected);
    check(alike && after == *end, &format!("asked again, it was {again:?}, {after:#?}, after"))?;
    Ok(true)
}

/// What a flow comes to on a store that is well.
struct Sound {
    before: Vec<String>,
    once: Vec<String>,
    again: Did,
    twice: Vec<String>,
    /// How many lines of the audit it writes.
    lines: usize,
}

impl Sound {
    fn of(flow: &Flow) -> Self {
        let bench = Bench::new();
        let kit = (flow.before)(&bench);
        let (before, written) = (state(&bench), lines(&bench));
        assert_eq!((flow.act)(&bench, &kit), Did::Done, "{}", flow.name);
        let (once, lines) = (state(&bench), lines(&bench) - written);
        let again = (flow.act)(&bench, &kit);
        assert_ne!(again, Did::Away, "{}", flow.name);
        Self { before, once, again, twice: state(&bench), lines }
    }
}

/// `least`: how many lines of the audit each flow writes at least.
fn nothing_is_half_done(flows: &[Flow], least: usize) {
    let (mut tried, mut found) = (0, Vec::new());
    for flow in flows {
        let sound = Sound::of(flow);
        assert!(sound.lines >= least, "{}: {} lines of the audit", flow.name, sound.lines);
        for (kind, fault) in FAULTS {
            for number in 1..=100 {
                match try_flow(flow, &sound, kind, fault, number) {
                    Ok(true) => tried += 1,
                    Ok(false) => break,
                    Err(what) => found.push(format!("{}, {kind:?} {number} {fault:?}: {what}", flow.name)),
                }
            }
        }
    }
    assert!(found.is_empty(), "{} of {tried}\n{}", found.len(), found.join("\n"));
    assert!(tried > 5 * flows.len(), "{tried}");
}

#[test]
fn a_store_that_fails_in_the_middle_of_any_administrators_request_leaves_nothing_half_done() {
    nothing_is_half_done(REQUESTS, 1);
}

#[test]
fn a_store_that_fails_in_the_middle_of_any_flow_of_the_portal_leaves_nothing_half_done() {
    nothing_is_half_done(PORTAL, 0);
}

/// A request that changes something, and that is not in the table, does not compile or fails here.
#[test]
fn every_request_that_changes_something_is_in_the_table() {
    let mut in_table: BTreeSet<&str> = REQUESTS.iter().map(|flow| flow.name).collect();
    in_table.remove("ban clear"); // `lock clear` as people type it
    in_table.remove("key add --operator");
    in_table.insert("import"); // below
    in_table.insert("secrets rotate"); // its key is kept in a file: `tests/rotation.rs`
    let expected: BTreeSet<&str> = crate::service::admin::authority::every_change().into_iter().collect();
    assert_eq!(in_table, expected);
}

/// An import is many rows, and may stop between two: those that were imported are whole, and whoever asks again
/// is told which they are.
#[test]
fn a_store_that_fails_in_the_middle_of_an_import_leaves_whole_rows() {
    const HEAD: &str = "tenant,extension,name,email,password\n";
    const ROWS: [&str; 2] = ["acme,202,Bell,,Right-Horse7\n", "acme,203,Cole,cole@example.test,\n"];
    let import =
        |bench: &Bench, csv: &str| ask(bench, Request::Import { csv: secret(csv), skip_existing: false });
    let sound = Bench::new();
    assert_eq!(import(&sound, &[HEAD, ROWS[0], ROWS[1]].concat()), Did::Done);
    for (kind, fault) in FAULTS {
        for number in 1..=100 {
            let (bench, case) = (Bench::new(), format!("{kind:?} {number} {fault:?}"));
            let met = fail(&bench, kind, number, fault);
            let did = import(&bench, &[HEAD, ROWS[0], ROWS[1]].concat());
            recover(&bench);
            if !met.load(Ordering::Relaxed) {
                assert_eq!(did, Did::Done, "{case}");
                break;
            }
            assert!(matches!(did, Did::Done | Did::Away), "{case}: {did:?}");
            let now = state(&bench);
            assert!(!now.iter().any(|line| line.starts_with("otherwise")), "{case}: {now:#?}");
            let again = import(&bench, &[HEAD, ROWS[0], ROWS[1]].concat());
            let missing =
                |name: &str| account(&bench.desk.services().store.view(), &login(name)).unwrap().is_none();
            if let Did::Refused(why) = &again {
                let there = why.matches("exists already").count();
                let rest: String = ["202-acme", "203-acme"]
                    .into_iter()
                    .zip(ROWS)
                    .filter(|(name, _)| missing(name))
                    .map(|(_, row)| row)
                    .collect();
                assert_eq!(there, 2 - rest.lines().count(), "{case}: {why}");
                assert!(rest.is_empty() || import(&bench, &[HEAD, &rest].concat()) == Did::Done, "{case}");
            }
            assert_eq!(state(&bench), state(&sound), "{case}");
        }
    }
}

/// Of two jobs of one group the first is done and the second is cut short behind its record: memory has what the
/// second wrote, though the first was answered after that was known.
#[test]
fn a_job_that_is_cut_short_behind_another_of_its_group_leaves_memory_as_the_store_is() {
    let bench = Bench::new();
    bench.add("202-acme", Some(GOOD));
    let store = &bench.desk.services().store;
    let begin = |request: Request, queued: usize| {
        let desk = bench.desk.clone();
        let peer = Peer { uid: 1000, pid: None };
        let job = bench.runtime.spawn(async move { desk.admin().execute(request, peer).await });
        while store.stats().queued.load(Ordering::Relaxed) < queued {
            std::thread::yield_now();
        }
        job
    };
    bench.faulty.hold();
    let held = begin(Request::PinSet { login: login("202-acme"), pin: secret("482913") }, 0);
    bench.faulty.wait_until_held();
    let first = begin(Request::PasswordSet { login: own(), password: NewPassword::Given(secret(OTHER)) }, 1);
    let (name, email) = (Some("Ada L.".to_owned()), Some("new@example.test".to_owned()));
    let numbers = crate::service::admin::NumberChanges::default();
    let change = Request::ExtensionSet { login: own(), name, email, role: None, numbers };
    let second = begin(change, 2);
    // The sixth: of the first the audit and the record, of the second a claim, the audit, the record, and the
    // release of the address before.
    let met = fail(&bench, Operation::Stage, 6, Fault::Fails);
    bench.faulty.release();
    let [held, first, second] =
        [held, first, second].map(|job| Did::from(bench.runtime.block_on(job).unwrap()));
    assert_eq!((held, first, second, met.load(Ordering::Relaxed)), (Did::Done, Did::Done, Did::Away, true));
    recover(&bench);
    let now = state(&bench);
    assert!(now.iter().any(|line| line.contains("Ada L.")), "it was behind its record: {now:#?}");
    assert!(!now.iter().any(|line| line.starts_with("otherwise")), "{now:#?}");
}
