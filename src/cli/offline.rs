//! A command without a server: it opens the store itself, as the store's owner only.
//!
//! Anybody else, root too, would leave files behind that the server cannot use.

use super::NotDone;
use super::client::{Elsewhere, Tried};
use crate::base::rng::Rng;
use crate::base::time::{Mono, Now, Wall};
use crate::config::Config;
use crate::service::admin::{Admin, Condition, Peer, Refusal, Request, Who};
use crate::service::open::{self, OpenError, Opening};
use crate::store::{Options, StoreError, StoreUrl};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Executes a request on the store directly.
pub(super) fn execute(config: &Config, request: &Request, only_if: &Condition) -> Tried {
    match &config.store.url {
        StoreUrl::Memory => {
            let reason = "no server runs, and its store would be in its memory (store.url is memory:)";
            return refused(reason);
        }
        StoreUrl::Sled(folder) => {
            if let Err(reason) = check_owner(folder) {
                return refused(reason);
            }
        }
    }
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let key_file = match config.key_file(credentials.as_deref()) {
        Ok(key_file) => key_file,
        Err(fault) => return Ok(Err(NotDone::BadConfig(format!("secrets.{}: {}", fault.key, fault.reason)))),
    };
    let mut seed = [0; 32];
    if let Err(error) = getrandom::fill(&mut seed) {
        return refused(error);
    }
    let opened = open::open(Opening {
        url: &config.store.url,
        options: Options {
            cache_bytes: u64::from(config.store.cache_mib) << 20,
            patience: Duration::ZERO,
            ..Options::default()
        },
        clock: Arc::new(wall),
        key_file,
        realm: &config.sip.realm,
        expires_max: config.registrar.expires_max,
        now: Now { mono: Mono::default(), wall: wall() },
        rng: Rng::from_seed(seed),
    });
    match opened {
        Ok((services, _)) => {
            let store = services.store.clone();
            let result = run(Admin::new(services, config.defaults()), request, only_if);
            store.close();
            result
        }
        Err(OpenError::Store(error @ StoreError::Locked { .. })) => Err(Elsewhere(error.to_string())),
        Err(error) if error.is_configuration() => Ok(Err(NotDone::BadConfig(error.to_string()))),
        Err(error) => refused(error),
    }
}

fn run(admin: Admin, request: &Request, only_if: &Condition) -> Tried {
    let peer = Peer { uid: rustix::process::geteuid().as_raw(), pid: None };
    let runtime = match tokio::runtime::Builder::new_current_thread().build() {
        Ok(runtime) => runtime,
        Err(error) => return refused(error),
    };
    let done = runtime.block_on(async {
        let done = admin.answer(request.clone(), Who::Peer(peer), only_if.clone()).await?;
        if matches!(request, Request::SecretsRotate) {
            admin.finish_rotation().await?;
        }
        Ok(done)
    });
    Ok(done.map_err(NotDone::Refused))
}

/// Whether this process may use a store in this folder: it owns it, or will have made it.
fn check_owner(folder: &Path) -> Result<(), String> {
    let uid = rustix::process::geteuid().as_raw();
    match std::fs::metadata(folder) {
        Ok(found) if found.uid() == uid => Ok(()),
        Ok(found) => Err(format!(
            "no server runs, and the store {} belongs to user {}: only its owner may use it without one \
             (this is user {uid})",
            folder.display(),
            found.uid()
        )),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("no server runs, and the store {}: {error}", folder.display())),
    }
}

fn refused(reason: impl ToString) -> Tried {
    Ok(Err(NotDone::Refused(Refusal::Store(reason.to_string()))))
}

fn wall() -> Wall {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Wall::default() + since
}
