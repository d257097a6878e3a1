//! Import of extensions from CSV.
//!
//! The whole file is read and judged first, and every fault told with row and column; only if there is
//! none, rows are committed, in groups. A row without a password makes an extension that is still
//! to be invited. A tenant is never made on the way: an unknown one is a fault.

use super::extensions::put;
use super::view::Response;
use super::{Admin, By, Password, Refusal, RowFault, check, tenant_of};
use crate::account::{LoginName, Number, Role, Tenant, TenantCode};
use crate::base::limit;
use crate::directory::{Credentials, Directory, ExtensionRecord};
use crate::service::Services;
use crate::service::audit::{About, Known, of_extension};
use crate::service::tables::{TENANTS, extension, put_edited};
use crate::store::{self, Txn, View};
use csv::StringRecord;
use std::collections::{HashMap, HashSet};

/// The columns, which may stand in any order.
const COLUMNS: [&str; 6] = ["tenant", "extension", "name", "email", "password", "role"];

/// How many of the [`COLUMNS`], from the first, must be there.
const NEEDED: usize = 4;

/// What an export tells besides: it is for people, and is not taken over.
const TOLD: [&str; 4] = ["state", "app", "devices", "station"];

/// Rows of one group: one job, one flush.
const GROUP_ROWS: usize = 1_000;

/// Faults that are told of one file; there is no use in more.
const FAULTS_MAX: usize = 10_000;

type New = (ExtensionRecord, Option<Credentials>);

impl Admin {
    pub(super) async fn import(&self, by: By, csv: Password) -> Result<Response, Refusal> {
        let services = self.services.clone();
        // Reading, hashing and sealing 100,000 rows takes a second of CPU.
        let judged = tokio::task::spawn_blocking(move || judge(&services, csv.expose()));
        let rows = judged.await.map_err(|error| Refusal::Store(error.to_string()))??;
        check::room(self.services.directory.len(), rows.len())?;
        let mut extensions = 0;
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let mut group: Vec<New> = rows.by_ref().take(GROUP_ROWS).collect();
            let by = by.clone();
            let job = move |txn: &mut Txn<'_>| {
                for (record, _) in &group {
                    still_possible(txn, &record.login, extensions)?;
                }
                for (record, _) in &mut group {
                    let about = About::Extension(record.login.clone());
                    crate::service::index::claim(txn, None, record)?;
                    by.note(txn, about, &Known::new(), &of_extension(record))?;
                    put_edited(txn, record, store::Expect::Absent)?;
                }
                Ok(group)
            };
            let apply = |directory: &Directory, group: &Vec<New>| {
                for (record, credentials) in group {
                    put(directory, record, credentials.clone());
                }
            };
            let last = rows.peek().is_none();
            let told = move |group: &Vec<New>| {
                last.then(|| Response::Imported { extensions: extensions + group.len() as u64 })
            };
            extensions += self.commit_telling(job, apply, told).await?.len() as u64;
        }
        Ok(Response::Imported { extensions })
    }
}

/// Another command may have come between judging and committing.
fn still_possible(txn: &Txn<'_>, login: &LoginName, imported: u64) -> Result<(), Refusal> {
    let why = match (tenant_of(txn, login), extension(txn, login)?) {
        (Err(refusal), _) => refusal,
        (Ok(_), Some(_)) => Refusal::ExtensionExists(login.to_string()),
        (Ok(_), None) => return Ok(()),
    };
    Err(Refusal::Store(format!(
        "another command came between; {imported} extensions were imported, then: {why}"
    )))
}

/// The file's extensions, ready to be stored.
///
/// # Errors
/// Every fault of every row.
fn judge(services: &Services, csv: &str) -> Result<Vec<New>, Refusal> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(csv.as_bytes());
    let mut judge = Judge {
        services,
        view: services.store.view(),
        tenants: HashMap::new(),
        seen: HashSet::new(),
        faults: Vec::new(),
    };
    let header = reader.headers().cloned().unwrap_or_default();
    let Some(places) = judge.header(&header) else { return Err(Refusal::BadRows(judge.faults)) };
    let mut rows = Vec::new();
    for (row, record) in (2..).zip(reader.records()) {
        if judge.faults.len() >= FAULTS_MAX {
            judge.fault(row, "", "and what follows was not looked at: too many faults");
            break;
        }
        if rows.len() >= limit::IMPORT_ROWS_MAX {
            judge.fault(row, "", format!("more than {} rows", limit::IMPORT_ROWS_MAX));
            break;
        }
        match record {
            Ok(record) if record.len() != header.len() => {
                judge.fault(row, "", format!("{} fields, the header has {}", record.len(), header.len()));
            }
            Ok(record) => {
                let field =
                    |place: Option<usize>| place.and_then(|place| record.get(place)).unwrap_or_default();
                rows.extend(judge.row(row, places.map(field))?)
            }
            Err(error) => judge.fault(row, "", error.to_string()),
        }
    }
    if judge.faults.is_empty() { Ok(rows) } else { Err(Refusal::BadRows(judge.faults)) }
}

struct Judge<'a> {
    services: &'a Services,
    view: View<'a>,
    tenants: HashMap<TenantCode, Option<Tenant>>,
    seen: HashSet<LoginName>,
    faults: Vec<RowFault>,
}

impl Judge<'_> {
    fn fault(&mut self, row: u64, column: &str, reason: impl Into<String>) {
        self.faults.push(RowFault { row, column: column.to_owned(), reason: reason.into() });
    }

    /// Where each of the [`COLUMNS`] stands, if it is there.
    fn header(&mut self, header: &StringRecord) -> Option<[Option<usize>; COLUMNS.len()]> {
        let names: Vec<&str> = header.iter().map(|name| name.trim_start_matches('\u{feff}').trim()).collect();
        for name in names.iter().filter(|name| !COLUMNS.contains(name) && !TOLD.contains(name)) {
            self.fault(1, name, format!("no such column; there are {}", COLUMNS.join(",")));
        }
        for (at, column) in COLUMNS.into_iter().enumerate() {
            match names.iter().filter(|name| **name == column).count() {
                1 => {}
                0 if at < NEEDED => self.fault(1, column, "the column is missing"),
                0 => {}
                _ => self.fault(1, column, "the column stands there twice"),
            }
        }
        let place = |column| names.iter().position(|name| *name == column);
        self.faults.is_empty().then(|| COLUMNS.map(place))
    }

    /// The extension of a row, or none if it has a fault.
    fn row(&mut self, row: u64, fields: [&str; COLUMNS.len()]) -> Result<Option<New>, Refusal> {
        let [code, number, name, email, password, role] = fields;
        let before = self.faults.len();
        let tenant = self.tenant(row, code)?;
        let number = match Number::parse(number) {
            Ok(number) => Some(number),
            Err(error) => {
                self.fault(row, "extension", format!("{number:?}: {error}"));
                None
            }
        };
        if let Err(reason) = check::name(name) {
            self.fault(row, "name", reason);
        }
        let email = Some(email).filter(|email| !email.is_empty());
        if let Some(Err(reason)) = email.map(check::email) {
            self.fault(row, "email", reason);
        }
        let role = match role {
            "" | "user" => Role::User,
            "admin" => Role::Admin,
            other => {
                self.fault(row, "role", format!("{other:?} is neither user nor admin"));
                Role::User
            }
        };
        let Some(tenant) = tenant else { return Ok(None) };
        let login = number.map(|number| LoginName::of(&number, &tenant.code));
        let password = Some(password).filter(|password| !password.is_empty());
        let judged = password.map(|password| {
            tenant.policies.password.check(password, login.as_ref().map_or("", LoginName::as_str))
        });
        if let Some(Err(refused)) = judged {
            let rules: Vec<_> = refused.0.iter().map(ToString::to_string).collect();
            self.fault(row, "password", rules.join("; "));
        }
        let Some(login) = login else { return Ok(None) };
        if self.services.directory.with(login.as_str(), |_| ()).is_some() {
            self.fault(row, "extension", format!("extension {login} exists already"));
        } else if !self.seen.insert(login.clone()) {
            self.fault(row, "extension", format!("{login} stands there twice"));
        }
        if self.faults.len() > before {
            return Ok(None);
        }
        let now = self.view.now();
        let email = email.map(str::to_owned);
        let (record, credentials) = self.services.new_extension(login, name.into(), email, password, now);
        Ok(Some((ExtensionRecord { role, ..record }, credentials)))
    }

    /// The tenant of a row; each is looked up once.
    fn tenant(&mut self, row: u64, text: &str) -> Result<Option<Tenant>, Refusal> {
        let code = match TenantCode::parse(text) {
            Ok(code) => code,
            Err(error) => {
                self.fault(row, "tenant", format!("{text:?}: {error}"));
                return Ok(None);
            }
        };
        let found = match self.tenants.get(&code) {
            Some(known) => known.clone(),
            None => TENANTS.get(&self.view, &[code.as_str()])?.map(|found| found.value),
        };
        if found.is_none() {
            self.fault(row, "tenant", format!("there is no tenant {code}"));
        }
        self.tenants.insert(code, found.clone());
        Ok(found)
    }
}
