//! Calls: the back-to-back user agent (RFC 3261 §6, §13–§15; RFC 7092 "signaling-only").
//!
//! A call has a *near* leg, to who called us, and a *branch* to each phone that is rung; the branch
//! that answers first becomes the *far* leg. Each leg is a dialog of its own, with Call-ID, tags,
//! Via and Contact of ours: neither side sees anything of the other but what `carry` lists.
//! Session descriptions pass untouched, so media flows directly.
//!
//! | state | what happens | next | what is done |
//! | --- | --- | --- | --- |
//! | Ringing | nothing was told for 200 ms | Ringing | 100 to the caller |
//! | Ringing | a branch: 1xx | Ringing | relayed under the one To tag of ours |
//! | Ringing | a branch: 2xx | Talking | 2xx to the caller, repeated until its ACK; ACK to the branch (late offer: when the caller's comes); the other branches cancelled |
//! | Ringing | a branch: 3xx–5xx, silence, broken | Ringing | noted; the last one: the best answer to the caller, Ended |
//! | Ringing | a branch: 408, 430, silence, broken; the phone has another flow | Ringing | a branch over that flow |
//! | Ringing | a branch: 6xx | Ended | 6xx to the caller; the other branches cancelled |
//! | Ringing | caller: CANCEL or BYE | Ended | 200, and 487 to the INVITE; the branches cancelled |
//! | Ringing | nobody answers in time | Ended | 480; the branches cancelled |
//! | Talking | caller: ACK | Talking | the 2xx is no longer repeated |
//! | Talking | no ACK for 64 × T1 | Ended | BYE to both |
//! | Talking | re-INVITE from either | Talking | passed through with its answers and ACK; while one is under way: 491, or 500 to a second of the same side |
//! | Talking | INFO from either | Talking | passed through |
//! | Talking | either answers 408 or 481 to what was passed to it, or not at all | Ended | 481 to who sent it, or 487 to a re-INVITE; BYE to both |
//! | Talking | BYE from either | Ended | 200; BYE to the other, to a caller that has not acknowledged yet once it has |
//! | Ended | a branch that is being cancelled: 2xx | Ended | ACK and BYE |
//! | Ended | BYE | Ended | 200 |
//! | Ended | both legs have answered their BYE, all branches have ended | gone | |
//! | any | CSeq not above the last | same | 500 |
//! | any | something required | same | 420 |
//! | any | OPTIONS in dialog | same | 200 |
//! | any | any other method in dialog | same | 405 |
//!
//! A branch is cancelled once it has answered provisionally (§9.1); until then the wish is kept.
//! Not carried, so neither offered nor accepted: reliable provisional answers, UPDATE, REFER,
//! session timers, redirection by phones. Calls that end at the server itself are `inside`'s.

mod calls;
mod carry;
mod desk;
mod ending;
mod far;
mod inside;
mod midcall;
mod near;
mod record;
mod setup;
mod state;
mod verdict;

#[cfg(test)]
mod tests;

pub use calls::Calls;
pub use desk::{
    CallRef, Counts, Device, LegRef, LegView, Output, Received, Refused, Settings, Whereabouts, same_peer,
};
pub use inside::{Hosted, Inside};
pub use record::{CallRecord, Candidate, End, Outcome};
pub use setup::{InviteAccepted, Party, Target};
pub use state::Side;
