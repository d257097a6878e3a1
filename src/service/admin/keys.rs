//! Access keys: made, listed, taken away. Whose one is that is shown says [`crate::service::access`].
//!
//! Of one owner's keys each has another name. A key that is made again keeps its id and gets a new
//! secret, which replaces the old one with one write.

use super::check::{self, bad};
use super::view::{KeyView, Response};
use super::{Admin, By, Refusal, record};
use crate::account::{AccessKey, KeyHash, KeyId, LoginName, access_key};
use crate::base::limit::{KEYS_OF_OPERATORS_MAX, KEYS_PER_EXTENSION_MAX};
use crate::base::time::Wall;
use crate::directory::ExtensionRecord;
use crate::service::Services;
use crate::service::audit::{self, About, Known};
use crate::service::tables::{KEYS, KeyOf};
use crate::store::{self, StoreError, Txn, View};
use std::sync::PoisonError;

impl Admin {
    /// Makes a key, or a new secret for the one of this name. The secret is shown this once.
    pub(super) async fn key_add(
        &self,
        by: By,
        login: Option<LoginName>,
        name: String,
    ) -> Result<Response, Refusal> {
        check::name(&name).map_err(|reason| bad("--name", reason))?;
        if name.chars().count() > access_key::NAME_CHARS_MAX {
            let reason = format!("it is longer than {} characters", access_key::NAME_CHARS_MAX);
            return Err(bad("--name", reason));
        }
        let new = self.services.mint_key(name);
        match login {
            Some(login) => {
                let whose = login.clone();
                self.change(by, login, move |record, txn| {
                    let keys = &mut record.portal.get_or_insert_default().keys;
                    let present = of_extension(txn, keys)?;
                    *keys = present.iter().map(|(id, _)| id.clone()).collect();
                    let id = new.place(&present, KEYS_PER_EXTENSION_MAX)?;
                    // The claim first: it counts only once the record names it back.
                    new.put(txn, &id, Some(whose))?;
                    if !keys.contains(&id) {
                        keys.push(id.clone());
                    }
                    Ok(new.told(&id).into())
                })
                .await
            }
            None => {
                let job = move |txn: &mut Txn<'_>| {
                    let present = of_operators(txn)?;
                    let id = new.place(&present, KEYS_OF_OPERATORS_MAX)?;
                    let before = present.iter().filter(|(one, _)| *one == id);
                    let before: Known = before.map(|(id, key)| known(id, &key.name, key.made)).collect();
                    let after = vec![known(&id, &new.name, txn.now())];
                    by.note(txn, About::System, &before, &after)?;
                    new.put(txn, &id, None)?;
                    Ok(new.told(&id))
                };
                self.commit_telling(job, |_, _| {}, |told| Some(told.clone())).await
            }
        }
    }

    pub(super) async fn key_list(&self, login: Option<LoginName>) -> Result<Response, Refusal> {
        self.look(move |view| {
            let rows = match &login {
                None => of_operators(&view)?,
                Some(login) => match record(&view, login)?.portal {
                    Some(portal) => of_extension(&view, &portal.keys)?,
                    None => Vec::new(),
                },
            };
            Ok(Response::Keys(rows.iter().map(|(id, key)| show(id, key)).collect()))
        })
        .await
    }

    /// Takes a key away; it is refused from then on.
    pub(super) async fn key_remove(
        &self,
        by: By,
        login: Option<LoginName>,
        id: KeyId,
    ) -> Result<Response, Refusal> {
        let Some(login) = login else {
            let job = move |txn: &mut Txn<'_>| {
                let parts = [KeyOf::Operator.part(), id.as_str()];
                let key = KEYS.get(txn, &parts)?.ok_or_else(|| Refusal::NoSuchKey(id.to_string()))?.value;
                by.note(txn, About::System, &vec![known(&id, &key.name, key.made)], &Known::new())?;
                Ok(KEYS.remove(txn, &parts, store::Expect::Any)?)
            };
            return self.commit(job, |_, ()| {}).await.map(|()| Response::Done);
        };
        self.change(by, login, move |record, txn| {
            let keys = record.portal.as_mut().map(|portal| &mut portal.keys);
            let keys = keys.filter(|keys| keys.contains(&id));
            let keys = keys.ok_or_else(|| Refusal::NoSuchKey(id.to_string()))?;
            forget(txn, &id)?;
            keys.retain(|key| *key != id);
            Ok(Response::Done.into())
        })
        .await
    }
}

/// A key that is to be made.
struct New {
    id: KeyId,
    secret: String,
    hash: KeyHash,
    name: String,
}

impl Services {
    fn mint_key(&self, name: String) -> New {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let (id, secret) = access_key::mint(&mut rng);
        New { id, hash: secret.hash(), secret: secret.expose().to_owned(), name }
    }
}

impl New {
    /// The id of the key that has its name, else its own, if there is room for one more.
    fn place(&self, present: &[(KeyId, AccessKey)], most: usize) -> Result<KeyId, Refusal> {
        let same = present.iter().find(|(_, key)| *key.name == *self.name);
        match same {
            Some((id, _)) => Ok(id.clone()),
            None if present.len() >= most => {
                Err(bad("--name", format!("there are {most} keys, as many as may be")))
            }
            None => Ok(self.id.clone()),
        }
    }

    fn put(&self, txn: &mut Txn<'_>, id: &KeyId, login: Option<LoginName>) -> Result<(), StoreError> {
        let of = if login.is_some() { KeyOf::Extension } else { KeyOf::Operator };
        let key = AccessKey { login, name: self.name.as_str().into(), hash: self.hash, made: txn.now() };
        KEYS.put(txn, &[of.part(), id.as_str()], &key, None, store::Expect::Any).map(drop)
    }

    fn told(&self, id: &KeyId) -> Response {
        Response::Key { id: id.to_string(), secret: self.secret.clone() }
    }
}

impl Drop for New {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.secret);
    }
}

fn of_operators(view: &View<'_>) -> Result<Vec<(KeyId, AccessKey)>, StoreError> {
    let rows = KEYS.scan(view, &[KeyOf::Operator.part()], None, KEYS_OF_OPERATORS_MAX)?;
    let read = |(key, row): (store::Key, store::Row<AccessKey>)| {
        Some((KeyId::parse(&key.last_part()?).ok()?, row.value))
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

/// The keys that an extension's record names, as far as they are there.
fn of_extension(view: &View<'_>, ids: &[KeyId]) -> Result<Vec<(KeyId, AccessKey)>, StoreError> {
    let mut rows = Vec::new();
    for id in ids {
        let row = KEYS.get(view, &[KeyOf::Extension.part(), id.as_str()])?;
        rows.extend(row.map(|row| (id.clone(), row.value)));
    }
    Ok(rows)
}

/// Takes the claim of an extension's key away.
pub(super) fn forget(txn: &mut Txn<'_>, id: &KeyId) -> Result<(), StoreError> {
    KEYS.remove(txn, &[KeyOf::Extension.part(), id.as_str()], store::Expect::Any)
}

/// What the audit knows of an extension, with its access keys: a key that is made again is told by when.
///
/// # Errors
/// As [`Table::get`](store::table::Table::get).
pub(super) fn with(view: &View<'_>, record: &ExtensionRecord) -> Result<Known, StoreError> {
    let mut facts = audit::of_extension(record);
    let keys = record.portal.as_ref().map(|portal| of_extension(view, &portal.keys)).transpose()?;
    facts.extend(keys.iter().flatten().map(|(id, key)| known(id, &key.name, key.made)));
    Ok(facts)
}

/// A key by its id and name, and when its secret was made.
fn known(id: &KeyId, name: &str, made: Wall) -> (String, String) {
    let (second, micros) = (made.rfc3339(), made.as_micros() % 1_000_000);
    let second = second.trim_end_matches('Z');
    ("key".to_owned(), format!("{id} {name:?} made {second}.{micros:06}Z"))
}

fn show(id: &KeyId, key: &AccessKey) -> KeyView {
    KeyView {
        id: id.to_string(),
        name: key.name.to_string(),
        login: key.login.as_ref().map(LoginName::to_string),
        made: key.made.rfc3339(),
    }
}
