//! The last administrator of a tenant: what they lock themselves out of, nobody there can give back.

use super::{Desk, Refused};
use crate::account::{LoginName, Role};
use crate::directory::ExtensionRecord;
use crate::service::admin::Refusal;
use crate::service::tables::EXTENSIONS;
use crate::store::{Key, View};

/// Extensions read at a time.
const PAGE: usize = 1_000;

impl Desk {
    /// That there is another administrator, who could clear what this one may lose.
    pub(super) async fn warn_last(&self, login: &LoginName) -> Result<(), Refused> {
        let own = login.clone();
        let found = self.services().store.read(move |view| Ok(has_other(&view, &own)));
        match found.await.map_err(Refusal::from)? {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::LastAdministrator(login.tenant().to_owned()).into()),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

/// Whether a tenant has another administrator who may sign in.
fn has_other(view: &View<'_>, own: &LoginName) -> Result<bool, Refusal> {
    let mut after: Option<Key> = None;
    loop {
        let page = EXTENSIONS.scan(view, &[own.tenant()], after.as_ref(), PAGE)?;
        after = page.last().map(|(key, _)| key.clone());
        let admin = |record: &ExtensionRecord| {
            record.role == Role::Admin && record.life == crate::account::Life::Active
        };
        if page.iter().any(|(_, row)| admin(&row.value) && row.value.login != *own) {
            return Ok(true);
        }
        if after.is_none() {
            return Ok(false);
        }
    }
}
