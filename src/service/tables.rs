//! The tables of the store: which records there are, under which keys.
//!
//! | namespace | parts            | record |
//! |-----------|------------------|--------|
//! | `tenant`  | code             | [`Tenant`] |
//! | `ext`     | tenant, number   | [`ExtensionRecord`], the root of everything about an extension |
//! | `station` | tenant, ID       | the same record of a station: credentials, phone, bindings, lock |
//! | `history` | tenant, number or ID | [`History`] of its devices, written behind what it tells of |
//! | `ban`     | source address   | [`Ban`], gone when it ends |
//! | `token`   | hash of a token  | the extension that the token claims to be of; counts only if its record says so too |
//! | `session` | tenant, number, hash of its secret | [`Session`], gone when it is not used |
//! | `number`, `main`, `email` | see [`super::index`] | by what an extension or tenant is found |
//! | `audit`   | time, whom, number | [`AuditLine`], kept 90 days |
//! | `key`     | `op` or `ext`, id | [`AccessKey`]; one of an extension counts only if its record says so too |
//! | `once`    | whose, hash of the idempotency key | [`Sealed`], what was answered, kept 24 hours |
//! | `decoy`   | `lock`, `forgot` | written when a stranger is "locked", or has "forgotten" a password, so that this takes as long |

use super::admin::Sealed;
use super::audit::AuditLine;
use crate::account::{AccessKey, LoginName, Session, Tenant};
use crate::directory::record::EXTENSION_SCHEMA;
use crate::directory::{Directory, ExtensionRecord};
use crate::lockout::Ban;
use crate::registrar::history::History;
use crate::store::table::Row;
use crate::store::{Expect, Namespace, Revision, StoreError, Txn, View, table::Table};

/// Tenants by code.
pub const TENANTS: Table<Tenant> = Table::new(Namespace::new("tenant"), 5).migrating(Tenant::of_schema);

/// Extensions by tenant and number.
pub const EXTENSIONS: Table<ExtensionRecord> =
    Table::new(Namespace::new("ext"), EXTENSION_SCHEMA).migrating(ExtensionRecord::of_schema);

/// Stations by tenant and ID.
pub const STATIONS: Table<ExtensionRecord> =
    Table::new(Namespace::new("station"), EXTENSION_SCHEMA).migrating(ExtensionRecord::of_schema);

/// What became of registrations, by tenant and number or ID.
pub const HISTORIES: Table<History> = Table::new(Namespace::new("history"), 1);

/// Bans by source.
pub const BANS: Table<Ban> = Table::new(Namespace::new("ban"), 1);

/// Tokens of links by their hash: of which extension. They are gone when the link ends.
pub const TOKENS: Table<LoginName> = Table::new(Namespace::new("token"), 1);

/// Portal sessions by tenant, number and the hash of their secret.
pub const SESSIONS: Table<Session> = Table::new(Namespace::new("session"), 1);

/// The audit, in the order of time.
pub const AUDIT: Table<AuditLine> = Table::new(Namespace::new("audit"), 2).migrating(AuditLine::of_schema);

/// Access keys by whose they are ([`KeyOf::part`]) and id.
pub const KEYS: Table<AccessKey> = Table::new(Namespace::new("key"), 1);

/// Answers by whose request it was and the hash of its idempotency key.
pub const ONCE: Table<Sealed> = Table::new(Namespace::new("once"), 1);

/// Whose an access key is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyOf {
    /// An operator's.
    Operator,
    /// An extension's.
    Extension,
}

impl KeyOf {
    /// The first part of its key in the store.
    #[must_use]
    pub const fn part(self) -> &'static str {
        match self {
            Self::Operator => "op",
            Self::Extension => "ext",
        }
    }
}

/// What is written for the lock of a stranger: one record, always the same.
pub const DECOYS: Table<u8> = Table::new(Namespace::new("decoy"), 1);

/// What is written for those whom a forgotten password finds nowhere: as much as for anybody.
pub const FORGOT_DECOYS: Table<Vec<u8>> = Table::new(Namespace::new("decoy"), 1);

/// An extension's record.
///
/// # Errors
/// As [`Table::get`].
pub fn extension(view: &View<'_>, login: &LoginName) -> Result<Option<Row<ExtensionRecord>>, StoreError> {
    EXTENSIONS.get(view, &[login.tenant(), login.number()])
}

/// The table that holds the record of whoever signs in by this name.
#[must_use]
pub fn table_of(login: &LoginName) -> Table<ExtensionRecord> {
    if login.is_station() { STATIONS } else { EXTENSIONS }
}

/// The record of an extension or of a station.
///
/// # Errors
/// As [`Table::get`].
pub fn account(view: &View<'_>, login: &LoginName) -> Result<Option<Row<ExtensionRecord>>, StoreError> {
    table_of(login).get(view, &[login.tenant(), login.number()])
}

/// Puts the record of an extension or a station, if it still has the revision it was read at.
///
/// # Errors
/// As [`Table::put`].
pub fn put_extension(
    txn: &mut Txn<'_>,
    record: &ExtensionRecord,
    expect: Expect,
) -> Result<Revision, StoreError> {
    let login = &record.login;
    table_of(login).put(txn, &[login.tenant(), login.number()], record, None, expect)
}

/// Puts the record of an extension or a station that somebody has edited, under a new name of the edit: what
/// is told as its revision. So what phones, sign-ins and the server itself write is no edit.
///
/// The name is the newest revision of the whole store before this write: higher than that of any edit of
/// this extension before it, or of one that had its number and was removed.
///
/// # Errors
/// As [`Table::put`].
pub fn put_edited(
    txn: &mut Txn<'_>,
    record: &mut ExtensionRecord,
    expect: Expect,
) -> Result<Revision, StoreError> {
    record.edited = txn.newest().0;
    put_extension(txn, record, expect)?;
    Ok(Revision(record.edited))
}

/// As [`put_edited`], a tenant.
///
/// # Errors
/// As [`Table::put`].
pub fn put_tenant(txn: &mut Txn<'_>, tenant: &mut Tenant, expect: Expect) -> Result<Revision, StoreError> {
    tenant.edited = txn.newest().0;
    TENANTS.put(txn, &[tenant.code.as_str()], tenant, None, expect)?;
    Ok(Revision(tenant.edited))
}

/// Ends every portal session of an extension.
///
/// # Errors
/// As [`Table::scan`] and [`Table::remove`].
pub fn end_sessions(txn: &mut Txn<'_>, login: &LoginName) -> Result<(), StoreError> {
    let whose = [login.tenant(), login.number()];
    for (key, _) in SESSIONS.scan(txn, &whose, None, 2 * crate::base::limit::SESSIONS_MAX)? {
        txn.delete(&key, Expect::Any)?;
    }
    Ok(())
}

/// Takes into a record what refreshes have changed since it was written: where memory knows a
/// binding of the record, memory is newer. A binding that is staged and that memory does not know yet
/// gets its connection, which no record has. Those that ended with the tenant's suspension go.
pub fn overlay(record: &mut ExtensionRecord, directory: &Directory) {
    let ExtensionRecord { licence, bindings, .. } = record;
    if let Some(tenant) = directory.tenant(record.login.tenant()) {
        bindings.retain(|binding| !tenant.has_ended(licence.bound_at(binding.device)));
    }
    directory.with(record.login.as_str(), |entry| {
        for binding in bindings {
            if let Some(known) = entry.bindings.iter().find(|known| known.number == binding.number)
                && known.turn >= binding.turn
            {
                binding.clone_from(known);
            } else {
                binding.stream = entry.doubt.staged_stream(binding.number, binding.turn);
            }
        }
    });
}
