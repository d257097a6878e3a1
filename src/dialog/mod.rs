//! Dialogs (RFC 3261 §12): what both ends of a call leg know of each other, the requests we send
//! within one, and the common head of our answers.
//!
//! Nothing here sends, waits or decides about calls. A strict router at the head of a route set gets
//! what it expects (§12.2.1.1); our requests go to the peer's flow whatever the route set says.

mod reply_head;
mod state;

pub use reply_head::ReplyHead;
pub use state::{Dialog, DialogError, Hop};

use smallvec::SmallVec;
use std::sync::Arc;

/// Texts in one block of memory, which clones share.
#[derive(Clone, Debug)]
struct Texts<const N: usize> {
    all: Arc<[u8]>,
    ends: [u32; N],
}

impl<const N: usize> Texts<N> {
    /// Copies texts, each made of pieces.
    fn of(texts: [&[&[u8]]; N]) -> Self {
        let mut all: SmallVec<[u8; 512]> = SmallVec::new();
        let ends = texts.map(|pieces| {
            pieces.iter().for_each(|piece| all.extend_from_slice(piece));
            u32::try_from(all.len()).unwrap_or(u32::MAX) // a message is much shorter
        });
        Self { all: all.as_slice().into(), ends }
    }

    /// Each of them.
    fn each(&self) -> [&[u8]; N] {
        let mut start = 0;
        self.ends.map(|end| {
            let text = self.all.get(start..end as usize).unwrap_or_default();
            start = end as usize;
            text
        })
    }
}
