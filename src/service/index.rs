//! Indexes: by which number or address an extension or tenant is found.
//!
//! An index is written before the record that it leads to, and taken away after it: a claim, which counts
//! only if the record names it back. So a crash between the two leaves a claim that counts for nothing, and
//! whoever needs it next takes it over.
//!
//! | table | from | to | unique |
//! |-------|------|----|--------|
//! | `number` | direct number | extension | in the whole system |
//! | `main`   | main number | tenant | in the whole system; a direct number may be the main number of its own tenant |
//! | `email`  | hash of the address, login name | extension | no: several people may have one address |

use super::tables::{TENANTS, extension};
use crate::account::{DirectNumber, LoginName, TenantCode};
use crate::base::limit;
use crate::directory::ExtensionRecord;
use crate::store::table::Table;
use crate::store::{Expect, Namespace, StoreError, Txn, View};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// Direct numbers: of which extension.
pub const NUMBERS: Table<LoginName> = Table::new(Namespace::new("number"), 1);

/// Main numbers: of which tenant.
pub const MAINS: Table<TenantCode> = Table::new(Namespace::new("main"), 1);

/// Mail addresses: of which extensions.
pub const EMAILS: Table<LoginName> = Table::new(Namespace::new("email"), 1);

/// Why a number cannot be had.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum ClaimError {
    /// Somebody else has it.
    #[error("{0} is taken")]
    Taken(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes the claims that a record's change needs; call it before the record is put. `was` is nothing for
/// a new extension.
///
/// # Errors
/// [`ClaimError::Taken`]: nothing was written.
pub fn claim(txn: &mut Txn<'_>, was: Option<&Indexed>, is: &ExtensionRecord) -> Result<(), ClaimError> {
    let had: &[Box<str>] = was.map_or(&[], |was| &was.numbers);
    let numbers: Vec<&str> = is.numbers.iter().map(|new| &**new).filter(|new| !has(had, new)).collect();
    for number in &numbers {
        if !is_free(txn, number, &is.login)? {
            return Err(ClaimError::Taken((*number).to_owned()));
        }
    }
    for number in numbers {
        NUMBERS.put(txn, &[digits(number)], &is.login, None, Expect::Any)?;
    }
    if let Some(email) =
        is.email.as_ref().filter(|email| was.and_then(|was| was.email.as_ref()) != Some(email))
    {
        EMAILS.put(txn, &[&email_key(email), is.login.as_str()], &is.login, None, Expect::Any)?;
    }
    Ok(())
}

/// Takes away the claims that a record no longer needs; call it after the record was put. `is` is nothing
/// for a removed extension.
///
/// # Errors
/// As [`Txn::delete`].
pub fn release(txn: &mut Txn<'_>, was: &Indexed, is: Option<&ExtensionRecord>) -> Result<(), StoreError> {
    let kept: &[Box<str>] = is.map_or(&[], |is| &is.numbers);
    for number in was.numbers.iter().map(|old| &**old).filter(|old| !has(kept, old)) {
        let own = NUMBERS.get(txn, &[digits(number)])?.is_some_and(|row| row.value == was.login);
        if own {
            NUMBERS.remove(txn, &[digits(number)], Expect::Any)?;
        }
    }
    let same = |a: &str, b: &str| email_key(a) == email_key(b);
    if let Some(email) = &was.email
        && !is.and_then(|is| is.email.as_ref()).is_some_and(|email_now| same(email, email_now))
    {
        EMAILS.remove(txn, &[&email_key(email), was.login.as_str()], Expect::Any)?;
    }
    Ok(())
}

/// What of a record stands in indexes.
#[derive(Clone, Debug)]
pub struct Indexed {
    login: LoginName,
    email: Option<String>,
    numbers: Vec<Box<str>>,
}

impl Indexed {
    /// That of a record.
    #[must_use]
    pub fn of(record: &ExtensionRecord) -> Self {
        Self { login: record.login.clone(), email: record.email.clone(), numbers: record.numbers.clone() }
    }
}

/// As [`claim`] and [`release`], for the main number of a tenant; `put` puts the tenant between the two.
///
/// # Errors
/// [`ClaimError::Taken`]: nothing was written.
pub fn renew_main<E: From<ClaimError> + From<StoreError>>(
    txn: &mut Txn<'_>,
    tenant: &TenantCode,
    [was, is]: [Option<&DirectNumber>; 2],
    put: impl FnOnce(&mut Txn<'_>) -> Result<(), E>,
) -> Result<(), E> {
    if was == is {
        return put(txn);
    }
    if let Some(number) = is {
        let key = digits(number.as_str());
        let claimed = MAINS.get(txn, &[key])?.map(|row| row.value);
        let elsewhere = match claimed.filter(|code| code != tenant) {
            Some(code) => main_of(txn, &code)?.is_some_and(|main| main == *number),
            None => false,
        };
        let direct = NUMBERS.get(txn, &[key])?.map(|row| row.value);
        let foreign = match direct.filter(|login| login.tenant() != tenant.as_str()) {
            Some(login) => names(txn, &login, number.as_str())?,
            None => false,
        };
        if elsewhere || foreign {
            return Err(ClaimError::Taken(number.to_string()).into());
        }
        MAINS.put(txn, &[key], tenant, None, Expect::Any)?;
    }
    put(txn)?;
    if let Some(number) = was {
        release_main(txn, tenant, number)?;
    }
    Ok(())
}

/// Takes away the claim of a main number; call it after its tenant is gone, or has another.
///
/// # Errors
/// As [`Txn::delete`].
pub fn release_main(txn: &mut Txn<'_>, code: &TenantCode, number: &DirectNumber) -> Result<(), StoreError> {
    let key = digits(number.as_str());
    match MAINS.get(txn, &[key])? {
        Some(row) if row.value == *code => MAINS.remove(txn, &[key], Expect::Any),
        _ => Ok(()),
    }
}

/// The extensions that claim an address, at most one more than [`limit::FORGOT_EXTENSIONS_MAX`]; whether
/// they name it back is to be seen in their records.
///
/// # Errors
/// As [`Table::scan`].
pub fn with_email(view: &View<'_>, email: &str) -> Result<Vec<LoginName>, StoreError> {
    let page = EMAILS.scan(view, &[&email_key(email)], None, limit::FORGOT_EXTENSIONS_MAX + 1)?;
    Ok(page.into_iter().map(|(_, row)| row.value).collect())
}

/// Whether two texts are the same address; case does not matter, as no mail system in use makes it.
#[must_use]
pub fn is_same_email(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// Whether nobody else has a number: neither as a direct number nor, in another tenant, as the main one.
/// Whether nobody but this extension has a number.
///
/// # Errors
/// As [`Table::get`].
pub(super) fn is_free(view: &View<'_>, number: &str, login: &LoginName) -> Result<bool, StoreError> {
    let claimed = NUMBERS.get(view, &[digits(number)])?.map(|row| row.value);
    if let Some(other) = claimed.filter(|other| other != login)
        && names(view, &other, number)?
    {
        return Ok(false);
    }
    let main = MAINS.get(view, &[digits(number)])?.map(|row| row.value);
    match main.filter(|code| code.as_str() != login.tenant()) {
        Some(code) => Ok(main_of(view, &code)?.is_none_or(|main| main.as_str() != number)),
        None => Ok(true),
    }
}

/// Whether an extension names a number back.
fn names(view: &View<'_>, login: &LoginName, number: &str) -> Result<bool, StoreError> {
    let row = extension(view, login)?;
    Ok(row.is_some_and(|row| has(&row.value.numbers, number)))
}

fn has(numbers: &[Box<str>], number: &str) -> bool {
    numbers.iter().any(|own| **own == *number)
}

fn main_of(view: &View<'_>, code: &TenantCode) -> Result<Option<DirectNumber>, StoreError> {
    let row = TENANTS.get(view, &[code.as_str()])?;
    Ok(row.and_then(|row| row.value.main_number).map(|main| main.number))
}

/// The key of a number.
fn digits(number: &str) -> &str {
    number.trim_start_matches('+')
}

/// The key of an address: the first half of a hash of it. Addresses are longer than keys may be.
fn email_key(email: &str) -> String {
    let hash = Sha256::digest(email.to_lowercase().as_bytes());
    hash.iter().take(16).fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Tenant;
    use crate::base::time::Wall;
    use crate::service::tables::put_extension;
    use crate::store::memory::Memory;

    const NUMBER: &str = "+16045550199";

    fn record(name: &str, email: Option<&str>, numbers: &[&str]) -> ExtensionRecord {
        let email = email.map(str::to_owned);
        let mut record = ExtensionRecord::new(LoginName::parse(name).unwrap(), String::new(), email);
        record.numbers = numbers.iter().map(|number| (*number).into()).collect();
        record
    }

    fn on<T>(job: impl FnOnce(&mut Txn<'_>) -> T) -> T {
        let memory = Memory::new();
        job(&mut Txn::new(&memory, Wall::from_secs(10), &mut Vec::new()))
    }

    /// All of a change in its order.
    fn put(txn: &mut Txn<'_>, was: Option<&ExtensionRecord>, is: &ExtensionRecord) -> Result<(), ClaimError> {
        let was = was.map(Indexed::of);
        claim(txn, was.as_ref(), is)?;
        put_extension(txn, is, Expect::Any)?;
        if let Some(was) = &was {
            release(txn, was, Some(is))?;
        }
        Ok(())
    }

    #[test]
    fn a_direct_number_is_unique_in_the_whole_system() {
        on(|txn| {
            let (first, second) =
                (record("201-acme", None, &[NUMBER]), record("201-globex", None, &[NUMBER]));
            put(txn, None, &first).unwrap();
            assert_eq!(put(txn, None, &second), Err(ClaimError::Taken(NUMBER.into())));
            assert!(extension(txn, &second.login).unwrap().is_none(), "nothing was written");
            put(txn, None, &first).expect("its own number is its own");
            let without = record("201-acme", None, &[]);
            put(txn, Some(&first), &without).unwrap();
            put(txn, None, &second).expect("it has become free");
        });
    }

    #[test]
    fn a_claim_that_a_crash_left_counts_for_nothing() {
        on(|txn| {
            let login = LoginName::parse("201-acme").unwrap();
            NUMBERS.put(txn, &[digits(NUMBER)], &login, None, Expect::Any).unwrap();
            put(txn, None, &record("201-acme", None, &[])).unwrap();
            let other = record("202-acme", None, &[NUMBER]);
            put(txn, None, &other).expect("nobody names it back");
            // What had it by claim only takes nothing away.
            let never = Indexed::of(&record("201-acme", None, &[NUMBER]));
            release(txn, &never, None).unwrap();
            let claim = NUMBERS.get(txn, &[digits(NUMBER)]).unwrap().unwrap();
            assert_eq!(claim.value, other.login);
        });
    }

    #[test]
    fn a_main_number_is_of_one_tenant_and_its_own_extensions() {
        on(|txn| {
            let tenant = |code: &str, main: Option<&str>| {
                let mut tenant = Tenant::new(TenantCode::parse(code).unwrap(), code);
                tenant.main_number = main.map(|main| crate::account::MainNumber::read(main).unwrap());
                tenant
            };
            fn set(txn: &mut Txn<'_>, was: Option<&Tenant>, is: &Tenant) -> Result<(), ClaimError> {
                let main = |tenant: &Tenant| tenant.main_number.clone().map(|main| main.number);
                let (had, has) = (was.and_then(main), main(is));
                renew_main(txn, &is.code, [had.as_ref(), has.as_ref()], |txn| {
                    Ok(TENANTS.put(txn, &[is.code.as_str()], is, None, Expect::Any).map(drop)?)
                })
            }
            let taken = Err(ClaimError::Taken(NUMBER.into()));
            let (acme, globex) = (tenant("acme", Some(NUMBER)), tenant("globex", Some(NUMBER)));
            set(txn, None, &acme).unwrap();
            set(txn, None, &tenant("globex", None)).unwrap();
            assert_eq!(set(txn, None, &globex), taken);
            assert_eq!(put(txn, None, &record("201-globex", None, &[NUMBER])), taken);
            put(txn, None, &record("201-acme", None, &[NUMBER])).expect("its reception");
            set(txn, Some(&acme), &tenant("acme", None)).unwrap();
            assert_eq!(set(txn, None, &globex), taken, "it still rings there");
            put(txn, Some(&record("201-acme", None, &[NUMBER])), &record("201-acme", None, &[])).unwrap();
            set(txn, None, &globex).unwrap();
            assert_eq!(set(txn, Some(&tenant("acme", None)), &acme), taken);
        });
    }

    #[test]
    fn people_are_found_by_their_address_in_any_case() {
        on(|txn| {
            let found = |txn: &Txn<'_>, email: &str| {
                with_email(txn, email).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>()
            };
            let ada = record("201-acme", Some("Ada@Example.test"), &[]);
            put(txn, None, &ada).unwrap();
            put(txn, None, &record("202-acme", Some("ada@example.test"), &[])).unwrap();
            put(txn, None, &record("203-acme", Some("eve@example.test"), &[])).unwrap();
            assert_eq!(found(txn, "ada@EXAMPLE.test"), ["201-acme", "202-acme"]);
            let case = record("201-acme", Some("ADA@example.test"), &[]);
            put(txn, Some(&ada), &case).unwrap();
            assert_eq!(found(txn, "ada@example.test"), ["201-acme", "202-acme"], "it is the same address");
            put(txn, Some(&case), &record("201-acme", None, &[])).unwrap();
            assert_eq!(found(txn, "ada@example.test"), ["202-acme"]);
            assert!(found(txn, "nobody@example.test").is_empty());
            let long = format!("{}@example.test", "ä".repeat(120));
            put(txn, None, &record("204-acme", Some(&long), &[])).unwrap();
            assert_eq!(found(txn, &long), ["204-acme"]);
        });
    }
}
