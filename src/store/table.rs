//! Typed records: a table owns its keys, encoding, schema number and migration, so that services
//! never see bytes.
//!
//! Values are postcard. A record of an older schema is given to the table's migration when it is
//! read, and is written anew with its next write; one of a newer schema is an error.

use super::{Expect, Key, Namespace, Prefix, Record, Revision, StoreError, Txn, Value, View};
use crate::base::time::Wall;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

/// Makes a value of today of the bytes of an older schema; `None` if they are not of it.
pub type Migration<T> = fn(schema: u16, bytes: &[u8]) -> Option<T>;

/// One kind of record.
pub struct Table<T> {
    namespace: Namespace,
    schema: u16,
    migrate: Migration<T>,
    of: PhantomData<fn() -> T>,
}

/// A value as it was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row<T> {
    /// Which version.
    pub revision: Revision,
    /// What.
    pub value: T,
}

impl<T: Serialize + DeserializeOwned> Table<T> {
    /// The table of a namespace. `schema` is at least 1 and grows when `T`'s encoding changes.
    #[must_use]
    pub const fn new(namespace: Namespace, schema: u16) -> Self {
        Self { namespace, schema, migrate: |_, _| None, of: PhantomData }
    }

    /// The same with a way to read older schemas.
    #[must_use]
    pub const fn migrating(self, migrate: Migration<T>) -> Self {
        Self { migrate, ..self }
    }

    /// The key of these parts.
    ///
    /// # Errors
    /// As [`Namespace::key`].
    pub fn key(&self, parts: &[&str]) -> Result<Key, StoreError> {
        self.namespace.key(parts)
    }

    /// All keys whose first parts are these.
    ///
    /// # Errors
    /// As [`Namespace::key`].
    pub fn prefix(&self, parts: &[&str]) -> Result<Prefix, StoreError> {
        self.namespace.prefix(parts)
    }

    /// The value under a key.
    ///
    /// # Errors
    /// As [`View::get`]; [`StoreError::Corrupt`] and [`StoreError::Schema`].
    pub fn get(&self, view: &View<'_>, parts: &[&str]) -> Result<Option<Row<T>>, StoreError> {
        let key = self.key(parts)?;
        view.get(&key)?.map(|record| self.row(&key, &record)).transpose()
    }

    /// Up to `n` values whose first parts are these and that come after a key; fewer only if there
    /// are no more.
    ///
    /// # Errors
    /// As [`Table::get`].
    pub fn scan(
        &self,
        view: &View<'_>,
        parts: &[&str],
        after: Option<&Key>,
        n: usize,
    ) -> Result<Vec<(Key, Row<T>)>, StoreError> {
        let page = view.scan(&self.prefix(parts)?, after, n)?;
        page.into_iter().map(|(key, record)| self.row(&key, &record).map(|row| (key, row))).collect()
    }

    /// Puts a value where there is none.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if there is one; as [`Txn::put`].
    pub fn insert(&self, txn: &mut Txn<'_>, parts: &[&str], value: &T) -> Result<Revision, StoreError> {
        self.put(txn, parts, value, None, Expect::Absent)
    }

    /// Puts a value as [`Expect`] says, with an end if it has one.
    ///
    /// # Errors
    /// As [`Txn::put`].
    pub fn put(
        &self,
        txn: &mut Txn<'_>,
        parts: &[&str],
        value: &T,
        expires: Option<Wall>,
        expect: Expect,
    ) -> Result<Revision, StoreError> {
        let key = self.key(parts)?;
        let value = Value { expires, ..self.encode(&key, value)? };
        txn.put(&key, value, expect)
    }

    /// Reads a value and puts what `decide` makes of it; `decide` gets `None` if there is none and
    /// returns `None` to leave it as it is. An expiry is kept. Says the new revision, if any.
    ///
    /// # Errors
    /// Whatever `decide` says; as [`Table::get`] and [`Txn::put`].
    pub fn update<E: From<StoreError>>(
        &self,
        txn: &mut Txn<'_>,
        parts: &[&str],
        decide: impl FnOnce(Option<T>) -> Result<Option<T>, E>,
    ) -> Result<Option<Revision>, E> {
        let key = self.key(parts)?;
        let present = txn.get(&key)?;
        let expires = present.as_ref().and_then(|record| record.value.expires);
        let row = present.map(|record| self.row(&key, &record)).transpose()?;
        let Some(next) = decide(row.map(|row| row.value))? else { return Ok(None) };
        let value = Value { expires, ..self.encode(&key, &next)? };
        Ok(Some(txn.put(&key, value, Expect::Any)?))
    }

    /// Removes a value. Nothing to remove is an error only for [`Expect::At`].
    ///
    /// # Errors
    /// As [`Txn::delete`].
    pub fn remove(&self, txn: &mut Txn<'_>, parts: &[&str], expect: Expect) -> Result<(), StoreError> {
        txn.delete(&self.key(parts)?, expect)
    }

    /// The value of a record of this table, as a watcher gets it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Schema`].
    pub fn decode(&self, key: &Key, value: &Value) -> Result<T, StoreError> {
        let corrupt = |reason: &str| StoreError::Corrupt { key: key.clone(), reason: reason.into() };
        match value.schema {
            found if found > self.schema => {
                Err(StoreError::Schema { key: key.clone(), found, known: self.schema })
            }
            found if found < self.schema => {
                (self.migrate)(found, &value.bytes).ok_or_else(|| corrupt(&format!("not of schema {found}")))
            }
            _ => match postcard::take_from_bytes(&value.bytes) {
                Ok((decoded, [])) => Ok(decoded),
                Ok(_) => Err(corrupt("it is longer than its value")),
                Err(error) => Err(corrupt(&error.to_string())),
            },
        }
    }

    fn row(&self, key: &Key, record: &Record) -> Result<Row<T>, StoreError> {
        Ok(Row { revision: record.revision, value: self.decode(key, &record.value)? })
    }

    fn encode(&self, key: &Key, value: &T) -> Result<Value, StoreError> {
        let bytes = postcard::to_stdvec(value)
            .map_err(|error| StoreError::Corrupt { key: key.clone(), reason: error.to_string().into() })?;
        Ok(Value::new(bytes).schema(self.schema))
    }
}
