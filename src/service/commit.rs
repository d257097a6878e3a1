//! What a shard must have durable before it answers: new activations and bindings, their ends, locks
//! and bans.
//!
//! Everything was decided once in memory, and is decided again here on the record, on the one
//! committer, where nothing else can come between: so a race of many new devices fills the cap and
//! no more.

use super::tables::{BANS, DECOYS, extension, overlay, put_extension};
use crate::account::{Life, LoginName};
use crate::base::time::Wall;
use crate::core::boundary::{Commit, Durable, Register, Settled, Ticket};
use crate::core::refusal::Refusal;
use crate::core::settings::Settings;
use crate::directory::record::What;
use crate::directory::sign_in::evidence;
use crate::directory::{Directory, ExtensionRecord};
use crate::licence::{Admission, Device, DeviceId, admit, identify};
use crate::lockout::{Begun, Lock};
use crate::registrar::{self, Asked, Wanted};
use crate::store::{Expect, Store, StoreError, Txn};
use std::sync::Arc;

/// What was staged, to be told to memory once it is durable.
struct Staged {
    record: Option<ExtensionRecord>,
    device: Option<DeviceId>,
}

/// Why nothing was staged.
enum Failure {
    Refused(Refusal),
    Store,
}

impl From<StoreError> for Failure {
    fn from(_: StoreError) -> Self {
        Self::Store
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
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
    let (memory, settings) = (Arc::clone(directory), Arc::clone(settings));
    let job = move |txn: &mut Txn<'_>| stage(txn, &memory, &settings, at, what);
    let (memory, answer) = (Arc::clone(directory), reply.clone());
    let done = move |result: Result<Staged, Failure>| answer(settle(&memory, ticket, result));
    if store.transact(job, done).is_err() {
        reply(Settled { ticket, result: Err(Refusal::Overload) });
    }
}

fn settle(directory: &Directory, ticket: Ticket, result: Result<Staged, Failure>) -> Settled {
    let result = match result {
        Ok(staged) => {
            if let Some(record) = &staged.record {
                directory.refresh(record);
            }
            Ok(staged.device)
        }
        Err(Failure::Refused(refusal)) => Err(refusal),
        Err(Failure::Store) => Err(Refusal::StoreUnavailable),
    };
    Settled { ticket, result }
}

fn stage(
    txn: &mut Txn<'_>,
    directory: &Directory,
    settings: &Settings,
    at: Wall,
    what: Durable,
) -> Result<Staged, Failure> {
    match what {
        Durable::Register(request) => register(txn, directory, settings, at, &request),
        Durable::Locked { login: Some(login), lock, .. } => put_lock(txn, directory, at, &login, lock),
        Durable::Locked { .. } => decoy(txn),
        Durable::Banned { begun, .. } => {
            let Begun { ban, dropped } = begun;
            if let Some(dropped) = dropped {
                BANS.remove(txn, &[&dropped.to_string()], Expect::Any)?;
            }
            BANS.put(txn, &[&ban.source.to_string()], &ban, Some(ban.until), Expect::Any)?;
            Ok(Staged { record: None, device: None })
        }
    }
}

/// The lock of a stranger takes as long to answer as that of an extension.
fn decoy(txn: &mut Txn<'_>) -> Result<Staged, Failure> {
    DECOYS.put(txn, &["lock"], &0, None, Expect::Any)?;
    Ok(Staged { record: None, device: None })
}

fn put_lock(
    txn: &mut Txn<'_>,
    directory: &Directory,
    at: Wall,
    login: &LoginName,
    lock: Lock,
) -> Result<Staged, Failure> {
    let Some(row) = extension(txn, login)? else { return decoy(txn) };
    let mut record = row.value;
    overlay(&mut record, directory);
    record.tell(at, What::Locked { until: lock.until, source: lock.source.to_string() });
    record.lock = Some(lock);
    put_extension(txn, &record, Expect::At(row.revision))?;
    Ok(Staged { record: Some(record), device: None })
}

/// Activates, binds and unbinds, all or nothing.
fn register(
    txn: &mut Txn<'_>,
    directory: &Directory,
    settings: &Settings,
    at: Wall,
    request: &Register,
) -> Result<Staged, Failure> {
    let row = extension(txn, &request.login)?.ok_or(Refusal::ExtensionNotActive)?;
    let mut record = row.value;
    overlay(&mut record, directory);
    // The password was right when it was looked at; if it was changed since, it is not.
    if record.life != Life::Active || record.credentials.as_ref().is_none_or(|c| c.epoch != request.epoch) {
        return Err(Refusal::ExtensionNotActive.into());
    }
    let asked = Asked::of(&request.message, &settings.terms).map_err(Refusal::Register)?;
    let evidence = evidence(&request.message, Some(&asked), request.flow, request.nonce_device);
    let who = identify(&evidence, &record.licence, &record.bindings, at);
    let tenant = directory.tenant(request.login.tenant());
    let tenant = tenant.filter(|tenant| tenant.active).ok_or(Refusal::TenantSuspended)?;
    let devices_max = tenant.policies.max_devices.unwrap_or(settings.devices_max);
    let nothing_to_do = asked.only_removes() || matches!(asked.wanted, Wanted::Query);
    let mut adopted = false;
    let device = match admit(&record.licence, who, devices_max) {
        Admission::Activate | Admission::Adopt(_) if nothing_to_do => {
            return Ok(Staged { record: None, device: None });
        }
        Admission::Known(device) => {
            if !record.licence.device(device).is_some_and(|known| evidence.is_kept_in(known)) {
                record.licence.recognise(device, evidence.newcomer(), at);
            }
            device
        }
        Admission::Adopt(device) => {
            record.licence.recognise(device, evidence.newcomer(), at);
            adopted = true;
            device
        }
        Admission::Activate => {
            let device =
                record.licence.activate(evidence.newcomer(), devices_max, at).map_err(Refusal::from)?;
            let address = request.flow.source().to_string();
            record.tell(at, What::Activated { device: device.0, address });
            device
        }
        Admission::Refuse(why) => return Err(Refusal::from(why).into()),
    };
    if let Some(known) = record.licence.device_mut(device) {
        known.sha256 |= request.sha256;
    }
    // What an adopted device had before ends: else the phone that had it could come back beside it.
    let replaces = adopted || record.licence.device(device).is_some_and(Device::has_good_key);
    let plan = registrar::plan(&record.bindings, device, &asked, request.flow, replaces, request.jitter, at)
        .map_err(Refusal::Register)?;
    registrar::apply(&mut record.bindings, &mut record.next_binding, &plan, device, &asked, request.flow);
    put_extension(txn, &record, Expect::At(row.revision))?;
    Ok(Staged { record: Some(record), device: Some(device) })
}
