//! What only some bindings have: a Path, a flow of their own, a GRUU, a past.
//!
//! **Path** (RFC 3327) is kept as written and becomes the route set of requests to the binding. It
//! never says where they are sent: that is the flow of the REGISTER, so a Path can aim nothing at
//! anybody. It is taken from a source that is trusted, or from a phone that says `Supported: path`; else
//! the request is refused with 420, as §5.3 lets a registrar do, since a proxy has put itself in
//! the way of a phone that does not know of it.
//!
//! **Clones.** Two phones with one instance are one device for the licence, and each REGISTER of the
//! one moves the binding away from the other. They are told from one phone that moves or is started
//! anew by coming back: a REGISTER that continues the *previous* chain (its Call-ID, a higher
//! CSeq), from another address than the present one, while the present chain's binding lives. A
//! phone that moves never goes back to a chain it has left. A clone is told (event, audit, metric,
//! list of devices) and not refused: nobody is locked out over a copied configuration.

use super::{Asked, AskedContact, Binding};
use crate::base::time::Wall;
use crate::sip::text::List;
use serde::{Deserialize, Serialize};
use std::hash::Hasher;

/// What only some bindings have; nothing at first.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Extra {
    /// The values of Path in order, as written, with commas between; empty if there is none.
    pub path: Box<[u8]>,
    /// `+sip.instance` as written, of a phone that asked for a flow or a GRUU; else empty.
    pub instance: Box<[u8]>,
    /// When it was last heard, of a binding with `reg_id`; only memory keeps it up to date.
    pub heard: Wall,
    /// The chain that the present one took over from, while its binding lived.
    pub before: Option<Chain>,
    /// `reg-id` (RFC 5626 §4.2): the binding is that of this flow of its device. 0: none.
    pub reg_id: u32,
    /// The number of the first binding that was made in this Call-ID without a gap, whose temporary
    /// GRUUs hold for this one, too (RFC 5627 §5.3). 0: this one.
    pub born: u32,
    /// How often phones with one instance were seen to alternate.
    pub clones: u16,
    /// Whether the phone understands GRUUs.
    pub gruu: bool,
    /// Whether the flow is that of a proxy.
    pub by_proxy: bool,
}

/// A chain of REGISTERs: one Call-ID with a rising CSeq.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Chain {
    call_id: u64,
    cseq: u32,
}

impl Chain {
    /// The chain with this Call-ID, up to this CSeq.
    #[must_use]
    pub fn new(call_id: &[u8], cseq: u32) -> Self {
        Self { call_id: hash_of(call_id), cseq }
    }

    /// Whether a request goes on with it.
    #[must_use]
    pub fn is_continued_by(self, call_id: &[u8], cseq: u32) -> bool {
        cseq > self.cseq && hash_of(call_id) == self.call_id
    }
}

/// FNV-1a: the same in each process. Who finds a collision can call nothing but his own device a
/// clone.
pub(super) fn hash_of(call_id: &[u8]) -> u64 {
    struct Fnv(u64);
    impl Hasher for Fnv {
        fn finish(&self) -> u64 {
            self.0
        }
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
    }
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    hasher.write(call_id);
    hasher.finish()
}

impl Extra {
    /// What a new binding of this contact has; `None` if nothing.
    #[must_use]
    pub fn of(contact: &AskedContact<'_>, asked: &Asked<'_>, now: Wall) -> Option<Box<Self>> {
        if !wants_any(contact, asked) {
            return None;
        }
        Some(Box::new(Self {
            path: asked.path.join(&b", "[..]).into(),
            instance: told_instance(contact, asked).into(),
            heard: now,
            reg_id: contact.reg_id,
            gruu: asked.options.gruu,
            by_proxy: asked.by_proxy,
            ..Self::default()
        }))
    }

    /// Whether a binding has what a new one of this contact would have. Allocates nothing.
    #[must_use]
    pub fn is_kept_in(binding: &Binding, contact: &AskedContact<'_>, asked: &Asked<'_>) -> bool {
        let Some(extra) = binding.extra.as_deref() else { return !wants_any(contact, asked) };
        extra.reg_id == contact.reg_id
            && extra.by_proxy == asked.by_proxy
            && extra.gruu == (asked.options.gruu && wants_any(contact, asked))
            && *extra.instance == *told_instance(contact, asked)
            && extra.path_values().eq(asked.path.iter().copied())
    }

    /// The values of its Path.
    pub fn path_values(&self) -> impl Iterator<Item = &[u8]> {
        List::new(&self.path)
    }
}

fn wants_any(contact: &AskedContact<'_>, asked: &Asked<'_>) -> bool {
    contact.reg_id != 0 || asked.by_proxy || (asked.options.gruu && contact.instance.is_some())
}

/// The instance as far as it is told in answers.
fn told_instance<'a>(contact: &AskedContact<'a>, asked: &Asked<'_>) -> &'a [u8] {
    let told = contact.reg_id != 0 || asked.options.gruu;
    contact.instance.filter(|_| told).unwrap_or_default()
}
