//! Answers that are kept by idempotency key: asked again under the same key, the same is answered and
//! nothing is done.
//!
//! | asked again | answer |
//! |-------------|--------|
//! | the same, within 24 hours | what was answered |
//! | something else under the same key | refused |
//! | what was refused the first time | judged anew: nothing had been done |
//!
//! The answer is written by the job that makes the change, after it. A crash between the two:
//!
//! | what was asked to change | asked again after the crash |
//! |--------------------------|-----------------------------|
//! | an extension, a station or a tenant | the answer: it stands in the record too, in the change's own write ([`Answered`]); a generated secret is the same |
//! | something is removed | it is not there (404) |
//! | a key of an operator | the key of that name gets another secret; nobody was told the former |
//! | the key of the secrets | there is another one |
//!
//! The edit after it moves what stands in the record here, before it takes its place.

use super::Refusal;
use super::scope::{Answer, Mark};
use crate::account::Answered;
use crate::base::limit::{ONCE_KEPT, ONCE_MAX, ONCE_PER_CALLER_MAX};
use crate::base::rng::Rng;
use crate::base::time::Wall;
use crate::service::Services;
use crate::service::tables::ONCE;
use crate::store::seal::{SealError, Sealer};
use crate::store::{Expect, StoreError, Txn, View};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// An answer as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sealed {
    /// When it was given.
    at: Wall,
    /// A keyed hash of what was asked.
    request: [u8; 32],
    /// The answer, which may hold a password.
    answer: Vec<u8>,
}

impl Sealed {
    pub(super) fn new(services: &Services, mark: &Mark, answer: &Answer, now: Wall) -> Self {
        let mut text = serde_json::to_vec(answer).unwrap_or_default();
        let mut rng = services.random();
        let sealed = services.sealer.seal(&mut rng, &seal_id(mark), &text);
        zeroize::Zeroize::zeroize(&mut text);
        Self { at: now, request: mark.request, answer: sealed }
    }

    /// As it stands in the record of what was changed.
    pub(super) fn of(self, mark: &Mark) -> Answered {
        let Self { at, request, answer } = self;
        Answered { account: mark.account.as_str().into(), key: mark.key, at, request, sealed: answer }
    }

    /// The answer.
    ///
    /// # Errors
    /// [`Refusal::OtherRequest`] if something else was asked; [`Refusal::Store`] if it does not open.
    pub(super) fn open(&self, services: &Services, mark: &Mark) -> Result<Answer, Refusal> {
        if self.request != mark.request {
            return Err(Refusal::OtherRequest);
        }
        let opened = services.sealer.open(&seal_id(mark), &self.answer);
        let answer = opened.ok().and_then(|text| serde_json::from_slice(text.expose()).ok());
        answer.ok_or_else(|| Refusal::Store("what was answered before cannot be read".into()))
    }

    /// Seals it anew if it is sealed with a former key; `account` and `key` are the parts of its key.
    ///
    /// # Errors
    /// As [`Sealer::renew`].
    pub(in crate::service) fn renew(
        &mut self,
        sealer: &Sealer,
        rng: &mut Rng,
        [account, key]: [&str; 2],
    ) -> Result<bool, SealError> {
        sealer.renew(rng, &id_of(account, key), &mut self.answer)
    }
}

impl From<Answered> for Sealed {
    fn from(answered: Answered) -> Self {
        Self { at: answered.at, request: answered.request, answer: answered.sealed }
    }
}

fn seal_id(mark: &Mark) -> Vec<u8> {
    id_of(&mark.account, &hex(&mark.key))
}

/// What the seal of an answer that stands in a record is bound to.
pub(in crate::service) fn seal_id_of(answered: &Answered) -> Vec<u8> {
    id_of(&answered.account, &hex(&answered.key))
}

fn id_of(account: &str, key: &str) -> Vec<u8> {
    format!("once/{account}/{key}").into_bytes()
}

/// Which answers are kept, in the order in which they were given; it bounds their number.
#[derive(Default)]
pub(super) struct Once {
    /// None until they were first asked for.
    kept: Mutex<Option<Kept>>,
    dropped: Option<metrics::Counter>,
}

#[derive(Default)]
struct Kept {
    /// Accounts and their keys, each once.
    order: VecDeque<(String, String)>,
    of: HashMap<String, HashSet<String>>,
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}

impl Once {
    /// With its counter of answers that went before their time.
    pub(super) fn new() -> Self {
        let dropped = metrics::counter!("stationmaster_shed_total", "why" => "idempotency_keys_full");
        Self { kept: Mutex::default(), dropped: Some(dropped) }
    }

    /// What was answered under this key.
    ///
    /// # Errors
    /// [`Refusal::OtherRequest`]; as [`View::get`].
    pub(super) fn find(services: &Services, view: &View<'_>, mark: &Mark) -> Result<Option<Answer>, Refusal> {
        let Some(row) = ONCE.get(view, &[&mark.account, &hex(&mark.key)])? else { return Ok(None) };
        row.value.open(services, mark).map(Some)
    }

    /// Keeps an answer that stood in a record, if a crash kept it from being kept, and it still counts.
    ///
    /// # Errors
    /// As [`Txn::put`].
    pub(super) fn settle(&self, txn: &mut Txn<'_>, answered: Answered) -> Result<(), Refusal> {
        let (account, key) = (answered.account.to_string(), answered.key);
        let ended = answered.at + ONCE_KEPT <= txn.now();
        if ended || ONCE.get(txn, &[&account, &hex(&key)])?.is_some() {
            return Ok(());
        }
        let mark = Mark { account, key, request: answered.request };
        self.keep(txn, &mark, &answered.into())
    }

    /// Keeps an answer; past the bounds the oldest goes.
    ///
    /// # Errors
    /// As [`Txn::put`].
    pub(super) fn keep(&self, txn: &mut Txn<'_>, mark: &Mark, sealed: &Sealed) -> Result<(), Refusal> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = match &mut *kept {
            Some(kept) => kept,
            none => none.insert(Kept::load(txn)?),
        };
        let key = hex(&mark.key);
        // A key that is used again after its time has another place than it had.
        kept.remove(&mark.account, &key);
        while let Some((account, old)) = kept.one_too_many(&mark.account) {
            let present = ONCE.get(txn, &[&account, &old])?.is_some();
            ONCE.remove(txn, &[&account, &old], Expect::Any)?;
            if let Some(dropped) = self.dropped.as_ref().filter(|_| present) {
                dropped.increment(1);
            }
        }
        let until = Some(sealed.at + ONCE_KEPT);
        ONCE.put(txn, &[&mark.account, &key], sealed, until, Expect::Any)?;
        kept.add(mark.account.clone(), key);
        Ok(())
    }
}

impl Kept {
    /// All that the store has, in the order in which they were given.
    fn load(view: &View<'_>) -> Result<Self, StoreError> {
        let mut rows: Vec<(Wall, String, String)> = ONCE
            .scan(view, &[], None, 2 * ONCE_MAX)?
            .into_iter()
            .filter_map(|(key, row)| match key.parts()?.as_slice() {
                [account, key] => Some((row.value.at, account.clone(), key.clone())),
                _ => None,
            })
            .collect();
        rows.sort();
        let mut kept = Self::default();
        rows.into_iter().for_each(|(_, account, key)| kept.add(account, key));
        Ok(kept)
    }

    fn add(&mut self, account: String, key: String) {
        self.of.entry(account.clone()).or_default().insert(key.clone());
        self.order.push_back((account, key));
    }

    /// Takes out a key, if it is there: most likely it came last.
    fn remove(&mut self, account: &str, key: &str) {
        if !self.of.get(account).is_some_and(|keys| keys.contains(key)) {
            return;
        }
        let at = self.order.iter().rposition(|(whose, other)| whose == account && other == key);
        if let Some(at) = at {
            self.take_out(at);
        }
    }

    fn take_out(&mut self, at: usize) -> Option<(String, String)> {
        let (account, key) = self.order.remove(at)?;
        if let Some(keys) = self.of.get_mut(&account) {
            keys.remove(&key);
            if keys.is_empty() {
                self.of.remove(&account);
            }
        }
        Some((account, key))
    }

    /// Takes out the one that must go before another of this account has room. One that ended by
    /// itself is still counted, and goes like the others.
    fn one_too_many(&mut self, account: &str) -> Option<(String, String)> {
        let own = self.of.get(account).map_or(0, HashSet::len) >= ONCE_PER_CALLER_MAX;
        let at = match own {
            true => self.order.iter().position(|(whose, _)| whose == account)?,
            false if self.order.len() >= ONCE_MAX => 0,
            false => return None,
        };
        self.take_out(at)
    }
}

fn hex(hash: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    hash.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(accounts: usize, each: usize) -> Kept {
        let mut kept = Kept::default();
        for key in 0..each {
            (0..accounts).for_each(|account| kept.add(format!("a{account}"), key.to_string()));
        }
        kept
    }

    #[test]
    fn as_many_of_one_caller_as_may_and_one_more() {
        let mut kept = kept(1, ONCE_PER_CALLER_MAX - 1);
        assert_eq!(kept.one_too_many("a0"), None);
        kept.add("a0".into(), "last".into());
        assert_eq!(kept.one_too_many("a1"), None, "another's");
        assert_eq!(kept.one_too_many("a0"), Some(("a0".into(), "0".into())));
        assert_eq!(kept.one_too_many("a0"), None);
    }

    #[test]
    fn as_many_of_all_as_may_and_one_more() {
        let accounts = 2 * ONCE_MAX / ONCE_PER_CALLER_MAX;
        let mut kept = kept(accounts, ONCE_MAX / accounts);
        assert_eq!(kept.order.len(), ONCE_MAX);
        assert_eq!(kept.one_too_many("new"), Some(("a0".into(), "0".into())));
        assert_eq!(kept.one_too_many("new"), None);
    }
}
