//! Start: the store is opened, its key found, and everything the shards must know is loaded.

use super::tables::{BANS, EXTENSIONS, STATIONS, TENANTS};
use super::{Services, unseal};
use crate::base::private::Secret;
use crate::base::rng::Rng;
use crate::base::time::{Now, Wall};
use crate::digest::Ha1;
use crate::directory::sign_in::Guard;
use crate::directory::{Directory, ExtensionRecord, Suspect};
use crate::store::journal::{Journal, Replayed};
use crate::store::key_file::{KeyFile, KeyFileError};
use crate::store::seal::{SealError, Sealer};
use crate::store::system::{self, System, SystemError};
use crate::store::{Key, Options, Prefix, Record, Store, StoreError, StoreUrl, Table, View};
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a binding lives on whose stored expiry passed while we were down, or is about to: its last
/// refresh may be what a crash lost, and its phone believes itself registered. If it had passed, the
/// phone is asked, and the grace ends at once if it does not answer.
pub const RESTART_GRACE: Duration = Duration::from_secs(600);

/// Records read at a time.
const PAGE: usize = 1_000;

/// What [`open`] must know.
pub struct Opening<'a> {
    /// Which store.
    pub url: &'a StoreUrl,
    /// How it is opened.
    pub options: Options,
    /// Tells by which time records expire.
    pub clock: Arc<dyn Fn() -> Wall + Send + Sync>,
    /// Where its key is; not asked for by a store in memory.
    pub key_file: KeyFile,
    /// The configured realm.
    pub realm: &'a str,
    /// The longest binding granted.
    pub expires_max: Duration,
    /// When it is opened.
    pub now: Now,
    /// Chance.
    pub rng: Rng,
}

/// Why the services cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store cannot be opened or read: exit 1.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its key is not to be had: exit 78.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// Realm or key are not those of the store: exit 78.
    #[error(transparent)]
    System(#[from] SystemError),
    /// Credentials do not open.
    #[error("the credentials of {login}: {error}")]
    Seal {
        /// Whose.
        login: String,
        /// Why.
        error: SealError,
    },
}

impl OpenError {
    /// Whether the configuration is at fault.
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        matches!(self, Self::KeyFile(_) | Self::System(SystemError::Realm { .. } | SystemError::Key { .. }))
    }
}

/// What was opened.
pub struct Opened {
    /// The services.
    pub services: Services,
    /// What the journal held.
    pub replayed: Replayed,
    /// Bindings that had expired and may live, to be probed ([`crate::core::Core::probe`]).
    pub suspects: Vec<Suspect>,
}

/// As [`start`], for who rings no phones.
///
/// # Errors
/// As [`start`].
pub fn open(opening: Opening<'_>) -> Result<(Services, Replayed), OpenError> {
    start(opening).map(|opened| (opened.services, opened.replayed))
}

/// Opens the store and loads the directory. Blocks.
///
/// # Errors
/// [`OpenError`]; the store's files are then as they were.
pub fn start(opening: Opening<'_>) -> Result<Opened, OpenError> {
    let Opening { url, options, clock, key_file, realm, expires_max, now, mut rng } = opening;
    let store = Store::open(url, clock, options)?;
    let held = credentials(&store.view())?;
    let sealer = match url {
        StoreUrl::Memory => {
            let mut key = [0; 32];
            rng.fill(&mut key);
            Sealer::new(&Secret::new(key))
        }
        StoreUrl::Sled(_) => {
            let noted = System::read(&store.view())?.map(|system| system.key);
            let wanted = noted.filter(|_| held == system::Credentials::Some);
            key_file.sealer(wanted, &mut rng)?
        }
    };
    let (noted_realm, noted_sealer, mut noted_rng) = (realm.to_owned(), sealer.clone(), rng.split());
    store.run_blocking(move |txn| System::confirm(txn, &noted_realm, &noted_sealer, held, &mut noted_rng))?;
    let seeds = [rng.bits(), rng.bits(), rng.bits(), rng.bits()];
    let directory = Directory::new(seeds, Guard::new(Ha1::decoy(&mut rng), seeds));
    load(&store.view(), &sealer, &directory, now)?;
    let (journal, replayed) = Journal::open(&store.view(), |refresh| {
        directory.with(&refresh.login, |entry| entry.replay(&refresh));
    })?;
    let suspects = directory.grant_grace(now.wall, expires_max, RESTART_GRACE);
    let services = Services {
        store,
        directory: Arc::new(directory),
        sealer: Arc::new(sealer),
        realm: realm.into(),
        journal,
        rng: Arc::new(Mutex::new(rng)),
    };
    services.mind_doubts();
    Ok(Opened { services, replayed, suspects })
}

/// Whether any extension or station has credentials.
fn credentials(view: &View<'_>) -> Result<system::Credentials, StoreError> {
    for table in [EXTENSIONS, STATIONS] {
        let mut after: Option<Key> = None;
        loop {
            let page = table.scan(view, &[], after.as_ref(), PAGE)?;
            if page.iter().any(|(_, row)| row.value.credentials.is_some()) {
                return Ok(system::Credentials::Some);
            }
            match page.into_iter().next_back() {
                Some((key, _)) => after = Some(key),
                None => break,
            }
        }
    }
    Ok(system::Credentials::None)
}

/// Loads tenants, extensions, stations and bans into the directory. Blocks.
///
/// # Errors
/// [`OpenError::Store`], [`OpenError::Seal`].
pub fn load(view: &View<'_>, sealer: &Sealer, directory: &Directory, now: Now) -> Result<(), OpenError> {
    let mut after: Option<Key> = None;
    loop {
        let page = TENANTS.scan(view, &[], after.as_ref(), PAGE)?;
        after = page.last().map(|(key, _)| key.clone());
        page.into_iter().for_each(|(_, row)| drop(directory.put_tenant(row.value)));
        if after.is_none() {
            break;
        }
    }
    for table in [EXTENSIONS, STATIONS] {
        load_entries(table, view, sealer, directory, now)?;
    }
    loop {
        let page = BANS.scan(view, &[], after.as_ref(), PAGE)?;
        after = page.last().map(|(key, _)| key.clone());
        page.into_iter().for_each(|(_, row)| directory.put_ban(row.value, now));
        if after.is_none() {
            return Ok(());
        }
    }
}

/// Loads a table of extensions or stations: this thread reads pages, others decode and unseal them, which
/// is most of the work.
fn load_entries(
    table: Table<ExtensionRecord>,
    view: &View<'_>,
    sealer: &Sealer,
    directory: &Directory,
    now: Now,
) -> Result<(), OpenError> {
    let put = |(key, record): (Key, Record)| {
        let record = table.decode(&key, &record.value)?;
        let credentials = unseal(sealer, &record)
            .map_err(|error| OpenError::Seal { login: record.login.to_string(), error })?;
        directory.restore_person(&record, now);
        directory.put(record, credentials, now);
        Ok::<(), OpenError>(())
    };
    let all = table.prefix(&[])?;
    // One core reads. More threads than cores would only wait for each other: they share one heap.
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let loaders = cores.saturating_sub(1).max(1);
    let (pages, received) = mpsc::sync_channel::<Vec<(Key, Record)>>(loaders);
    let received = Arc::new(Mutex::new(received));
    std::thread::scope(|scope| {
        let loading: Vec<_> = (0..loaders)
            .map(|_| {
                let received = Arc::clone(&received);
                let next = move || received.lock().unwrap_or_else(PoisonError::into_inner).recv().ok();
                scope.spawn(move || std::iter::from_fn(next).flatten().try_for_each(put))
            })
            .collect();
        drop(received); // so that no page is sent once no loader is left
        let read = send_pages(view, &all, pages);
        loading
            .into_iter()
            .try_for_each(|loader| loader.join().unwrap_or_else(|panic| resume_unwind(panic)))?;
        read
    })
}

/// Sends all records whose keys begin so, page by page, until nobody takes them.
fn send_pages(
    view: &View<'_>,
    prefix: &Prefix,
    pages: mpsc::SyncSender<Vec<(Key, Record)>>,
) -> Result<(), OpenError> {
    let mut after: Option<Key> = None;
    loop {
        let page = view.scan(prefix, after.as_ref(), PAGE)?;
        after = page.last().map(|(key, _)| key.clone());
        if after.is_none() || pages.send(page).is_err() {
            return Ok(());
        }
    }
}
