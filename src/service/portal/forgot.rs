//! Somebody says that they have forgotten their password (PRODUCT §2).
//!
//! | what was typed | who is written to |
//! |----------------|-------------------|
//! | login name, direct number, main number with extension | that extension |
//! | mail address | every extension with it, if they are no more than [`limit::FORGOT_EXTENSIONS_MAX`] |
//!
//! A link goes only to the address on file, and only to who could use it: the extension is active and so is
//! its tenant, it has an address, and a security question where the tenant wants one. At most
//! [`limit::RESET_MAILS_PER_HOUR`] go to one extension. Nor does one go where a link works that an
//! administrator asked for: a new one would end that, and anybody can ask. **Whoever asks learns nothing of all this**: the
//! answer is always the same, and so is the work. For whom no link is sent, as much is read, and as much
//! written, in the same one job.

use crate::account::{AskedBy, Life, LoginName, Matter, Typed};
use crate::base::limit;
use crate::base::time::Wall;
use crate::directory::{Directory, ExtensionRecord};
use crate::service::admin::{Admin, By, Carries, Links, Refusal};
use crate::service::audit::{About, of_extension};
use crate::service::index;
use crate::service::mailing::withheld;
use crate::service::tables::{EXTENSIONS, FORGOT_DECOYS, TENANTS, extension, overlay, put_extension};
use crate::store::{Expect, StoreError, Txn};
use std::net::IpAddr;
use std::sync::Arc;

/// What is written for nobody, in bytes: as much as a token's claim, a line of the audit and a record take.
const DECOYS: [usize; 3] = [24, 160, 768];

/// How often something is read between the decision and the writes.
const DECOY_READS: usize = 3;

impl Admin {
    /// Owes whom `typed` names a mail with a link to set another password. The answer is the same whether
    /// that is somebody or nobody.
    ///
    /// # Errors
    /// [`Refusal::NoMail`] if no link can be sent to anybody; [`Refusal::Store`].
    ///
    /// # Cancel safety
    /// What was begun is finished even if the future is dropped.
    pub async fn forgot(&self, typed: Typed, from: IpAddr) -> Result<(), Refusal> {
        let mailing = self.defaults().mailing;
        if mailing.carrier == Carries::Nothing || mailing.links == Links::Nowhere {
            return Err(Refusal::NoMail("mails, or the links in them, are not set up".into()));
        }
        let (services, memory) = (self.services().clone(), Arc::clone(&self.services().directory));
        let named = services.directory.identify(&typed);
        let by = By::anybody(from, "password forgot");
        let job = move |txn: &mut Txn<'_>| {
            let mut owing = Vec::new();
            for place in places(txn, named, &typed)? {
                let record = owed(txn, &memory, place.as_ref(), typed.email.as_deref())?;
                match record {
                    Some((mut record, revision)) => {
                        let before = of_extension(&record);
                        let email = record.email.clone().unwrap_or_default();
                        services.owe_reset(&mut record, txn, email, AskedBy::Anybody)?;
                        let about = About::Extension(record.login.clone());
                        by.note(txn, about, &before, &of_extension(&record))?;
                        put_extension(txn, &record, Expect::At(revision))?;
                        owing.push(record);
                    }
                    None => decoy(txn)?,
                }
            }
            Ok(owing)
        };
        let apply = |directory: &Directory, owing: &Vec<ExtensionRecord>| {
            owing.iter().for_each(|record| directory.refresh(record));
        };
        self.commit(job, apply).await.map(drop)
    }
}

/// Whom to look at: always as many for an address, and always one for a name.
fn places(
    txn: &Txn<'_>,
    named: Option<LoginName>,
    typed: &Typed,
) -> Result<Vec<Option<LoginName>>, StoreError> {
    let Some(email) = &typed.email else { return Ok(vec![named]) };
    let mut found = index::with_email(txn, email)?;
    if found.len() > limit::FORGOT_EXTENSIONS_MAX {
        found.clear();
    }
    let mut places: Vec<_> = found.into_iter().map(Some).collect();
    places.resize(limit::FORGOT_EXTENSIONS_MAX, None);
    Ok(places)
}

/// The record of who gets a link; reads the same for who gets none.
fn owed(
    txn: &Txn<'_>,
    memory: &Directory,
    login: Option<&LoginName>,
    email: Option<&str>,
) -> Result<Option<(ExtensionRecord, crate::store::Revision)>, StoreError> {
    // No extension can have this name, so nobody is looked up under it.
    let (row, tenant) = match login {
        Some(login) => (extension(txn, login)?, TENANTS.get(txn, &[login.tenant()])?),
        None => (EXTENSIONS.get(txn, &["-", "-"])?, TENANTS.get(txn, &["-"])?),
    };
    let (Some(row), Some(tenant)) = (row, tenant) else { return Ok(None) };
    let (mut record, tenant) = (row.value, tenant.value);
    overlay(&mut record, memory);
    let address = record.email.as_deref();
    let named = email.is_none_or(|email| address.is_some_and(|own| index::is_same_email(own, email)));
    let question = record.portal.as_ref().is_some_and(|portal| portal.question.is_some());
    let may = named
        && address.is_some()
        && tenant.active
        && record.life == Life::Active
        && record.credentials.is_some()
        && (question || !tenant.policies.question_required)
        && !has_administrators_link(&record, txn.now());
    if may && !record.told.may(Matter::Reset, txn.now()) {
        withheld();
        return Ok(None);
    }
    Ok(may.then_some((record, row.revision)))
}

/// Whether a link works that an administrator asked for.
fn has_administrators_link(record: &ExtensionRecord, now: Wall) -> bool {
    let reset = record.portal.as_ref().and_then(|portal| portal.reset.as_ref());
    let epoch = record.credentials.as_ref().map(|credentials| credentials.epoch);
    reset.zip(epoch).is_some_and(|(reset, epoch)| {
        reset.asked_by == AskedBy::Administrator && reset.works(&reset.hash, epoch, now)
    })
}

/// Reads and writes for nobody what is read and written for somebody: there the line of the audit and the
/// record are looked at again before they are put.
fn decoy(txn: &mut Txn<'_>) -> Result<(), StoreError> {
    for number in 0..DECOY_READS {
        let _ = FORGOT_DECOYS.get(txn, &["forgot", &number.to_string()])?;
    }
    for (number, bytes) in DECOYS.into_iter().enumerate() {
        FORGOT_DECOYS.put(txn, &["forgot", &number.to_string()], &vec![0; bytes], None, Expect::Any)?;
    }
    Ok(())
}
