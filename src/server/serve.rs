//! `serve`: the running program, from its first address to its last answer.
//!
//! Start: addresses, store, admin socket, SIP sockets, READY. Each step fails with the name of what
//! it could not have, and leaves nothing behind. Stop: no new work, calls may end, what was heard is
//! answered, what was gathered is written, the store closed.

use super::admin_socket::{AdminSocket, AdminSocketError, Execute};
use super::clock::Clock;
use super::drain::drain;
use super::driver::Effect;
use super::events::Events;
use super::metrics::{Metrics, UPKEEP_EVERY};
use super::pulse::Pulse;
use super::reload::Reload;
use super::signals::Signals;
use super::voice::{self, Voice};
use super::{Running, Seat, Server, Shell, StartError, events, harden, logging, notify, settings};
use crate::account::portal::Cost;
use crate::base::prefix::Prefix;
use crate::base::rng::Rng;
use crate::cli::{Exit, HangUp, OnReady, Serving};
use crate::config::{Config, ConfigErrors, Fault};
use crate::core::boundary::{Inbound, Output};
use crate::core::owners::Owners;
use crate::core::{Core, Meters, Settings, Shared};
use crate::digest::Nonces;
use crate::directory::Suspect;
use crate::http;
use crate::net::meters::NetMeters;
use crate::net::tls::Terms;
use crate::registrar::Gruus;
use crate::service::admin::{Admin, Answer, Condition, Peer, Refusal, Request, Who};
use crate::service::open::{self, OpenError, Opened, Opening};
use crate::service::outbox::Creditors;
use crate::service::portal::argon::Argon;
use crate::service::portal::{self, Desk, Texting};
use crate::service::refreshes::{self, Gathered};
use crate::service::{Services, commit, history, housekeeping, mailing, outbox, rotation, texting};
use crate::store;
use crate::task::{Stop, Stopper, Tasks};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Threads of the slow half.
const SLOW_THREADS: usize = 2;

/// How long tasks have to end.
const TASKS_PATIENCE: Duration = Duration::from_secs(5);

/// How long who has asked for a code by SMS waits to hear whether the gateway has taken it.
const TEXT_PATIENCE: Duration = Duration::from_secs(8);

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Addresses or threads.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The store, its key or its realm.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The configuration names a key that systemd did not pass.
    #[error("secrets.{}: {}", .0.key, .0.reason)]
    KeyFile(Fault),
    /// The texts of mails, or the way to the mail server.
    #[error("mail.{}: {}", .0.key, .0.reason)]
    Mail(Fault),
    /// The texts, the secret or the certificates for the SMS gateway.
    #[error("sms.{}: {}", .0.key, .0.reason)]
    Sms(Fault),
    /// The words of the phone menu.
    #[error("menu.{}: {}", .0.key, .0.reason)]
    Menu(Fault),
    /// The configuration names certificates or keys that cannot be used.
    #[error("{}", .0.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Tls(ConfigErrors),
    /// The admin socket.
    #[error(transparent)]
    Admin(#[from] AdminSocketError),
    /// An HTTP listener cannot be had.
    #[error("cannot listen on {address}: {error}")]
    Http {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// Anything else that the system would not give.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
}

impl ServeError {
    /// Whether the configuration is at fault (exit 78).
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        match self {
            Self::Open(error) => error.is_configuration(),
            Self::KeyFile(_) | Self::Mail(_) | Self::Sms(_) | Self::Menu(_) | Self::Tls(_) => true,
            _ => false,
        }
    }
}

/// The command `serve`: all of a process's life. A reason not to start goes to standard error.
#[must_use]
pub fn command(serving: Serving) -> Exit {
    match serve(serving) {
        Ok(()) => Exit::Done,
        Err(error) => {
            let exit = if error.is_configuration() { Exit::BadConfig } else { Exit::Refused };
            crate::cli::refused(error, exit)
        }
    }
}

fn serve(serving: Serving) -> Result<(), ServeError> {
    let Serving { file, config, on_hang_up, on_ready } = serving;
    let tls = config.read_tls(file.as_deref()).map_err(ServeError::Tls)?;
    let terms = Arc::new(Terms::new(tls, &config.ws.origins));
    let logging = logging::start(&config.log);
    harden::keep_memory_private()?;
    harden::raise_open_files()?;
    harden::share_one_heap();
    let metrics = Metrics::install().map_err(std::io::Error::other)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(SLOW_THREADS)
        .thread_name("slow")
        .enable_all()
        .build()?;
    let (stopper, stop) = Stop::new();
    let (at_once, hurry) = Stop::new();
    let result = runtime.block_on(async {
        let signals = Signals::hear()?;
        let reload = match on_hang_up {
            HangUp::Reload => Some(Reload::new(file, config.clone(), logging, Arc::clone(&terms))),
            HangUp::End => None,
        };
        tokio::spawn(signals.obey(reload, stopper.clone(), at_once, stop.clone()));
        run(&config, &terms, &metrics, &stopper, [&stop, &hurry], on_ready).await
    });
    // Blocking work under way (a command's look at the disk) has had its time.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn run(
    config: &Config,
    terms: &Arc<Terms>,
    metrics: &Metrics,
    stopper: &Stopper,
    [stop, hurry]: [&Stop; 2],
    on_ready: Option<OnReady>,
) -> Result<(), ServeError> {
    let clock = Clock::new();
    let shards = shards(config);
    let server: Server<Core> = Server::claim(&config.sip.listen, shards)?;
    let pages = [config.http.listen, config.metrics.listen].map(|address| address.map(page_listener));
    let [health_listener, metrics_listener] = pages.map(Option::transpose);
    let (health_listener, metrics_listener) = (health_listener?, metrics_listener?);
    let tasks = Tasks::new(stop.clone());
    // Pages, pulse and journal outlive the shards: the ones say that we are draining, the last hears
    // the shards' last refreshes.
    let (late_stopper, late) = Stop::new();
    let late_tasks = Tasks::new(late.clone());
    let pulse = Arc::new(Pulse::new(usize::from(shards)));
    let (door, mail_sender) =
        (http::Door::default(), config.mail_sender(credentials().as_deref()).map_err(ServeError::Mail)?);
    let text_sender = config.text_sender(credentials().as_deref()).map_err(ServeError::Sms)?;
    let portal_door = http::PortalDoor::default();
    let prompts = Arc::new(config.prompts().map_err(ServeError::Menu)?);
    if let Some(listener) = health_listener {
        let api = http::Api::new(Arc::clone(&door), Arc::clone(&portal_door), &config.http.proxies);
        let pages = http::pages(pulse.clone(), api);
        serve_pages(&late_tasks, "health pages", listener, pages, &config.http.proxies);
    }
    if let Some(listener) = metrics_listener {
        let (metrics, pulse) = (metrics.clone(), Arc::clone(&pulse));
        let render = Arc::new(move || metrics.render(&pulse.readings(clock.now())));
        serve_pages(&late_tasks, "metrics page", listener, http::metrics_page(render), &[]);
    }

    let Opened { services, suspects, .. } = open_services(config, clock)?;
    services.directory.run_by(move || clock.now());
    pulse.opened(services.clone());
    let listens = server.listens();
    let settings = Arc::new(settings::settings(config, &listens, server.faces()));
    let post = server.post();
    let admin = Admin::new(services.clone(), config.defaults()).ending(Arc::new(move |stream, login| {
        if post.end(stream, login.as_str()).is_err() {
            tracing::warn!("the connection of a phone that is shut out stays: its shard is too busy");
        }
    }));
    let _ = door.set(admin.clone()); // the only time
    let desk = desk(&admin, clock, &settings, text_sender.as_ref())?;
    let _ = portal_door.set(desk.clone());
    let socket = AdminSocket::open(&config.admin.socket)?;
    let meters = NetMeters::new();
    let trays: Vec<Tray> = (0..shards).map(|_| Tray::new(&meters)).collect();
    let listed = Arc::clone(&settings);
    let exempt = Arc::new(move |source| listed.origin(source) == crate::lockout::Origin::Listed);
    let shell = Shell::new(clock, meters, exempt).with_terms(Arc::clone(terms));
    // Calls to the phone menu go on while the server drains.
    let voice = voice::serve(config, server.post(), desk, prompts, &services, &late_tasks);
    let running = start_shards(server, shell, &services, suspects, &settings, &trays, &voice)?;
    tasks.spawn("admin socket", socket.serve(Executor(admin), tasks.clone()));
    tasks.spawn("housekeeping", housekeeping::run(services.clone(), stop.clone(), move || clock.now()));
    let owed = Creditors::default();
    tasks.spawn("outboxes", outbox::run(services.clone(), owed.clone(), stop.clone()));
    if let Some(sender) = text_sender {
        for lane in owed.texts.into_each() {
            tasks.spawn("texts", texting::run(services.clone(), sender.clone(), lane, stop.clone()));
        }
    }
    if let Some(sender) = mail_sender {
        tasks.spawn(
            "mails",
            mailing::run(services.clone(), sender, owed.mails, mailing::Meters::register(), stop.clone()),
        );
    }
    tasks.spawn("rotation", rotation::run(services.clone(), stop.clone()));
    tasks.spawn("metrics upkeep", upkeep(metrics.clone(), stop.clone()));
    late_tasks.spawn("pulse", Arc::clone(&pulse).feel(running.post(), late.clone()));
    late_tasks.spawn("watchdog", notify::watchdog(pulse.clone(), late.clone()));
    let (gathered, events) = trays.into_iter().map(|tray| (tray.refreshes, tray.events)).unzip();
    let journal = tokio::spawn(refreshes::run(services.clone(), gathered, late.clone()));
    late_tasks.spawn("events", events::run(events, late.clone()));
    late_tasks.spawn("histories", history::run(services.clone(), late));

    for listen in &listens {
        tracing::info!(%listen, "listening");
    }
    pulse.serving();
    notify::ready();
    tracing::info!(shards, version = env!("CARGO_PKG_VERSION"), "ready");
    if let Some(on_ready) = on_ready {
        tokio::task::spawn_blocking(on_ready);
    }
    watch_shards(&running, stop, stopper).await;

    pulse.draining();
    drain(&running.post(), config.sip.drain_max, hurry).await;
    let stopped = tokio::task::spawn_blocking(move || running.stop()).await;
    if let Ok(Err(error)) = stopped {
        tracing::error!(%error, "not every shard ended as it should");
    }
    late_stopper.stop();
    let _ = journal.await;
    for name in tasks.join(TASKS_PATIENCE).await.into_iter().chain(late_tasks.join(TASKS_PATIENCE).await) {
        tracing::warn!(task = name, "a task did not end in time");
    }
    let store = services.store.clone();
    let _ = tokio::task::spawn_blocking(move || store.close()).await;
    tracing::info!("ended");
    // The process ends: to free a million extensions one by one first takes seconds (3.5 of them), for
    // which whoever restarts it waits.
    std::mem::forget(services.directory);
    Ok(())
}

/// Waits for the stop; asks for it if a shard is gone, since nothing can stand in for it.
async fn watch_shards(running: &Running<Core>, stop: &Stop, stopper: &Stopper) {
    loop {
        tokio::select! {
            () = stop.stopped() => return,
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
        if !running.is_whole() {
            tracing::error!("a shard has ended by itself; the server stops");
            stopper.stop();
        }
    }
}

/// Where people sign in.
fn desk(
    admin: &Admin,
    clock: Clock,
    settings: &Arc<Settings>,
    texts: Option<&texting::Sender>,
) -> Result<Desk, ServeError> {
    // Half of the cores: the others are the phones'.
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let argon = Argon::start(cores / 2, Cost::STANDARD)?;
    let listed = Arc::clone(settings);
    Ok(Desk::new(portal::Setup {
        admin: admin.clone(),
        argon,
        clock: Box::new(move || clock.now()),
        origin: Box::new(move |source| listed.origin(source)),
        texting: texts.map(|sender| Texting {
            with: sender.texting.clone(),
            meters: sender.meters.clone(),
            patience: TEXT_PATIENCE,
        }),
    }))
}

/// As many shards as configured; as many as cores if that is 0.
fn shards(config: &Config) -> u16 {
    let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let number = Some(usize::from(config.sip.shards)).filter(|number| *number > 0).unwrap_or_else(cores);
    u16::try_from(number).unwrap_or(u16::MAX)
}

fn page_listener(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).map_err(|error| ServeError::Http { address, error })
}

/// Where systemd has put the credentials that the unit names.
fn credentials() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

/// Opens store, key and directory as the configuration says.
///
/// # Errors
/// As [`open::start`].
pub fn open_services(config: &Config, clock: Clock) -> Result<Opened, ServeError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| std::io::Error::other(error.to_string()))?;
    let key_file = config.key_file(credentials().as_deref()).map_err(ServeError::KeyFile)?;
    let opened = open::start(Opening {
        url: &config.store.url,
        options: store::Options {
            cache_bytes: u64::from(config.store.cache_mib) << 20,
            commit_seconds: metrics::histogram!("stationmaster_store_commit_seconds"),
            ..store::Options::default()
        },
        clock: Arc::new(move || clock.now().wall),
        key_file,
        realm: &config.sip.realm,
        expires_max: config.registrar.expires_max,
        now: clock.now(),
        rng: Rng::from_seed(seed),
    })?;
    if opened.replayed.corrupt > 0 {
        tracing::warn!(records = opened.replayed.corrupt, "journal records could not be read to their end");
    }
    Ok(opened)
}

fn start_shards(
    server: Server<Core>,
    shell: Shell,
    services: &Services,
    suspects: Vec<Suspect>,
    settings: &Arc<Settings>,
    trays: &[Tray],
    voice: &Voice,
) -> Result<Running<Core>, ServeError> {
    let mut seeds = services.random();
    let hash = ahash::RandomState::with_seeds(seeds.bits(), seeds.bits(), seeds.bits(), seeds.bits());
    let shared = Shared {
        settings: Arc::clone(settings),
        directory: Arc::clone(&services.directory),
        nonces: Arc::new(Nonces::new(
            trays.len(),
            crate::base::limit::NONCE_RING,
            &settings.realm,
            &mut seeds,
        )),
        owners: Arc::new(Owners::new(hash.clone())),
        hash,
        shards: u16::try_from(trays.len()).unwrap_or(u16::MAX),
        gruus: Arc::new(Gruus::new(&services.sealer.derive(b"temporary gruu"))),
    };
    let meters = Meters::register_all();
    let seeds: Vec<Rng> = trays.iter().map(|_| seeds.split()).collect();
    let (services, trays, voice) = (services.clone(), trays.to_vec(), voice.clone());
    let now = shell.clock.now();
    let kept = services.directory.to_keep(now.wall);
    Ok(server.start(shell, move |seat| {
        let index = seat.shard.index();
        let rng = seeds.get(index).cloned().unwrap_or_else(|| services.random());
        let tray = trays.get(index).cloned();
        let mut core = Core::new(seat.shard, shared.clone(), meters.clone(), rng);
        core.probe(&suspects);
        core.keep_all(now.mono, &kept);
        (core, effect(seat, &services, &shared.settings, tray, voice.clone()))
    })?)
}

/// Does what a shard wants of the slow half.
fn effect(
    seat: &Seat<Core>,
    services: &Services,
    settings: &Arc<Settings>,
    tray: Option<Tray>,
    voice: Voice,
) -> Effect {
    let post = seat.post.clone();
    let (store, directory) = (services.store.clone(), Arc::clone(&services.directory));
    let settings = Arc::clone(settings);
    Box::new(move |_now, output| match output {
        Output::Refresh(refresh) => {
            if let Some(tray) = &tray {
                tray.refreshes.add(&refresh);
            }
        }
        Output::Event(event) => {
            if let Some(tray) = &tray {
                tray.events.tell(*event);
            }
        }
        Output::Commit(commit) => {
            let post = post.clone();
            commit::submit(&store, &directory, &settings, commit, move |settled| {
                // There is room: less wait for the store than a mailbox holds.
                let shard = settled.ticket.shard;
                if post.send(shard, Inbound::Settled(settled)).is_err() {
                    tracing::error!("a shard's mailbox had no room for the store's answer");
                }
            });
        }
        Output::Voice { .. } | Output::Enquire(_) => voice.perform(&post, output),
        Output::Send { .. } | Output::Letter { .. } => {} // the driver's
    })
}

/// Where a shard puts what the slow half collects.
#[derive(Clone)]
struct Tray {
    refreshes: Gathered,
    events: Events,
}

impl Tray {
    fn new(meters: &NetMeters) -> Self {
        Self { refreshes: Gathered::default(), events: Events::new(meters.clone()) }
    }
}

/// The admin socket's way to administration.
#[derive(Clone)]
struct Executor(Admin);

impl Execute for Executor {
    async fn execute(&self, request: Request, only_if: Condition, peer: Peer) -> Result<Answer, Refusal> {
        self.0.answer(request, Who::Peer(peer), only_if).await
    }
}

async fn upkeep(metrics: Metrics, stop: Stop) {
    loop {
        tokio::select! {
            () = stop.stopped() => return,
            () = tokio::time::sleep(UPKEEP_EVERY) => metrics.upkeep(),
        }
    }
}

fn serve_pages(
    tasks: &Tasks,
    name: &'static str,
    listener: TcpListener,
    pages: axum::Router,
    proxies: &[Prefix],
) {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "{name}");
    }
    let (proxies, stop) = (Arc::from(proxies), tasks.stop());
    tasks.spawn(name, async move {
        if let Err(error) = http::serve(listener, pages, proxies, stop).await {
            tracing::error!(%error, listener = name, "a listener failed");
        }
    });
}
