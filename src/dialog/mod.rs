//! Dialogs (RFC 3261 §12): what both ends of a call leg know of each other, the requests we send
//! within one, and the common head of our answers.
//!
//! Nothing here sends, waits or decides about calls. A strict router at the head of a route set gets
//! what it expects (§12.2.1.1); our requests go to the peer's flow whatever the route set says.

mod reply_head;
mod state;

pub use reply_head::ReplyHead;
pub use state::{Dialog, DialogError, Hop};

use bytes::Bytes;

/// Copies texts, each made of pieces, into one allocation and returns them one by one.
fn pack<const N: usize>(texts: [&[&[u8]]; N]) -> [Bytes; N] {
    let length = texts.iter().flat_map(|pieces| pieces.iter()).map(|piece| piece.len()).sum();
    let mut all = Vec::with_capacity(length);
    let ends = texts.map(|pieces| {
        pieces.iter().for_each(|piece| all.extend_from_slice(piece));
        all.len()
    });
    let all = Bytes::from(all);
    let mut start = 0;
    ends.map(|end| {
        let text = all.slice(start..end);
        start = end;
        text
    })
}
