//! A command without a server: it opens the store itself, as the store's owner only.

use super::client::Tried;
use crate::config::Config;
use crate::service::admin::{Refusal, Request};
use crate::store::StoreUrl;

/// Executes a request on the store directly.
pub(super) fn execute(config: &Config, _request: &Request) -> Tried {
    match &config.store.url {
        StoreUrl::Memory => {
            Ok(Err(Refusal::Store("no server runs, and the store is in the memory of one".into())))
        }
        StoreUrl::Sled(_) => Ok(Err(Refusal::Store("no server runs".into()))),
    }
}
