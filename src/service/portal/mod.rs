//! What people do by themselves.
//!
//! | flow | where |
//! |------|-------|
//! | a forgotten password: who asks for a link | [`forgot`] |
//! | the link is used | [`reset`] |
//! | the PIN of phone access | [`pin`] |
//! | the security question | [`question`] |

pub mod forgot;
pub mod pin;
pub mod question;
pub mod reset;
