//! Import of extensions from CSV.
//!
//! The whole file is read and judged first, and every fault told with line and column; only if there is
//! none, rows are committed, in groups, each of which is stored whole or not at all. A row without a password
//! makes an extension that is still to be invited, or one that is disabled if its state says so. A tenant is
//! never made on the way: an unknown one is a fault. Extensions that exist are a fault too, or left alone if
//! that is asked.
//!
//! No field may hold a line break or another control character, not even in a column that is not taken over:
//! behind a quote that is not closed, the rest of the file would be one field.

use super::extensions::put;
use super::view::Response;
use super::{Admin, By, Password, Refusal, RowFault, check, tenant_of};
use crate::account::{DirectNumber, Life, LoginName, Number, Role, Tenant, TenantCode};
use crate::base::cell;
use crate::base::limit;
use crate::directory::{Credentials, Directory, ExtensionRecord};
use crate::service::audit::{About, Known, of_extension};
use crate::service::tables::{TENANTS, extension, put_edited};
use crate::service::{Services, index};
use crate::store::{self, Txn, View};
use csv::StringRecord;
use std::collections::{HashMap, HashSet};

/// The columns, which may stand in any order.
const COLUMNS: [&str; 8] = ["tenant", "extension", "name", "email", "password", "role", "numbers", "state"];

/// How many of the [`COLUMNS`], from the first, must be there.
const NEEDED: usize = 4;

/// What an export tells besides: it is for people, and is not taken over.
const TOLD: [&str; 3] = ["app", "devices", "station"];

/// What may stand in the column `state`; only `disabled` is taken over.
const STATES: [&str; 6] = ["", "invite", "pending", "expired", "active", "disabled"];

/// Rows of one group: one job, one flush.
const GROUP_ROWS: usize = 1_000;

/// Faults that are told of one file; there is no use in more.
const FAULTS_MAX: usize = 10_000;

type New = (ExtensionRecord, Option<Credentials>);

/// What came of a file so far.
#[derive(Clone, Copy, Default)]
struct Count {
    extensions: u64,
    skipped: u64,
}

impl Count {
    const fn told(self) -> Response {
        Response::Imported { extensions: self.extensions, skipped: self.skipped }
    }

    /// Why an import stopped behind so many rows.
    fn stopped(self, why: &Refusal) -> Refusal {
        Refusal::Store(format!(
            "{why}; {} extensions were imported before that, and each group of {GROUP_ROWS} rows whole or not at \
             all: import the file again, with what exists skipped (--skip-existing)",
            self.extensions
        ))
    }
}

impl Admin {
    pub(super) async fn import(
        &self,
        by: By,
        csv: Password,
        skip_existing: bool,
    ) -> Result<Response, Refusal> {
        let services = self.services.clone();
        // Reading, hashing and sealing 100,000 rows takes a second of CPU.
        let judged = tokio::task::spawn_blocking(move || judge(&services, csv.expose(), skip_existing));
        let (rows, skipped) = judged.await.map_err(|error| Refusal::Store(error.to_string()))??;
        check::room(self.services.directory.len(), rows.len())?;
        let mut count = Count { extensions: 0, skipped };
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let group: Vec<New> = rows.by_ref().take(GROUP_ROWS).collect();
            let (by, asked) = (by.clone(), group.len() as u64);
            let job = move |txn: &mut Txn<'_>| {
                let mut done = Vec::with_capacity(group.len());
                for (record, credentials) in group {
                    if is_new(txn, &record.login, skip_existing)? {
                        done.push((record, credentials));
                    }
                }
                for (record, _) in &mut done {
                    let about = About::Extension(record.login.clone());
                    index::claim(txn, None, record)?;
                    by.note(txn, about, &Known::new(), &of_extension(record))?;
                    put_edited(txn, record, store::Expect::Absent)?;
                }
                Ok(done)
            };
            let apply = |directory: &Directory, group: &Vec<New>| {
                for (record, credentials) in group {
                    put(directory, record, credentials.clone());
                }
            };
            let last = rows.peek().is_none();
            let after = move |group: &Vec<New>| {
                let done = group.len() as u64;
                Count {
                    extensions: count.extensions + done,
                    skipped: count.skipped + asked.saturating_sub(done),
                }
            };
            let told = move |group: &Vec<New>| last.then(|| after(group).told());
            match self.commit_telling(job, apply, told).await {
                Ok(group) => count = after(&group),
                Err(Refusal::Answered) => return Err(Refusal::Answered),
                Err(why) => return Err(count.stopped(&why)),
            }
        }
        Ok(count.told())
    }
}

/// Whether an extension is to be made. Another command may have come between judging and committing.
///
/// # Errors
/// If it exists, unless that is to be skipped; if its tenant is gone.
fn is_new(txn: &Txn<'_>, login: &LoginName, skip_existing: bool) -> Result<bool, Refusal> {
    tenant_of(txn, login)?;
    match extension(txn, login)? {
        Some(_) if skip_existing => Ok(false),
        Some(_) => Err(Refusal::ExtensionExists(login.to_string())),
        None => Ok(true),
    }
}

/// On which line of a text something begins, asked from its beginning to its end.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of the record that the reader took from here on; it passes over empty lines before it.
    fn of(&mut self, record: &StringRecord) -> u64 {
        let from =
            record.position().map_or(self.at, |position| usize::try_from(position.byte()).unwrap_or(0));
        let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let rest = self.text.as_bytes().get(from..).unwrap_or_default();
        let start = from + rest.iter().take_while(|byte| is_break(byte)).count();
        let passed = self.text.as_bytes().get(self.at..start).unwrap_or_default();
        let pairs = passed.windows(2).filter(|pair| pair == b"\r\n").count();
        self.line += (passed.iter().filter(|byte| is_break(byte)).count() - pairs) as u64;
        self.at = start.max(self.at);
        self.line
    }

    /// Whether a quote that was opened in the last record is still open where the text ends.
    fn ends_in_quotes(&self) -> bool {
        let (mut quoted, mut begins) = (false, true);
        for byte in self.text.as_bytes().get(self.at..).unwrap_or_default() {
            match byte {
                // The second of two quotes in quotes opens them again.
                b'"' if quoted || begins => (quoted, begins) = (!quoted, !begins),
                _ if quoted => {}
                b',' | b'\r' | b'\n' => begins = true,
                _ => begins = false,
            }
        }
        quoted
    }
}

/// The file's extensions, ready to be stored, and how many rows were skipped.
///
/// # Errors
/// Every fault of every row.
fn judge(services: &Services, csv: &str, skip_existing: bool) -> Result<(Vec<New>, u64), Refusal> {
    let csv = csv.strip_prefix('\u{feff}').unwrap_or(csv);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(csv.as_bytes());
    let mut judge = Judge {
        services,
        view: services.store.view(),
        skip_existing,
        skipped: 0,
        tenants: HashMap::new(),
        seen: HashSet::new(),
        numbers: HashMap::new(),
        faults: Vec::new(),
    };
    let mut lines = Lines { text: csv, at: 0, line: 1 };
    let header = reader.headers().cloned().unwrap_or_default();
    let top = lines.of(&header);
    let Some(places) = judge.header(top, &header) else { return Err(Refusal::BadRows(judge.faults)) };
    let mut rows = Vec::new();
    for record in reader.records() {
        let row = record.as_ref().map_or(lines.line, |record| lines.of(record));
        if judge.faults.len() >= FAULTS_MAX {
            judge.fault(row, "", "and what follows was not looked at: too many faults");
            break;
        }
        if rows.len() >= limit::IMPORT_ROWS_MAX {
            judge.fault(row, "", format!("more than {} rows", limit::IMPORT_ROWS_MAX));
            break;
        }
        match record {
            Ok(record) if judge.has_controls(row, &header, &record) => {}
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
    if judge.faults.is_empty() && lines.ends_in_quotes() {
        judge.fault(lines.line, "", "a quote is not closed");
    }
    if judge.faults.is_empty() { Ok((rows, judge.skipped)) } else { Err(Refusal::BadRows(judge.faults)) }
}

struct Judge<'a> {
    services: &'a Services,
    view: View<'a>,
    skip_existing: bool,
    skipped: u64,
    tenants: HashMap<TenantCode, Option<Tenant>>,
    seen: HashSet<LoginName>,
    /// Direct numbers that rows have, and which row.
    numbers: HashMap<Box<str>, u64>,
    faults: Vec<RowFault>,
}

impl Judge<'_> {
    fn fault(&mut self, row: u64, column: &str, reason: impl Into<String>) {
        self.faults.push(RowFault { row, column: column.to_owned(), reason: reason.into() });
    }

    /// Where each of the [`COLUMNS`] stands, if it is there.
    fn header(&mut self, row: u64, header: &StringRecord) -> Option<[Option<usize>; COLUMNS.len()]> {
        if self.has_controls(row, header, header) {
            return None;
        }
        let names: Vec<&str> = header.iter().map(str::trim).collect();
        for name in names.iter().filter(|name| !COLUMNS.contains(name) && !TOLD.contains(name)) {
            self.fault(row, name, format!("no such column; there are {}", COLUMNS.join(",")));
        }
        for (at, column) in COLUMNS.into_iter().enumerate() {
            match names.iter().filter(|name| **name == column).count() {
                1 => {}
                0 if at < NEEDED => self.fault(row, column, "the column is missing"),
                0 => {}
                _ => self.fault(row, column, "the column stands there twice"),
            }
        }
        let place = |column| names.iter().position(|name| *name == column);
        self.faults.is_empty().then(|| COLUMNS.map(place))
    }

    /// Whether a field has what no field may have.
    fn has_controls(&mut self, row: u64, header: &StringRecord, record: &StringRecord) -> bool {
        let before = self.faults.len();
        for (at, _) in record.iter().enumerate().filter(|(_, field)| field.contains(char::is_control)) {
            let name = header.get(at).filter(|name| !name.contains(char::is_control)).unwrap_or_default();
            let reason = "it has a line break or another control character; perhaps a quote is not closed";
            self.fault(row, name.trim(), reason);
        }
        self.faults.len() > before
    }

    /// The extension of a row, or none if it has a fault or is skipped.
    fn row(&mut self, row: u64, fields: [&str; COLUMNS.len()]) -> Result<Option<New>, Refusal> {
        let password = fields[4];
        let [code, number, name, email, _, role, numbers, state] = fields.map(cell::plain);
        let before = self.faults.len();
        let tenant = self.tenant(row, code)?;
        let number = match Number::parse(number) {
            Ok(number) => Some(number),
            Err(error) => {
                self.fault(row, "extension", format!("{number:?}: {error}"));
                None
            }
        };
        if let (Some(number), Some(tenant)) = (&number, &tenant)
            && self.is_skipped(&LoginName::of(number, &tenant.code))
        {
            self.skipped += 1;
            return Ok(None);
        }
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
        if !STATES.contains(&state) {
            self.fault(row, "state", format!("{state:?} is none of{}", STATES.join(" ")));
        }
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
        let numbers = self.numbers(row, &login, &tenant, numbers)?;
        if self.faults.len() > before {
            return Ok(None);
        }
        let now = self.view.now();
        let email = email.map(str::to_owned);
        let (record, credentials) = self.services.new_extension(login, name.into(), email, password, now);
        let life = if state == "disabled" { Life::Disabled } else { record.life };
        Ok(Some((ExtensionRecord { role, numbers, life, ..record }, credentials)))
    }

    /// Whether an extension exists and that is no fault.
    fn is_skipped(&mut self, login: &LoginName) -> bool {
        self.skip_existing
            && !self.seen.contains(login)
            && self.services.directory.with(login.as_str(), |_| ()).is_some()
    }

    /// The direct numbers of a row, with a semicolon between two.
    fn numbers(
        &mut self,
        row: u64,
        login: &LoginName,
        tenant: &Tenant,
        text: &str,
    ) -> Result<Vec<Box<str>>, Refusal> {
        let mut numbers: Vec<Box<str>> = Vec::new();
        let plan = tenant.main_number.as_ref().and_then(|main| main.plan.as_ref());
        for text in text.split(';').map(str::trim).filter(|text| !text.is_empty()) {
            let number: Box<str> = match DirectNumber::read(text, plan) {
                Ok(number) => number.as_str().into(),
                Err(fault) => {
                    self.fault(row, "numbers", format!("{text:?}: {fault}"));
                    continue;
                }
            };
            if numbers.contains(&number) {
                continue;
            }
            if let Some(other) = self.numbers.insert(number.clone(), row) {
                self.fault(row, "numbers", format!("{number} stands in row {other} too"));
            } else if !index::is_free(&self.view, &number, login)? {
                self.fault(row, "numbers", format!("{number} is taken"));
            }
            numbers.push(number);
        }
        if numbers.len() > limit::NUMBERS_MAX {
            self.fault(row, "numbers", format!("an extension may have at most {}", limit::NUMBERS_MAX));
        }
        Ok(numbers)
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
