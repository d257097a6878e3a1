//! The command line.

use crate::digest::Algorithm;
use lexopt::{Arg, Parser, ValueExt};
use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::str::FromStr;

pub const HELP: &str = "\
sipload - SIP load generator that also tells what the load cost the server

usage: sipload register [options]    REGISTER cycles: REGISTER, 401, REGISTER with credentials, 200
       sipload call [options]        calls: INVITE, 180, 200, ACK, BYE, 200; both ends are played here
       sipload storm [options]       phones on connections: all come at once, stay, come again, refresh
       sipload ping [options]        packets as long as a REGISTER, to `sipload echo`: the floor
       sipload echo [options]        UDP server that sends every packet back

Target and users (register, call, ping)
  --target IP:PORT        the server (127.0.0.1:5060)
  --domain NAME           domain of the addresses of record and of the Request-URI (example.test)
  --sockets N             local ports; users are spread over them (64)
  --local IP              local address (127.0.0.1)
  --local-port PORT       the first local port; the next ones follow. The same ports run after run
                          mean the same Contacts run after run. 0: any free ports (20000)
  --users N               register: users, ping: different packets (10000)
                          call: pairs of a caller and a callee (1000)
  --first-user NUMBER     the user names are consecutive numbers from this one on; in `call` the
                          callers come first, then the callees (100000)
  --user-suffix TEXT      follows the number in a user name, as in 100000-acme (none)
  --password-pattern TEXT the password, {user} standing for the number (pw{user})
  --algorithm md5|sha256  which challenge is answered when there are several (md5)

Load (register, call, ping)
  --window N              the most cycles, calls or pairs under way at once (register, ping: 256,
                          call: 100; register: at most the number of devices)
  --rate R                open loop: R starts per second, whatever the server does; the latency
                          counts from when a start was due, and starts more than 10 ms late are noted.
                          Without it: closed loop, a new start for every end, and the latency is
                          mostly the wait in the window (window / throughput)
  --seconds S             how long to start new ones (20, if no --count)
  --count N, --calls N    how many to start. With --seconds, whichever ends first
  --prefill               first register every device once (call: always done), unmeasured

register
  --expires SECONDS       3600; 0 removes the binding. Also used by `call`
  --devices N             Contacts of every user, each on a socket of its own where there are enough (1)
  --instance-ids          Contacts carry +sip.instance=\"<urn:uuid:...>\"
  --reuse-nonce           keep the nonce and count it up: a refresh is one request. A 401 to a kept
                          nonce is answered from its new nonce, and noted
  A cycle fails on another status than 401 and 200, on a 401 to fresh credentials, on a 200 without a
  challenge or without this device's Contact, and after 8 s without an answer.

call
  --hold-ms MS            pause between ACK and BYE (0)
  --auth                  an INVITE accepted without a challenge is a failure. Challenges (401 and 407)
                          are answered with or without this option
  --no-register           don't register callers and callees first
  A call is complete when the 200 to its BYE is in. It fails on any other final status, after 8 s without
  one, on a BYE from the server, on a 200 without To tag, Contact or body. `setup` is the time from the
  INVITE to its 200, `teardown` from the BYE to its 200.

storm (target, users, window, seconds and report as above; one user a phone, 100 phones a local address
       127.1.x.y; nonces kept)
  --transport tcp|tls|ws|wss  what they connect by (tls)
  --authority FILE        PEM certificate of who signed the server's, for tls and wss
  --window N              how many connect and register, or refresh, at once (256)
  --storms N              how often all of them break off and come again (1)
  --idle-seconds S        silence after each storm, before the memory is read (2)
  --seconds S             how long they refresh, in the end; 0: not at all (20)

echo
  --listen IP:PORT        (127.0.0.1:5070)
  --batch N               packets per system call at most (64). 1 is what a server does that reads
                          and writes one packet at a time
  --seconds S             end after that time (never)

Report (register, call, ping)
  --server-pids P,P,...   read the CPU time and the memory of these processes and all their descendants.
                          The CPU time is that of the measured interval, the memory that after the last cycle or call
  --server-pid-file FILE  the same, process ids from a file
  --json FILE             write the figures to a file as well

UDP, but for storm. Requests are retransmitted after 0.5 s, 1 s, 2 s and 4 s (RFC 3261 timers A and E) and given up
after 8 s. Exit status: 0, 1 if anything failed, 2 for a wrong command line or a system error.
IPv4 only. Linux 5.11 or later.
";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Register,
    Call,
    Ping,
    Echo,
    Storm,
}

/// What connections are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Tls,
    Ws,
    Wss,
}

impl Transport {
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    pub fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    pub fn is_web(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }
}

#[derive(Clone, Debug)]
pub struct Options {
    pub command: Command,
    pub target: SocketAddrV4,
    pub listen: SocketAddrV4,
    pub domain: String,
    pub sockets: usize,
    pub local: Ipv4Addr,
    pub local_port: u16,
    pub users: u64,
    pub first_user: u64,
    pub user_suffix: String,
    pub password_pattern: String,
    pub algorithm: Algorithm,
    pub window: usize,
    pub rate: Option<f64>,
    pub seconds: Option<f64>,
    pub count: Option<u64>,
    pub prefill: bool,
    pub expires: u32,
    pub devices: u64,
    pub instance_ids: bool,
    pub reuse_nonce: bool,
    pub hold_ms: u64,
    pub auth: bool,
    pub no_register: bool,
    pub batch: usize,
    pub server_pids: Vec<i32>,
    pub json: Option<PathBuf>,
    pub transport: Transport,
    pub authority: Option<PathBuf>,
    pub storms: u32,
    pub idle_seconds: f64,
}

impl Options {
    fn defaults(command: Command) -> Options {
        let call = command == Command::Call;
        Options {
            command,
            target: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 5060),
            listen: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 5070),
            domain: "example.test".to_owned(),
            sockets: 64,
            local: Ipv4Addr::LOCALHOST,
            local_port: 20000,
            users: if call { 1000 } else { 10_000 },
            first_user: 100_000,
            user_suffix: String::new(),
            password_pattern: "pw{user}".to_owned(),
            algorithm: Algorithm::Md5,
            window: if call { 100 } else { 256 },
            rate: None,
            seconds: None,
            count: None,
            prefill: false,
            expires: 3600,
            devices: 1,
            instance_ids: false,
            reuse_nonce: false,
            hold_ms: 0,
            auth: false,
            no_register: false,
            batch: 64,
            server_pids: Vec::new(),
            json: None,
            transport: Transport::Tls,
            authority: None,
            storms: 1,
            idle_seconds: 2.0,
        }
    }

    /// Reads the command line; `None` when it asks for help.
    pub fn parse(mut parser: Parser) -> Result<Option<Options>, String> {
        let command = match parser.next().map_err(text)? {
            Some(Arg::Value(name)) => match name.to_str() {
                Some("register") => Command::Register,
                Some("call") => Command::Call,
                Some("ping") => Command::Ping,
                Some("echo") => Command::Echo,
                Some("storm") => Command::Storm,
                _ => return Err(format!("unknown command {name:?}; try sipload --help")),
            },
            Some(Arg::Long("help") | Arg::Short('h')) | None => return Ok(None),
            Some(other) => return Err(text(other.unexpected())),
        };
        let mut options = Options::defaults(command);
        while let Some(arg) = parser.next().map_err(text)? {
            let name = match arg {
                Arg::Long(name) => name.to_owned(),
                Arg::Short('h') => return Ok(None),
                other => return Err(text(other.unexpected())),
            };
            if name == "help" {
                return Ok(None);
            }
            if !applies(command, &name) {
                return Err(format!("--{name} is not an option of this command; try sipload --help"));
            }
            options.set(&name, &mut parser).map_err(|why| format!("--{name}: {why}"))?;
        }
        options.settle()?;
        Ok(Some(options))
    }

    fn set(&mut self, name: &str, parser: &mut Parser) -> Result<(), String> {
        match name {
            "target" => self.target = value(parser)?,
            "listen" => self.listen = value(parser)?,
            "domain" => self.domain = value(parser)?,
            "sockets" => self.sockets = at_least(1, value(parser)?)?,
            "local" => self.local = value(parser)?,
            "local-port" => self.local_port = value(parser)?,
            "users" => self.users = at_least(1, value(parser)?)?,
            "first-user" => self.first_user = value(parser)?,
            "user-suffix" => self.user_suffix = value(parser)?,
            "password-pattern" => self.password_pattern = value(parser)?,
            "algorithm" => {
                self.algorithm = one_of(parser, &[("md5", Algorithm::Md5), ("sha256", Algorithm::Sha256)])?;
            }
            "window" => self.window = at_least(1, value(parser)?)?,
            "rate" => self.rate = Some(positive(value(parser)?)?),
            "seconds" if self.command == Command::Storm => {
                self.seconds = Some(at_least(0.0, value(parser)?)?)
            }
            "seconds" => self.seconds = Some(positive(value(parser)?)?),
            "transport" => {
                use Transport::{Tcp, Tls, Ws, Wss};
                self.transport = one_of(parser, &[Tcp, Tls, Ws, Wss].map(|each| (each.name(), each)))?;
            }
            "authority" => self.authority = Some(value(parser)?),
            "storms" => self.storms = at_least(1, value(parser)?)?,
            "idle-seconds" => self.idle_seconds = at_least(0.0, value(parser)?)?,
            "count" | "calls" => self.count = Some(at_least(1, value(parser)?)?),
            "prefill" => self.prefill = true,
            "expires" => self.expires = value(parser)?,
            "devices" => self.devices = at_least(1, value(parser)?)?,
            "instance-ids" => self.instance_ids = true,
            "reuse-nonce" => self.reuse_nonce = true,
            "hold-ms" => self.hold_ms = value(parser)?,
            "auth" => self.auth = true,
            "no-register" => self.no_register = true,
            "batch" => self.batch = at_least(1, value(parser)?)?,
            "server-pids" => self.server_pids.extend(pids(&value::<String>(parser)?)?),
            "server-pid-file" => {
                let path: PathBuf = value(parser)?;
                self.server_pids.extend(pids(&std::fs::read_to_string(&path).map_err(text)?)?);
            }
            "json" => self.json = Some(value(parser)?),
            _ => unreachable!("`applies` knows the options"),
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), String> {
        if self.command != Command::Echo && self.seconds.is_none() && self.count.is_none() {
            self.seconds = Some(20.0);
        }
        if self.window > 1_000_000 {
            return Err("--window: at most 1000000".to_owned());
        }
        if usize::from(self.local_port) + self.sockets > 65536 {
            return Err("--sockets: more than there are ports from --local-port on".to_owned());
        }
        let devices = usize::try_from(self.users.saturating_mul(self.devices)).unwrap_or(usize::MAX);
        if devices > 10_000_000 {
            return Err("--users: at most 10000000 devices".to_owned());
        }
        if self.command == Command::Register {
            self.window = self.window.min(devices);
        }
        Ok(())
    }
}

/// Whether a command has an option.
fn applies(command: Command, name: &str) -> bool {
    use Command::{Call, Echo, Ping, Register, Storm};
    let commands: &[Command] = match name {
        "target" | "domain" | "users" | "first-user" | "user-suffix" | "password-pattern" | "window"
        | "server-pids" | "server-pid-file" | "json" => &[Register, Call, Ping, Storm],
        "sockets" | "local" | "local-port" | "rate" | "count" => &[Register, Call, Ping],
        "seconds" => &[Register, Call, Ping, Echo, Storm],
        "transport" | "authority" | "storms" | "idle-seconds" => &[Storm],
        "algorithm" | "expires" | "instance-ids" => &[Register, Call],
        "prefill" | "devices" | "reuse-nonce" => &[Register],
        "calls" | "hold-ms" | "auth" | "no-register" => &[Call],
        "listen" | "batch" => &[Echo],
        _ => &[],
    };
    commands.contains(&command)
}

fn text(error: impl Display) -> String {
    error.to_string()
}

fn value<T: FromStr<Err: Display>>(parser: &mut Parser) -> Result<T, String> {
    parser.value().map_err(text)?.string().map_err(text)?.parse().map_err(text)
}

fn at_least<T: PartialOrd + Display>(least: T, value: T) -> Result<T, String> {
    if value < least { Err(format!("at least {least}")) } else { Ok(value) }
}

fn positive(value: f64) -> Result<f64, String> {
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err("must be more than 0".to_owned()) }
}

fn one_of<T: Copy>(parser: &mut Parser, choices: &[(&str, T)]) -> Result<T, String> {
    let wanted: String = value(parser)?;
    choices.iter().find(|(name, _)| *name == wanted).map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        format!("one of {}", names.join(", "))
    })
}

fn pids(list: &str) -> Result<Vec<i32>, String> {
    let words =
        list.split(|letter: char| letter == ',' || letter.is_whitespace()).filter(|word| !word.is_empty());
    words.map(|word| word.parse().map_err(|_| format!("not a process id: {word}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Option<Options>, String> {
        Options::parse(Parser::from_args(args))
    }

    #[test]
    fn reads_a_command_line() {
        let options = parse(&[
            "register",
            "--target",
            "127.0.0.2:5080",
            "--users=50",
            "--rate",
            "2.5",
            "--server-pids",
            "1,22",
            "--count",
            "9",
        ])
        .unwrap()
        .unwrap();
        assert_eq!(options.command, Command::Register);
        assert_eq!(options.target, "127.0.0.2:5080".parse().unwrap());
        assert_eq!((options.users, options.window), (50, 50));
        assert_eq!((options.rate, options.seconds, options.count), (Some(2.5), None, Some(9)));
        assert_eq!(options.server_pids, [1, 22]);
    }

    #[test]
    fn every_command_has_its_own_options() {
        assert!(parse(&["call", "--hold-ms", "5", "--auth"]).unwrap().unwrap().auth);
        assert!(parse(&["register", "--hold-ms", "5"]).is_err());
        assert!(parse(&["echo", "--users", "5"]).is_err());
        let storm = parse(&["storm", "--transport", "wss", "--seconds", "0"]).unwrap().unwrap();
        assert_eq!((storm.transport, storm.seconds), (Transport::Wss, Some(0.0)));
        assert!(parse(&["storm", "--sockets", "5"]).is_err());
        assert!(parse(&["sing"]).is_err());
        assert!(parse(&["register", "--rate", "0"]).is_err());
        assert!(parse(&["register", "--algorithm", "sha1"]).is_err());
        assert!(parse(&["register", "--help"]).unwrap().is_none());
        assert!(parse(&[]).unwrap().is_none());
    }
}
