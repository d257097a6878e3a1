//! What a failing store leaves open, and its end: memory is told which bindings it may no longer
//! answer for ([`crate::directory::Doubt`]), and what there really is as soon as that can be read.
//!
//! It hears of every write of extensions, stations and tenants, whoever asked for it, on the committer's thread
//! and in the order of the store; so it takes part in no race. Locks and bans are memory's, but for an
//! unlocking, or the end of a ban, that may have been kept: that is done when it is read to be so.

use super::tables::{BANS, TENANTS, account, table_of};
use super::{Services, unseal};
use crate::account::{LoginName, Number, StationId, Tenant, TenantCode};
use crate::base::time::{Now, Wall};
use crate::directory::{Directory, ExtensionRecord};
use crate::store::seal::Sealer;
use crate::store::{Change, Doubts, Key, StoreError, View};
use std::net::IpAddr;
use std::sync::Arc;

/// Keeps memory's doubts.
struct Minder {
    directory: Arc<Directory>,
    sealer: Arc<Sealer>,
}

/// What a key is of.
enum Of {
    Account(LoginName),
    Tenant(TenantCode),
    Ban(IpAddr),
    /// Nothing that memory relies on.
    Other,
}

impl Services {
    /// Has memory told of what failures of the store leave open. Once, at start.
    pub fn mind_doubts(&self) {
        let (directory, sealer) = (Arc::clone(&self.directory), Arc::clone(&self.sealer));
        self.store.mind(Arc::new(Minder { directory, sealer }));
    }
}

impl Doubts for Minder {
    fn arise(&self, changes: &[Change], unsure: &[Key]) {
        for Change { key, value, .. } in changes {
            match of(key) {
                Of::Account(login) => {
                    let kept = value.as_ref().and_then(|value| table_of(&login).decode(key, value).ok());
                    self.directory.with(login.as_str(), |entry| entry.mistrust(kept.as_ref()));
                }
                Of::Tenant(code) => {
                    let kept = value.as_ref().and_then(|value| TENANTS.decode(key, value).ok());
                    let known = self.directory.tenant(code.as_str());
                    if known.map(|tenant| lets_in(&tenant)) != kept.map(|tenant| lets_in(&tenant)) {
                        self.directory.mistrust_tenant(code.as_str());
                    }
                }
                Of::Ban(_) | Of::Other => {}
            }
        }
        for key in unsure {
            match of(key) {
                Of::Account(login) => {
                    self.directory.with(login.as_str(), |entry| entry.mistrust(None));
                }
                Of::Tenant(code) => self.directory.mistrust_tenant(code.as_str()),
                Of::Ban(_) | Of::Other => {}
            }
        }
    }

    fn end(&self, view: &View<'_>, mut keys: Vec<Key>) -> Vec<Key> {
        keys.retain(|key| match self.know(view, key) {
            Ok(()) => false,
            Err(error) => {
                tracing::error!(%error, "what a failure of the store left open cannot be read");
                true
            }
        });
        keys
    }
}

impl Minder {
    /// Takes over what there is under a key.
    fn know(&self, view: &View<'_>, key: &Key) -> Result<(), StoreError> {
        match of(key) {
            Of::Account(login) => match account(view, &login)? {
                Some(row) => self.take_over(&row.value),
                None => drop(self.directory.remove(login.as_str())),
            },
            Of::Tenant(code) => match TENANTS.get(view, &[code.as_str()])? {
                // Their connections close as they fall silent.
                Some(row) => drop(self.directory.put_tenant(row.value)),
                None => self.directory.remove_tenant(code.as_str()),
            },
            Of::Ban(source) => {
                let kept = BANS.get(view, &[&source.to_string()])?;
                self.directory.ban_is_known(source, kept.map(|row| row.value).as_ref());
            }
            Of::Other => {}
        }
        Ok(())
    }

    fn take_over(&self, record: &ExtensionRecord) {
        let epoch = record.credentials.as_ref().map(|credentials| credentials.epoch);
        let known = self.directory.with(record.login.as_str(), |entry| {
            entry.credentials.as_ref().map(|credentials| credentials.epoch)
        });
        if known == Some(epoch) {
            self.directory.refresh(record);
            return;
        }
        // Without its credentials nobody can sign in, which is better than with others.
        let credentials = unseal(&self.sealer, record).unwrap_or_else(|error| {
            tracing::error!(%error, "the credentials of a changed extension do not open");
            None
        });
        // The time only tells what remains of a lock, and a new extension has none.
        self.directory.put(record.clone(), credentials, Now::default());
    }
}

/// What of a tenant decides about sign-ins of phones that are known.
fn lets_in(tenant: &Tenant) -> (bool, Option<Wall>, bool) {
    (tenant.active, tenant.ended_before, tenant.policies.require_sha256)
}

fn of(key: &Key) -> Of {
    let parts = key.parts().unwrap_or_default();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match (key.namespace(), parts.as_slice()) {
        (b"ext", [code, number]) => match (TenantCode::parse(code), Number::parse(number)) {
            (Ok(code), Ok(number)) => Of::Account(LoginName::of(&number, &code)),
            _ => Of::Other,
        },
        (b"station", [code, id]) => match (TenantCode::parse(code), StationId::parse(id)) {
            (Ok(code), Ok(id)) => Of::Account(LoginName::of_station(&id, &code)),
            _ => Of::Other,
        },
        (b"ban", [source]) => source.parse().map_or(Of::Other, Of::Ban),
        (b"tenant", [code]) => TenantCode::parse(code).map_or(Of::Other, Of::Tenant),
        _ => Of::Other,
    }
}
