//! Administration: what the command line asks, what it is answered, and what is done in between.
//!
//! A [`Request`] is data, and so is what comes of it; both cross the admin socket as one line of
//! JSON. With no server running the same request is executed by the command itself.

mod refusal;
mod request;
mod view;

pub use refusal::{Refusal, RowFault};
pub use request::{Expect, NewPassword, Password, Peer, Request, TenantSettings};
pub use view::{BindingView, DeviceView, ExtensionView, LockView, Response, Row, TenantView};
