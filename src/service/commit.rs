//! What a shard must have durable before it answers: new activations and bindings, their ends, locks
//! and bans.
//!
//! Everything was decided once in memory, and is decided again here on the record, on the one
//! committer, where nothing else can come between: so a race of many new devices fills the cap and
//! no more.

use super::audit::{self, About};
use super::tables::{BANS, DECOYS, account, overlay, put_extension};
use super::telling;
use crate::account::{Life, LoginName};
use crate::base::private::Private;
use crate::base::time::Wall;
use crate::core::boundary::{Commit, Durable, Register, Settled};
use crate::core::refusal::Refusal;
use crate::core::settings::Settings;
use crate::directory::record::What;
use crate::directory::sign_in::evidence;
use crate::directory::{Directory, ExtensionRecord};
use crate::licence::{self, Admission, Device, DeviceId, Who, admit, identify};
use crate::lockout::{Begun, Lock, Scope};
use crate::registrar::history::{Happened, Happening};
use crate::registrar::{self, Asked, Binding, Seen, Wanted};
use crate::store::{Expect, Store, StoreError, Txn};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What came of a job, to be told once its group is durable.
struct Staged {
    /// The record as it now is, also where nothing was changed: memory may have been in doubt.
    record: Option<ExtensionRecord>,
    result: Result<Option<DeviceId>, Refusal>,
    /// Whether it shows that several phones use the instance of the device.
    seen: Seen,
    /// What the history is to have.
    news: Vec<Happened>,
}

impl Staged {
    /// Of no extension, or of one that nothing but its lock was changed of.
    fn of(record: Option<ExtensionRecord>) -> Self {
        Self { record, result: Ok(None), seen: Seen::Usual, news: Vec::new() }
    }
}

/// Hands a commit to the store. `reply` is called once, when it is durable or refused: on the
/// committer's thread, or on this one if the store takes no more.
pub fn submit(
    store: &Store,
    directory: &Arc<Directory>,
    settings: &Arc<Settings>,
    commit: Commit,
    reply: impl Fn(Settled) + Clone + Send + 'static,
) {
    let Commit { ticket, at, what } = commit;
    let login = match &what {
        Durable::Register(request) => Some(request.login.clone()),
        Durable::Locked { .. } | Durable::Banned { .. } => None,
    };
    let begun = match &what {
        Durable::Locked { login: Some(login), lock, .. } => Some((login.clone(), lock.scope)),
        _ => None,
    };
    let (memory, settings, whose) = (Arc::clone(directory), Arc::clone(settings), login.clone());
    let held = Arc::new(AtomicBool::new(false));
    let holds = Arc::clone(&held);
    let job = move |txn: &mut Txn<'_>| {
        if let Some(login) = &whose {
            memory.with(login.as_str(), |entry| entry.doubt.hold());
            holds.store(true, Ordering::Relaxed);
        }
        stage(txn, &memory, &settings, at, what)
    };
    let (memory, answer, whose) = (Arc::clone(directory), reply.clone(), login.clone());
    let done = move |result: Result<Staged, StoreError>| {
        if let (Some((login, scope)), Ok(_)) = (&begun, &result) {
            memory.lock_is_kept(login, *scope);
        }
        let (result, revision) = settle(&memory, result);
        over(&memory, whose.as_ref(), held.load(Ordering::Relaxed));
        answer(Settled { ticket, result, revision });
    };
    if store.transact(job, done).is_err() {
        over(directory, login.as_ref(), false);
        reply(Settled { ticket, result: Err(Refusal::Overload), revision: None });
    }
}

/// Memory follows the record.
fn settle(
    directory: &Directory,
    result: Result<Staged, StoreError>,
) -> (Result<Option<DeviceId>, Refusal>, Option<u32>) {
    match result {
        Ok(Staged { record, result, seen, news }) => {
            if let Some(record) = &record {
                for happened in news {
                    directory.news.tell(record.login.clone(), happened);
                }
            }
            if let (Some(record), Ok(Some(device))) = (&record, &result) {
                tell_clones(record, *device, seen);
            }
            (result, record.as_ref().and_then(|record| directory.revise(record)))
        }
        // What was staged may have been kept; memory has been told by now.
        Err(_) => (Err(Refusal::StoreUnavailable), None),
    }
}

/// Tells that several phones use the instance of one device; the first time in the log, too.
fn tell_clones(record: &ExtensionRecord, device: DeviceId, seen: Seen) {
    if seen == Seen::Usual {
        return;
    }
    metrics::counter!("stationmaster_device_clones_total").increment(1);
    if seen == Seen::Cloned {
        tracing::warn!(aor = %Private(&record.login), device = device.0, "several phones use the instance of one device");
    }
}

/// The commit of a REGISTER is over; `held` if its job was run.
fn over(directory: &Directory, login: Option<&LoginName>, held: bool) {
    if let Some(login) = login {
        directory.with(login.as_str(), |entry| entry.doubt.end(held));
    }
}

fn stage(
    txn: &mut Txn<'_>,
    directory: &Directory,
    settings: &Settings,
    at: Wall,
    what: Durable,
) -> Result<Staged, StoreError> {
    match what {
        Durable::Register(request) => register(txn, directory, settings, at, &request),
        Durable::Locked { login: Some(login), lock, .. } => put_lock(txn, directory, at, &login, lock),
        Durable::Locked { .. } => decoy(txn),
        Durable::Banned { begun, .. } => {
            note_ban(txn, directory, at, &begun)?;
            Ok(Staged::of(None))
        }
    }
}

/// Writes a ban, and removes the one that made room for it.
pub(super) fn note_ban(
    txn: &mut Txn<'_>,
    directory: &Directory,
    at: Wall,
    begun: &Begun,
) -> Result<(), StoreError> {
    let Begun { ban, dropped } = begun;
    if let Some(dropped) = dropped {
        BANS.remove(txn, &[&dropped.to_string()], Expect::Any)?;
    }
    if directory.may_tell_ban(at) {
        let what = What::Banned { until: ban.until };
        audit::note(txn, About::Source(ban.source), what, audit::Change::default())?;
    } else {
        metrics::counter!("stationmaster_shed_total", "why" => "audit_bans").increment(1);
    }
    BANS.put(txn, &[&ban.source.to_string()], ban, Some(ban.until), Expect::Any).map(drop)
}

/// The lock of a stranger takes as long to answer as that of an extension.
pub(super) fn note_strangers_lock(txn: &mut Txn<'_>) -> Result<(), StoreError> {
    DECOYS.put(txn, &["lock"], &0, None, Expect::Any).map(drop)
}

fn decoy(txn: &mut Txn<'_>) -> Result<Staged, StoreError> {
    note_strangers_lock(txn)?;
    Ok(Staged::of(None))
}

fn put_lock(
    txn: &mut Txn<'_>,
    directory: &Directory,
    at: Wall,
    login: &LoginName,
    lock: Lock,
) -> Result<Staged, StoreError> {
    match keep_lock(txn, directory, at, login, lock)? {
        Some(record) => Ok(Staged::of(Some(record))),
        None => decoy(txn),
    }
}

/// Writes a lock that memory has, unless the record has it already; the record as it then is. None if nobody
/// is there any more, or if it was lifted meanwhile.
pub(super) fn keep_lock(
    txn: &mut Txn<'_>,
    directory: &Directory,
    at: Wall,
    login: &LoginName,
    lock: Lock,
) -> Result<Option<ExtensionRecord>, StoreError> {
    let found = account(txn, login)?.filter(|_| directory.has_lock(login, &lock));
    let Some(row) = found else { return Ok(None) };
    let mut record = row.value;
    overlay(&mut record, directory);
    if record.lock.iter().chain(&record.locks).any(|known| *known == lock) {
        return Ok(Some(record));
    }
    let (scope, until, source) = (lock.scope, lock.until, lock.source.to_string());
    telling::locked(&mut record, directory.tenant(login.tenant()).as_deref(), &lock);
    if scope == Scope::Sip {
        record.tell(at, What::Locked { until, source });
        record.lock = Some(lock);
    } else {
        record.tell(at, What::LockedOut { scope, until, source });
        record.locks.retain(|known| known.scope != scope);
        record.locks.push(lock);
    }
    put_extension(txn, &record, Expect::At(row.revision))?;
    Ok(Some(record))
}

/// Activates, binds and unbinds, all or nothing.
fn register(
    txn: &mut Txn<'_>,
    directory: &Directory,
    settings: &Settings,
    at: Wall,
    request: &Register,
) -> Result<Staged, StoreError> {
    let Some(row) = account(txn, &request.login)? else {
        return Ok(Staged { result: Err(Refusal::ExtensionNotActive), ..Staged::of(None) });
    };
    let mut record = row.value;
    overlay(&mut record, directory);
    let before = record.bindings.clone();
    let changed = change(&mut record, directory, settings, at, request);
    match changed {
        Ok(Change::Of { .. }) => {
            put_extension(txn, &record, Expect::At(row.revision))?;
            let streams = record
                .bindings
                .iter()
                .filter_map(|binding| binding.stream.map(|stream| (binding.number, binding.turn, stream)));
            directory.with(request.login.as_str(), |entry| entry.doubt.stage(streams.collect()));
        }
        Ok(Change::Nothing) => {}
        // It may have been changed halfway.
        Err(_) => {
            if let Some(row) = account(txn, &request.login)? {
                record = row.value;
                overlay(&mut record, directory);
            }
        }
    }
    let (result, seen) = match changed {
        Ok(Change::Of { device, seen }) => (Ok(device), seen),
        Ok(Change::Nothing) => (Ok(None), Seen::Usual),
        Err(refusal) => (Err(refusal), Seen::Usual),
    };
    let news =
        if result.is_ok() { news_of(&before, &record.bindings, request.flow.remote, at) } else { Vec::new() };
    Ok(Staged { record: Some(record), result, seen, news })
}

/// What the history is to have of bindings that began and ended. One that makes room for another of the
/// same device is no event of its own.
fn news_of(before: &[Binding], after: &[Binding], address: SocketAddr, now: Wall) -> Vec<Happened> {
    let is_in = |bindings: &[Binding], one: &Binding| bindings.iter().any(|other| other.number == one.number);
    let begun = || after.iter().filter(|binding| !is_in(before, binding));
    let mut news = Vec::new();
    for ended in before.iter().filter(|binding| !is_in(after, binding)) {
        let (at, what) = if !ended.is_live(now) {
            (ended.expires, Happening::Expired)
        } else if begun().any(|binding| binding.device == ended.device) {
            continue;
        } else {
            (now, Happening::Unregistered)
        };
        news.push(Happened { at, device: Some(ended.device), address: Some(ended.remote), what });
    }
    news.extend(begun().map(|binding| Happened {
        at: now,
        device: Some(binding.device),
        address: Some(address),
        what: Happening::Registered,
    }));
    news
}

/// What a REGISTER did to the record.
enum Change {
    /// Nothing: there was nothing to do.
    Nothing,
    /// Something.
    Of {
        /// For which device; none if it was only taken for one by its looks, and signed out.
        device: Option<DeviceId>,
        /// What it shows of that.
        seen: Seen,
    },
}

/// Does to the record what a REGISTER asks.
fn change(
    record: &mut ExtensionRecord,
    directory: &Directory,
    settings: &Settings,
    at: Wall,
    request: &Register,
) -> Result<Change, Refusal> {
    // The password was right when it was looked at; if it was changed since, it is not.
    if record.life != Life::Active || record.credentials.as_ref().is_none_or(|c| c.epoch != request.epoch) {
        return Err(Refusal::ExtensionNotActive);
    }
    let asked = Asked::of(&request.message, &settings.terms).map_err(Refusal::Register)?;
    let evidence = evidence(&request.message, Some(&asked), request.flow, request.nonce_device);
    let who = identify(&evidence, &record.licence, &record.bindings, at);
    let station = record.login.is_station();
    let tenant = directory.tenant(request.login.tenant());
    let tenant = tenant.filter(|tenant| tenant.active).ok_or(Refusal::TenantSuspended)?;
    let devices_max = if station { 1 } else { tenant.policies.max_devices.unwrap_or(settings.devices_max) };
    let nothing_to_do = asked.only_removes() || matches!(asked.wanted, Wanted::Query);
    let mut adopted = false;
    let address = || request.flow.source().to_string();
    // Another phone at a station, which has one: the former goes, with all it had.
    if station && who == Who::New && !nothing_to_do && !record.licence.devices.is_empty() {
        adopted = true;
        record.licence.devices.clear();
        record.bindings.clear();
    }
    let device = match admit(&record.licence, who, devices_max) {
        Admission::Activate | Admission::Refuse(licence::Refusal::CapReached { .. }) if nothing_to_do => {
            return Ok(Change::Nothing);
        }
        // Who only signs out takes nobody's place, nor gets a nonce that leads to it.
        Admission::Adopt(like) if nothing_to_do => {
            let plan = registrar::plan(&record.bindings, like, &asked, request.flow, false, 0, at)
                .map_err(Refusal::Register)?;
            registrar::apply(&mut record.bindings, &mut 0, &plan, like, &asked, request.flow);
            let ended = !plan.ops.is_empty();
            return Ok(if ended { Change::Of { device: None, seen: Seen::Usual } } else { Change::Nothing });
        }
        Admission::Known(device) => {
            if !record.licence.device(device).is_some_and(|known| evidence.is_kept_in(known)) {
                record.licence.recognise(device, evidence.newcomer(), at);
            }
            device
        }
        Admission::Adopt(former) => {
            adopted = true;
            let device = record.licence.adopt(former, evidence.newcomer(), at).unwrap_or(former);
            record.bindings.retain(|binding| binding.device != former || device == former);
            if device != former {
                record.tell(at, What::Adopted { device: device.0, address: address() });
            }
            device
        }
        Admission::Activate => {
            let device =
                record.licence.activate(evidence.newcomer(), devices_max, at).map_err(Refusal::from)?;
            match (station, adopted) {
                (false, _) => {
                    record.tell(at, What::Activated { device: device.0, address: address() });
                    let model =
                        record.licence.device(device).map(|device| device.model.clone()).unwrap_or_default();
                    telling::new_device(record, Some(&tenant), at, &model, request.flow.source());
                }
                (true, true) => record.tell(at, What::Adopted { device: device.0, address: address() }),
                (true, false) => {} // the first phone of a station is no activation
            }
            device
        }
        Admission::Refuse(why) => return Err(Refusal::from(why)),
    };
    if let Some(known) = record.licence.device_mut(device) {
        known.sha256 |= request.sha256;
    }
    // What an adopted device had before ends: else the phone that had it could come back beside it.
    let replaces = station || adopted || record.licence.device(device).is_some_and(Device::has_good_key);
    let plan = registrar::plan(&record.bindings, device, &asked, request.flow, replaces, request.jitter, at)
        .map_err(Refusal::Register)?;
    if plan.seen == Seen::Cloned {
        record.tell(at, What::Cloned { device: device.0, address: address() });
    }
    if plan.begins()
        && let Some(known) = record.licence.device_mut(device)
    {
        known.last_seen = at;
    }
    registrar::apply(&mut record.bindings, &mut record.next_binding, &plan, device, &asked, request.flow);
    if adopted {
        let named = |call_id: &[u8], cseq| *call_id == *asked.call_id && cseq == asked.cseq;
        record.bindings.retain(|binding| binding.device != device || named(&binding.call_id, binding.cseq));
    }
    Ok(Change::Of { device: Some(device), seen: plan.seen })
}
