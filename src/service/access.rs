//! Whose an access key is that somebody shows.
//!
//! A wrong secret, an id that is nobody's, and a key whose owner may not act any more have one answer
//! and, up to the comparison of the secret, one cost. A person's keys end when the password is changed or reset,
//! as every other login does.

use super::Services;
use super::admin::Actor;
use super::tables::{KEYS, KeyOf, TENANTS, extension};
use crate::account::{AccessKey, KeyHash, KeyId, KeySecret};
use crate::store::{StoreError, View};

impl Services {
    /// Who shows this key; `None` if it opens nothing. Judged anew for each request, so a key that is
    /// taken away, and one of an extension that is disabled, is refused from then on.
    ///
    /// # Errors
    /// As [`Store::read`](crate::store::Store::read).
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn whose_key(&self, id: KeyId, secret: KeySecret) -> Result<Option<Actor>, StoreError> {
        self.store.read(move |view| whose(&view, &id, &secret)).await
    }
}

fn whose(view: &View<'_>, id: &KeyId, secret: &KeySecret) -> Result<Option<Actor>, StoreError> {
    let [operator, person] =
        [KeyOf::Operator, KeyOf::Extension].map(|of| KEYS.get(view, &[of.part(), id.as_str()]));
    let key: Option<AccessKey> = operator?.or(person?).map(|row| row.value);
    let hash = key.as_ref().map_or(KeyHash::DECOY, |key| key.hash);
    let right = hash.is_of(secret);
    let Some(key) = key.filter(|_| right) else { return Ok(None) };
    let Some(login) = key.login else { return Ok(Some(Actor::Operator)) };
    let Some(record) = extension(view, &login)?.map(|row| row.value) else { return Ok(None) };
    let named = record.portal.as_ref().is_some_and(|portal| portal.keys.contains(id));
    let tenant = TENANTS.get(view, &[login.tenant()])?;
    let may_act = record.life.may_act(tenant.is_some_and(|tenant| tenant.value.active)).is_ok();
    Ok((named && may_act).then(|| Actor::of(login, record.role)))
}
