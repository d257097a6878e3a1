//! Direct numbers of an extension.

use super::check::bad;
use super::{NumberChanges, Refusal, tenant_of};
use crate::account::DirectNumber;
use crate::account::direct::Plan;
use crate::base::limit;
use crate::directory::ExtensionRecord;
use crate::store::View;

/// Adds and removes numbers, as they are written in the country of the tenant's main number. Whether
/// somebody else has one is judged with the claims.
///
/// # Errors
/// [`Refusal::BadValue`] for what is no number, more than [`limit::NUMBERS_MAX`], and one that is to be
/// removed and is not there.
pub(super) fn change(
    record: &mut ExtensionRecord,
    view: &View<'_>,
    changes: &NumberChanges,
) -> Result<(), Refusal> {
    if changes.is_empty() {
        return Ok(());
    }
    let tenant = tenant_of(view, &record.login)?;
    let plan = tenant.main_number.and_then(|main| main.plan);
    for text in &changes.remove {
        let number = read("--remove-number", text, plan.as_ref())?;
        let before = record.numbers.len();
        record.numbers.retain(|own| **own != *number.as_str());
        if record.numbers.len() == before {
            return Err(bad("--remove-number", format!("{} does not have {number}", record.login)));
        }
    }
    for text in &changes.add {
        let number = read("--number", text, plan.as_ref())?;
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
