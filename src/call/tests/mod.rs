//! Scripted phones against the calls, in virtual time, with a line reader of their own.
//!
//! | file | what |
//! | --- | --- |
//! | `wire` | messages as lines, read and written without the server's parser |
//! | `world` | the calls, a clock, mailboxes by address, and the little of the core that is needed |
//! | `basics`, `forks`, `inside`, `midcall`, `endings`, `borders` | call flows that read like captures |
//! | `streams` | requests over connections that are opened for them, and connections that are gone |
//! | `robot`, `storm` | phones that act by themselves, over a network that loses, doubles and reorders |

mod basics;
mod borders;
mod endings;
mod flows;
mod forks;
mod inside;
mod midcall;
mod robot;
mod storm;
mod streams;
mod wire;
mod world;
