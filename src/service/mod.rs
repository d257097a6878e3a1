//! The slow half, by use case: what must wait for the store.

pub mod admin;
pub mod commit;
pub mod tables;
