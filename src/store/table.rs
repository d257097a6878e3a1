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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Backend;
    use crate::store::memory::Memory;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    struct Person {
        name: String,
        age: u8,
    }

    const NAMESPACE: Namespace = Namespace::new("person");
    const NAMES: Table<String> = Table::new(NAMESPACE, 1);
    const PEOPLE: Table<Person> = Table::new(NAMESPACE, 2).migrating(|schema, bytes| match schema {
        1 => Some(Person { name: postcard::from_bytes(bytes).ok()?, age: 0 }),
        _ => None,
    });

    fn on<T>(memory: &Memory, job: impl FnOnce(&mut Txn<'_>) -> T) -> T {
        job(&mut Txn::new(memory, Wall::from_secs(10), &mut Vec::new()))
    }

    fn ann(age: u8) -> Person {
        Person { name: "Ann".to_owned(), age }
    }

    #[test]
    fn insert_get_update_scan_remove() {
        on(&Memory::new(), |txn| {
            assert_eq!(PEOPLE.get(txn, &["acme", "1"]), Ok(None));
            let revision = PEOPLE.insert(txn, &["acme", "1"], &ann(1)).unwrap();
            assert_eq!(PEOPLE.insert(txn, &["acme", "1"], &ann(2)), Err(StoreError::Conflict));
            assert_eq!(PEOPLE.get(txn, &["acme", "1"]), Ok(Some(Row { revision, value: ann(1) })));
            let older =
                |age| move |ann: Option<Person>| Ok::<_, StoreError>(ann.map(|it| Person { age, ..it }));
            let newer = PEOPLE.update(txn, &["acme", "1"], older(7)).unwrap();
            assert!(newer > Some(revision));
            assert_eq!(PEOPLE.update(txn, &["acme", "2"], older(7)), Ok(None));
            PEOPLE.insert(txn, &["acme", "0"], &ann(0)).unwrap();
            PEOPLE.insert(txn, &["other", "0"], &ann(9)).unwrap();
            let ages =
                |page: Vec<(Key, Row<Person>)>| page.iter().map(|(_, row)| row.value.age).collect::<Vec<_>>();
            let page = PEOPLE.scan(txn, &["acme"], None, 9).unwrap();
            let first = page[0].0.clone();
            assert_eq!(ages(page), [0, 7]);
            assert_eq!(ages(PEOPLE.scan(txn, &["acme"], Some(&first), 9).unwrap()), [7]);
            assert_eq!(ages(PEOPLE.scan(txn, &[], None, 9).unwrap()), [0, 7, 9]);
            PEOPLE.remove(txn, &["acme", "1"], Expect::At(newer.unwrap())).unwrap();
            assert_eq!(PEOPLE.get(txn, &["acme", "1"]), Ok(None));
        });
    }

    #[test]
    fn an_older_schema_is_migrated_and_a_newer_one_refused() {
        on(&Memory::new(), |txn| {
            NAMES.insert(txn, &["1"], &"Ann".to_owned()).unwrap();
            assert_eq!(PEOPLE.get(txn, &["1"]).unwrap().unwrap().value, ann(0));
            PEOPLE.update(txn, &["1"], Ok::<_, StoreError>).unwrap();
            let key = PEOPLE.key(&["1"]).unwrap();
            assert_eq!(
                NAMES.get(txn, &["1"]),
                Err(StoreError::Schema { key: key.clone(), found: 2, known: 1 })
            );
            txn.put(&key, Value::new("x").schema(0), Expect::Any).unwrap();
            assert!(matches!(PEOPLE.get(txn, &["1"]), Err(StoreError::Corrupt { .. })));
        });
    }

    #[test]
    fn what_is_cut_or_too_long_is_corrupt() {
        let memory = Memory::new();
        let sealed = on(&memory, |txn| {
            PEOPLE.insert(txn, &["1"], &ann(1)).unwrap();
            txn.get(&PEOPLE.key(&["1"]).unwrap()).unwrap().unwrap().value.bytes
        });
        let key = PEOPLE.key(&["1"]).unwrap();
        for bytes in
            [sealed.slice(1..), sealed.slice(..sealed.len() - 1), [&sealed[..], b"x"].concat().into()]
        {
            on(&memory, |txn| {
                txn.put(&key, Value::new(bytes).schema(2), Expect::Any).unwrap();
                assert!(matches!(PEOPLE.get(txn, &["1"]), Err(StoreError::Corrupt { .. })));
            });
        }
        memory.stage_put(&key, b"", Expect::Any).unwrap();
        on(&memory, |txn| assert!(matches!(PEOPLE.get(txn, &["1"]), Err(StoreError::Corrupt { .. }))));
    }

    #[test]
    fn an_update_keeps_the_end() {
        on(&Memory::new(), |txn| {
            let end = Some(Wall::from_secs(99));
            PEOPLE.put(txn, &["1"], &ann(1), end, Expect::Absent).unwrap();
            PEOPLE.update(txn, &["1"], Ok::<_, StoreError>).unwrap();
            assert_eq!(txn.get(&PEOPLE.key(&["1"]).unwrap()).unwrap().unwrap().value.expires, end);
        });
    }
}
