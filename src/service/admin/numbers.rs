//! Direct numbers of an extension, and the main number of a tenant.

use super::check::bad;
use super::{Admin, NumberChanges, Refusal, TenantSettings, tenant_of};
use crate::account::direct::Plan;
use crate::account::{DirectNumber, LoginName, MainNumber};
use crate::base::limit;
use crate::directory::ExtensionRecord;

/// Numbers that an extension gets and loses, read.
#[derive(Debug, Default)]
pub(super) struct Read {
    add: Vec<DirectNumber>,
    remove: Vec<DirectNumber>,
}

impl Admin {
    /// Reads numbers as they are written in the country of the extension's tenant. Not on the committer: the
    /// tables of countries are loaded when they are first asked, which takes a while.
    ///
    /// # Errors
    /// [`Refusal::BadValue`] for what is no number; [`Refusal::NoSuchTenant`].
    pub(super) async fn read_numbers(
        &self,
        login: &LoginName,
        changes: NumberChanges,
    ) -> Result<Read, Refusal> {
        if changes.is_empty() {
            return Ok(Read::default());
        }
        let login = login.clone();
        self.look(move |view| {
            let plan = tenant_of(&view, &login)?.main_number.and_then(|main| main.plan);
            let read = |option: &str, texts: &[String]| {
                texts.iter().map(|text| read(option, text, plan.as_ref())).collect::<Result<_, _>>()
            };
            Ok(Read {
                remove: read("--remove-number", &changes.remove)?,
                add: read("--number", &changes.add)?,
            })
        })
        .await
    }

    /// Reads the number that codes by SMS are to go to, as [`Admin::read_numbers`].
    ///
    /// # Errors
    /// As [`Admin::read_numbers`].
    pub(in crate::service) async fn read_mobile(
        &self,
        login: &LoginName,
        text: &str,
    ) -> Result<DirectNumber, Refusal> {
        let (login, text) = (login.clone(), text.to_owned());
        self.look(move |view| {
            let plan = tenant_of(&view, &login)?.main_number.and_then(|main| main.plan);
            let read = DirectNumber::read(&text, plan.as_ref());
            read.map_err(|fault| bad("mobile", fault.to_string()))
        })
        .await
    }

    /// Reads a tenant's main number, if one is given; an empty text is none. As for
    /// [`Admin::read_numbers`] not on the committer.
    ///
    /// # Errors
    /// [`Refusal::BadValue`].
    pub(super) async fn read_main(
        &self,
        settings: &TenantSettings,
    ) -> Result<Option<Option<MainNumber>>, Refusal> {
        let Some(text) = settings.main_number.clone() else { return Ok(None) };
        if text.is_empty() {
            return Ok(Some(None));
        }
        self.look(move |_| {
            let read = MainNumber::read(&text);
            read.map(|main| Some(Some(main)))
                .map_err(|fault| bad("--main-number", format!("{text:?}: {fault}")))
        })
        .await
    }
}

/// Adds and removes numbers. Whether somebody else has one is judged with the claims.
///
/// # Errors
/// [`Refusal::BadValue`] for more than [`limit::NUMBERS_MAX`], and one that is to be removed and is not
/// there.
pub(super) fn change(record: &mut ExtensionRecord, changes: &Read) -> Result<(), Refusal> {
    for number in &changes.remove {
        let before = record.numbers.len();
        record.numbers.retain(|own| **own != *number.as_str());
        if record.numbers.len() == before {
            return Err(bad("--remove-number", format!("{} does not have {number}", record.login)));
        }
    }
    for number in &changes.add {
        if !record.numbers.iter().any(|own| **own == *number.as_str()) {
            record.numbers.push(number.as_str().into());
        }
    }
    if record.numbers.len() > limit::NUMBERS_MAX {
        let reason = format!("an extension may have at most {} direct numbers", limit::NUMBERS_MAX);
        return Err(bad("--number", reason));
    }
    Ok(())
}

fn read(option: &str, text: &str, plan: Option<&Plan>) -> Result<DirectNumber, Refusal> {
    DirectNumber::read(text, plan).map_err(|fault| bad(option, format!("{text:?}: {fault}")))
}
