//! Refreshes as the journal keeps them: one after another in postcard, in records of about
//! [`JOURNAL_RECORD_BYTES`].
//!
//! They are packed by whoever gathers them, on its own thread: what crosses threads is a few buffers,
//! not a heap block for each name.

use super::limit::JOURNAL_RECORD_BYTES;
use crate::base::time::Wall;
use crate::registrar::{Binding, Refresh};
use serde::Serialize;
use std::net::SocketAddr;

/// Refreshes in their order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Packed {
    /// All but the last have reached their size.
    records: Vec<Vec<u8>>,
    len: usize,
}

/// A [`Refresh`] in the making, of the same form.
#[derive(Serialize)]
struct Present<'a> {
    login: &'a str,
    number: u32,
    turn: u32,
    call_id: Option<&'a [u8]>,
    expires: Wall,
    cseq: u32,
    remote: SocketAddr,
}

impl Packed {
    /// Adds one.
    pub fn add(&mut self, refresh: &Refresh) {
        self.write(refresh);
    }

    /// Adds a binding as it stands.
    pub fn add_binding(&mut self, login: &str, binding: &Binding) {
        let Binding { number, turn, ref call_id, expires, cseq, remote, .. } = *binding;
        self.write(&Present { login, number, turn, call_id: Some(call_id), expires, cseq, remote });
    }

    /// Adds those of another after these.
    pub fn append(&mut self, mut other: Self) {
        self.records.append(&mut other.records);
        self.len += other.len;
    }

    /// How many refreshes there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads all of them, in order.
    pub fn each(&self, mut see: impl FnMut(Refresh)) {
        for record in &self.records {
            unpack(record, &mut see);
        }
    }

    pub(super) fn records(&self) -> &[Vec<u8>] {
        &self.records
    }

    fn write(&mut self, refresh: &impl Serialize) {
        if self.records.last().is_none_or(|record| record.len() >= JOURNAL_RECORD_BYTES) {
            self.records.push(Vec::with_capacity(JOURNAL_RECORD_BYTES + JOURNAL_RECORD_BYTES / 4));
        }
        let Some(record) = self.records.last_mut() else { return };
        let before = record.len();
        match postcard::to_io(refresh, &mut *record) {
            Ok(_) => self.len += 1,
            // Nothing that a refresh is made of can fail to be written.
            Err(_) => record.truncate(before),
        }
    }
}

impl<'a> FromIterator<&'a Refresh> for Packed {
    fn from_iter<T: IntoIterator<Item = &'a Refresh>>(refreshes: T) -> Self {
        let mut packed = Self::default();
        refreshes.into_iter().for_each(|refresh| packed.add(refresh));
        packed
    }
}

/// The refreshes of a record; false if it ends in something else.
pub(super) fn unpack(mut bytes: &[u8], mut apply: impl FnMut(Refresh)) -> bool {
    while !bytes.is_empty() {
        match postcard::take_from_bytes(bytes) {
            Ok((refresh, rest)) => {
                bytes = rest;
                apply(refresh);
            }
            Err(_) => return false,
        }
    }
    true
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A refresh of binding `number` of `201-acme`.
    pub(crate) fn refresh(number: u32, cseq: u32) -> Refresh {
        Refresh {
            login: "201-acme".into(),
            number,
            turn: cseq,
            call_id: None,
            expires: Wall::from_secs(cseq.into()),
            cseq,
            remote: ([192, 0, 2, 7], 5060).into(),
        }
    }

    #[test]
    fn a_binding_has_the_form_of_a_refresh() {
        let refresh = Refresh { call_id: Some(b"a@b"[..].into()), ..refresh(7, 9) };
        let present = Present {
            login: &refresh.login,
            number: refresh.number,
            turn: refresh.turn,
            call_id: refresh.call_id.as_deref(),
            expires: refresh.expires,
            cseq: refresh.cseq,
            remote: refresh.remote,
        };
        assert_eq!(postcard::to_stdvec(&present), postcard::to_stdvec(&refresh));
    }

    #[test]
    fn records_have_their_size_and_all_comes_back_in_order() {
        let all: Vec<_> = (0..2_000).map(|number| refresh(number, 1)).collect();
        let (mut packed, rest) = (all[..1_500].iter().collect::<Packed>(), all[1_500..].iter().collect());
        packed.append(rest);
        assert_eq!((packed.len(), packed.is_empty()), (2_000, false));
        assert!(packed.records().len() > 2);
        assert!(packed.records().iter().all(|record| record.len() < JOURNAL_RECORD_BYTES + 100));
        let mut found = Vec::new();
        packed.each(|refresh| found.push(refresh));
        assert_eq!(found, all);
        packed.add(&refresh(1, 2));
        assert_eq!(packed.len(), 2_001);
    }

    proptest! {
        #[test]
        fn a_record_cut_anywhere_gives_what_came_before(cut in 0..200_usize) {
            let refreshes: Vec<_> = (0..5).map(|n| refresh(n, n)).collect();
            let packed = refreshes.iter().collect::<Packed>().records().concat();
            let cut = cut.min(packed.len());
            let mut found = Vec::new();
            let whole = unpack(&packed[..cut], |refresh| found.push(refresh));
            prop_assert_eq!(&found[..], &refreshes[..found.len()]);
            prop_assert_eq!(whole, found.iter().collect::<Packed>().records().concat().len() == cut);
        }
    }
}
