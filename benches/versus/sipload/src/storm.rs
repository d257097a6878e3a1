//! Phones on connections: many of them connect at once, register, stay silent, come again, and refresh.
//!
//! One thread, one epoll, a link per phone. What is measured is the server: its CPU time for each phone
//! that comes and for each refresh, and its memory for each phone that is there.

use crate::args::Options;
use crate::digest::{Answer, Challenge};
use crate::link::{Link, News, Wire};
use crate::procfs::{Cpu, Memory, Sample};
use crate::put;
use crate::report::Object;
use crate::sip::{self, Name};
use crate::stats::Histogram;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Phones of one local address: fewer than a server allows a stranger's source.
const PER_ADDRESS: usize = 100;
/// How long nothing may happen before a phase is given up.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where a phone is on its way.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Absent,
    Connecting,
    /// REGISTER sent, with credentials or without.
    Registering,
    Up,
    Refreshing,
    Failed,
}

struct Phone {
    link: Option<Link>,
    stage: Stage,
    since: Instant,
    cseq: u32,
    /// The value of WWW-Authenticate, and how often it was answered.
    challenge: Vec<u8>,
    answered: u32,
}

pub struct Storm<'o> {
    options: &'o Options,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    epoll: OwnedFd,
    phones: Vec<Phone>,
    events: Vec<libc::epoll_event>,
    /// Phones that are neither up nor failed.
    under_way: usize,
    up: usize,
    failures: BTreeMap<String, u64>,
}

/// What one phase came to.
struct Phase {
    done: u64,
    seconds: f64,
    latency: Histogram,
    cpu: Cpu,
    memory: Memory,
}

impl<'o> Storm<'o> {
    pub fn new(options: &'o Options) -> io::Result<Storm<'o>> {
        // SAFETY: plain system call; the descriptor is owned at once.
        let epoll = unsafe {
            let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        raise_open_files()?;
        let now = Instant::now();
        let phone = |_| Phone {
            link: None,
            stage: Stage::Absent,
            since: now,
            cseq: 0,
            challenge: Vec::new(),
            answered: 0,
        };
        Ok(Storm {
            options,
            tls: if options.transport.is_secure() { Some(trust(options)?) } else { None },
            epoll,
            phones: (0..options.users as usize).map(phone).collect(),
            events: Vec::with_capacity(1024),
            under_way: 0,
            up: 0,
            failures: BTreeMap::new(),
        })
    }

    /// All phases; the report as text and as JSON, and whether nothing failed.
    pub fn run(&mut self) -> io::Result<(String, String, bool)> {
        let pids = &self.options.server_pids;
        let users = self.phones.len() as f64;
        let before = Sample::of_trees(pids).memory();
        let mut text = format!("{} phones over {}\n", self.phones.len(), self.options.transport.name());
        let mut json = Object::default();
        json.text("transport", self.options.transport.name());
        json.number("phones", users);
        json.number("memory_before_kib", before.proportional_kb as f64);
        let mut storms = Vec::new();
        for round in 1..=self.options.storms {
            let phase = self.come()?;
            self.idle(Duration::from_secs_f64(self.options.idle_seconds))?;
            let memory = Sample::of_trees(pids).memory();
            let grown = memory.proportional_kb as f64 - before.proportional_kb as f64;
            text += &format!(
                "storm {round}: {} came in {:.2} s, {:.0}/s; server CPU {:.1} µs each; until registered p50 {:.1} p99 \
                 {:.1} ms; {:.2} KiB each\n",
                phase.done,
                phase.seconds,
                phase.done as f64 / phase.seconds,
                phase.cpu.total() * 1e6 / phase.done.max(1) as f64,
                phase.latency.quantile(0.5) as f64 / 1e6,
                phase.latency.quantile(0.99) as f64 / 1e6,
                grown / users,
            );
            let mut storm = phase.json();
            storm.number("memory_kib", memory.proportional_kb as f64);
            storm.number("kib_per_phone", grown / users);
            storms.push(storm.end());
            if round < self.options.storms {
                self.phones.iter_mut().for_each(|phone| {
                    phone.link = None;
                    phone.stage = Stage::Absent;
                });
                self.up = 0;
            }
        }
        json.raw("storms", format!("[{}]", storms.join(",")));
        let seconds = self.options.seconds.unwrap_or(0.0);
        if seconds > 0.0 {
            let phase = self.refresh(Duration::from_secs_f64(seconds))?;
            text += &format!(
                "refresh: {} in {:.2} s, {:.0}/s; p99 {:.2} ms\n==> server CPU per refresh: {:.2} µs\n",
                phase.done,
                phase.seconds,
                phase.done as f64 / phase.seconds,
                phase.latency.quantile(0.99) as f64 / 1e6,
                phase.cpu.total() * 1e6 / phase.done.max(1) as f64,
            );
            json.raw("refresh", phase.json().end());
        }
        let mut failures = Object::default();
        for (what, count) in &self.failures {
            text += &format!("FAILED: {what}: {count}\n");
            failures.number(what, *count as f64);
        }
        json.raw("failures", failures.end());
        Ok((text, json.end() + "\n", self.failures.is_empty()))
    }

    /// All phones come, so many at a time; ends when each is there or has failed.
    fn come(&mut self) -> io::Result<Phase> {
        let (mut next, mut latency) = (0, Histogram::default());
        let began = Instant::now();
        let sample = Sample::of_trees(&self.options.server_pids);
        let mut progress = Instant::now();
        let mut up = 0;
        while next < self.phones.len() || self.under_way > 0 {
            while next < self.phones.len() && self.under_way < self.options.window {
                self.connect(next);
                next += 1;
            }
            self.turn(Duration::from_millis(100), &mut latency)?;
            if self.up != up {
                (up, progress) = (self.up, Instant::now());
            }
            if progress.elapsed() > PATIENCE {
                self.failures.insert("still on their way at the end".to_owned(), self.under_way as u64);
                self.under_way = 0;
                break;
            }
        }
        Ok(self.phase(self.up as u64, began, &sample, latency))
    }

    /// The phones that are there refresh, so many at a time.
    fn refresh(&mut self, length: Duration) -> io::Result<Phase> {
        let (mut next, mut latency) = (0, Histogram::default());
        let began = Instant::now();
        let sample = Sample::of_trees(&self.options.server_pids);
        while began.elapsed() < length {
            for _ in 0..self.phones.len() {
                if self.under_way >= self.options.window {
                    break;
                }
                next = (next + 1) % self.phones.len();
                if self.phones[next].stage == Stage::Up {
                    self.phones[next].stage = Stage::Refreshing;
                    self.phones[next].since = Instant::now();
                    self.under_way += 1;
                    self.register(next);
                }
            }
            self.turn(Duration::from_millis(10), &mut latency)?;
        }
        let done = latency.count();
        let phase = self.phase(done, began, &sample, latency);
        self.idle(Duration::from_millis(300))?; // the last answers
        Ok(phase)
    }

    fn idle(&mut self, length: Duration) -> io::Result<()> {
        let (end, mut latency) = (Instant::now() + length, Histogram::default());
        while Instant::now() < end {
            self.turn(Duration::from_millis(50), &mut latency)?;
        }
        Ok(())
    }

    fn phase(&self, done: u64, began: Instant, before: &Sample, latency: Histogram) -> Phase {
        let now = Sample::of_trees(&self.options.server_pids);
        let (cpu, memory) = (now.since(before).cpu, now.memory());
        Phase { done, seconds: began.elapsed().as_secs_f64(), latency, cpu, memory }
    }

    /// Takes in what has come.
    fn turn(&mut self, wait: Duration, latency: &mut Histogram) -> io::Result<()> {
        self.events.clear();
        // SAFETY: there is room for as many events as are asked for.
        let count = unsafe {
            libc::epoll_wait(
                self.epoll.as_raw_fd(),
                self.events.as_mut_ptr(),
                self.events.capacity() as libc::c_int,
                wait.as_millis() as libc::c_int,
            )
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) };
        }
        // SAFETY: the kernel has filled so many in.
        unsafe { self.events.set_len(count as usize) };
        for at in 0..self.events.len() {
            let number = self.events[at].u64 as usize;
            let Some(mut link) = self.phones[number].link.take() else { continue };
            let news = link.pump();
            self.phones[number].link = Some(link);
            match news {
                Ok(news) => news.into_iter().for_each(|news| self.hear(number, news, latency)),
                Err(error) => self.fail(number, &error.to_string()),
            }
        }
        Ok(())
    }

    fn connect(&mut self, number: usize) {
        let address = number / PER_ADDRESS;
        let local = Ipv4Addr::new(127, 1, (address / 250) as u8, 1 + (address % 250) as u8);
        let phone = &mut self.phones[number];
        (phone.stage, phone.since, phone.answered) = (Stage::Connecting, Instant::now(), 0);
        phone.challenge.clear();
        self.under_way += 1;
        let options = self.options;
        let wire =
            Wire { web: options.transport.is_web(), tls: self.tls.clone(), host: options.domain.clone() };
        match Link::open(SocketAddrV4::new(local, 0), options.target, wire) {
            Ok(link) => {
                let mut event = libc::epoll_event {
                    events: (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLET | libc::EPOLLRDHUP) as u32,
                    u64: number as u64,
                };
                // SAFETY: `event` lives through the call.
                let added = unsafe {
                    libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, link.fd(), &raw mut event)
                };
                self.phones[number].link = Some(link);
                if added < 0 {
                    self.fail(number, "epoll");
                }
            }
            Err(error) => self.fail(number, &error.to_string()),
        }
    }

    fn hear(&mut self, number: usize, news: News, latency: &mut Histogram) {
        let message = match news {
            News::Open => {
                self.phones[number].stage = Stage::Registering;
                return self.register(number);
            }
            News::Message(message) => message,
        };
        let phone = &mut self.phones[number];
        match (sip::status(&message), phone.stage) {
            (Some(401), Stage::Registering | Stage::Refreshing) if phone.answered != 1 => {
                let challenge = sip::header(&message, Name::WwwAuthenticate).unwrap_or_default();
                (phone.challenge, phone.answered) = (challenge.to_vec(), 0);
                self.register(number);
            }
            (Some(200), Stage::Registering | Stage::Refreshing) => {
                latency.record(phone.since.elapsed().as_nanos() as u64);
                self.up += usize::from(phone.stage == Stage::Registering);
                phone.stage = Stage::Up;
                self.under_way -= 1;
            }
            (Some(status), Stage::Registering | Stage::Refreshing) => {
                self.fail(number, &format!("answered {status}"));
            }
            _ => {} // keep-alives, late answers
        }
    }

    fn fail(&mut self, number: usize, why: &str) {
        let phone = &mut self.phones[number];
        match phone.stage {
            Stage::Up => self.up -= 1,
            Stage::Absent | Stage::Failed => return,
            _ => self.under_way -= 1,
        }
        (phone.stage, phone.link) = (Stage::Failed, None);
        *self.failures.entry(why.to_owned()).or_default() += 1;
    }

    /// Sends a REGISTER, with credentials if there was a challenge.
    fn register(&mut self, number: usize) {
        let options = self.options;
        let (user, domain) = (options.first_user + number as u64, &options.domain);
        let suffix = &options.user_suffix;
        let phone = &mut self.phones[number];
        phone.cseq += 1;
        let Some(link) = &mut phone.link else { return };
        let mut out = Vec::with_capacity(1024);
        let transport = options.transport;
        put!(
            &mut out,
            "REGISTER sip:",
            domain,
            " SIP/2.0\r\nVia: SIP/2.0/",
            transport.name().to_uppercase(),
            " ",
            link.local(),
            ";rport;branch=z9hG4bKstorm",
            user,
            "x",
            phone.cseq,
            "\r\nMax-Forwards: 70\r\nFrom: <sip:",
            user,
            suffix,
            "@",
            domain,
            ">;tag=t",
            user,
            "\r\nTo: <sip:",
            user,
            suffix,
            "@",
            domain,
            ">\r\nCall-ID: storm",
            user,
            "\r\nCSeq: ",
            phone.cseq,
            " REGISTER\r\nContact: <sip:",
            user,
            "@127.0.0.1:5060;transport=",
            if transport.is_web() { "ws" } else { transport.name() },
            ">;+sip.instance=\"<urn:uuid:00000000-0000-4000-8000-"
        );
        put!(&mut out, format!("{user:012}"), ">\"\r\nExpires: 3600\r\n");
        if let Some(challenge) = Challenge::parse(&phone.challenge) {
            phone.answered += 1;
            let name = format!("{user}{suffix}");
            let password = options.password_pattern.replace("{user}", &user.to_string());
            let uri = format!("sip:{domain}");
            let answer = Answer {
                user: name.as_bytes(),
                password: password.as_bytes(),
                method: b"REGISTER",
                uri: uri.as_bytes(),
                cnonce: b"storm",
                nonce_count: phone.answered,
            };
            answer.put_header(&mut out, "Authorization", &challenge);
        }
        put!(&mut out, "Content-Length: 0\r\n\r\n");
        if let Err(error) = link.say(&out) {
            self.fail(number, &error.to_string());
        }
    }
}

impl Phase {
    fn json(&self) -> Object {
        let mut object = Object::default();
        object.number("done", self.done as f64);
        object.number("seconds", self.seconds);
        object.number("per_second", self.done as f64 / self.seconds);
        object.number("server_us_each", self.cpu.total() * 1e6 / self.done.max(1) as f64);
        object.number("p50_ms", self.latency.quantile(0.5) as f64 / 1e6);
        object.number("p99_ms", self.latency.quantile(0.99) as f64 / 1e6);
        object.number("memory_now_kib", self.memory.proportional_kb as f64);
        object
    }
}

/// The authority of the command line, and the name that the server must have.
fn trust(options: &Options) -> io::Result<(Arc<ClientConfig>, ServerName<'static>)> {
    let file = options.authority.as_ref().ok_or_else(|| io::Error::other("--authority is missing"))?;
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(file).map_err(io::Error::other)?;
    roots.add(certificate).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(options.domain.clone()).map_err(io::Error::other)?;
    Ok((Arc::new(config), name))
}

fn raise_open_files() -> io::Result<()> {
    // SAFETY: the calls read and write the one structure.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) < 0 {
            return Err(io::Error::last_os_error());
        }
        limit.rlim_cur = limit.rlim_max;
        if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
