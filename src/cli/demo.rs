//! `demo`: a throw-away system on loopback, with what a first call needs. It is the whole server on a
//! store in memory; the little it writes (a configuration, the admin socket) is in a folder of its
//! own that goes with it.

use super::serving::{HangUp, Serve, Serving};
use super::{Exit, NotDone, client, print};
use crate::account::{LoginName, TenantCode};
use crate::config::Config;
use crate::service::admin::{NewPassword, Request, Response, TenantSettings};
use serde_json::json;
use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

const TENANT: &str = "demo";
const EXTENSIONS: [(&str, &str); 3] = [("201-demo", "Ada"), ("202-demo", "Bell"), ("203-demo", "Cooper")];

/// The ports that are tried first, so that what people type stays the same.
const SIP_PORT: u16 = 5060;
const HTTP_PORT: u16 = 8080;
const METRICS_PORT: u16 = 9464;

/// Runs the system until it is asked to end.
pub(super) fn run(serve: &Serve<'_>, json: bool) -> Exit {
    let folder = match Folder::make() {
        Ok(folder) => folder,
        Err(error) => return print::refused(format_args!("no folder for the demo: {error}"), Exit::Refused),
    };
    let file = folder.0.join("stationmaster.toml");
    let config = match configure(&folder.0, &file) {
        Ok(config) => config,
        Err(error) => return print::refused(format_args!("{}: {error}", file.display()), Exit::Refused),
    };
    let known = (config.clone(), file.clone());
    let on_ready = Box::new(move || populate_and_tell(&known.0, &known.1, json));
    serve(Serving { file: Some(file), config, on_hang_up: HangUp::End, on_ready: Some(on_ready) })
}

/// A folder of our own that goes when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn make() -> io::Result<Self> {
        let mut chance = [0; 6];
        getrandom::fill(&mut chance).map_err(io::Error::other)?;
        let name = chance.iter().fold("stationmaster-demo-".to_owned(), |mut name, byte| {
            let _ = write!(name, "{byte:02x}");
            name
        });
        let path = std::env::temp_dir().join(name);
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Writes the demo's configuration and reads it as any other.
fn configure(folder: &Path, file: &Path) -> Result<Config, String> {
    let port = |first| free_port(first).map_err(|error| format!("no free port on loopback: {error}"));
    let (sip, http, metrics) = (port(SIP_PORT)?, port(HTTP_PORT)?, port(METRICS_PORT)?);
    let (socket, mail) = (folder.join("admin.sock"), folder.join("mail"));
    let text = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:{sip}\", \"tcp:127.0.0.1:{sip}\"]\ndrain_max_s = 0\n\
         [store]\nurl = \"memory:\"\n\
         [admin]\nsocket = {socket:?}\n\
         [http]\nlisten = \"127.0.0.1:{http}\"\n\
         [metrics]\nlisten = \"127.0.0.1:{metrics}\"\n\
         [mail]\nspool = {mail:?}\n\
         [log]\nlevel = \"warn\"\n",
    );
    std::fs::write(file, text).map_err(|error| error.to_string())?;
    Config::load(Some(file)).map_err(|errors| errors.to_string())
}

/// This port if nobody has it for UDP or TCP, else any such.
fn free_port(first: u16) -> io::Result<u16> {
    let free = |port: u16| {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let port = tcp.local_addr()?.port();
        UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).map(|_| port)
    };
    free(first).or_else(|_| free(0)).or_else(|_| free(0))
}

/// Makes tenant and extensions over the admin socket, as an operator would, and says what to do next.
fn populate_and_tell(config: &Config, file: &Path, json: bool) {
    match populate(config) {
        Ok(accounts) => {
            let address = config.sip.listen.first().map(|listen| listen.addr);
            let text = match address {
                Some(sip) if json => as_json(sip, config, file, &accounts),
                Some(sip) => as_text(sip, config, file, &accounts),
                None => return,
            };
            print::out(&text);
        }
        Err(not_done) => {
            super::refuse(not_done);
        }
    }
}

struct Account {
    login: &'static str,
    name: &'static str,
    password: String,
}

fn populate(config: &Config) -> Result<Vec<Account>, NotDone> {
    let ask = |request: Request| client::ask(config, &request).map(|answer| answer.response);
    let unnamed = |error: crate::account::name::NameError| NotDone::BadConfig(error.to_string());
    let code = TenantCode::parse(TENANT).map_err(unnamed)?;
    let settings = TenantSettings { name: Some("Demo Ltd".into()), ..TenantSettings::default() };
    ask(Request::TenantAdd { code, settings })?;
    let mut accounts = Vec::new();
    for (text, name) in EXTENSIONS {
        let login = LoginName::parse(text).map_err(unnamed)?;
        let (email, password) = (None, None);
        ask(Request::ExtensionAdd { login: login.clone(), name: name.into(), email, password })?;
        let set = ask(Request::PasswordSet { login, password: NewPassword::Generate })?;
        if let Response::Generated { password, .. } = set {
            accounts.push(Account { login: text, name, password });
        }
    }
    Ok(accounts)
}

fn as_json(sip: SocketAddr, config: &Config, file: &Path, accounts: &[Account]) -> String {
    let extensions: Vec<_> = accounts
        .iter()
        .map(|account| json!({ "login": account.login, "name": account.name, "password": account.password }))
        .collect();
    json!({
        "sip": sip.to_string(),
        "http": config.http.listen.map(|http| http.to_string()),
        "metrics": config.metrics.listen.map(|metrics| metrics.to_string()),
        "config": file.display().to_string(),
        "extensions": extensions,
    })
    .to_string()
}

fn as_text(sip: SocketAddr, config: &Config, file: &Path, accounts: &[Account]) -> String {
    let mut text = format!(
        "Stationmaster hears SIP on {sip}, UDP and TCP. Ctrl-C ends it and leaves nothing behind.\n\n\
         Tenant {TENANT:?} has these extensions; the user is user name and authentication name in one:\n\n  \
         user      password                 name\n"
    );
    for Account { login, name, password } in accounts {
        let _ = writeln!(text, "  {login}  {password:23}  {name}");
    }
    if let [near, far, ..] = accounts {
        let _ = write!(
            text,
            "\nWhat to do next:\n\
             1. Let two phones on this machine sign in at {sip}: one as {}, one as {}. For baresip, a line\n   \
             in ~/.baresip/accounts for each:\n   \
             <sip:{}@{sip}>;auth_pass={}\n\
             2. Dial {} on the first: the second rings.\n\
             3. Look at it, in another terminal:\n   \
             {program} -c {file} binding list {TENANT} {}\n   \
             {program} -c {file} device list {}\n",
            near.login,
            far.login,
            near.login,
            near.password,
            far.login.split('-').next().unwrap_or_default(),
            near.login.split('-').next().unwrap_or_default(),
            far.login,
            program = program(),
            file = file.display(),
        );
    }
    if let (Some(http), Some(metrics)) = (config.http.listen, config.metrics.listen) {
        let _ = writeln!(text, "4. Its health: http://{http}/healthz, its metrics: http://{metrics}/metrics");
    }
    text.truncate(text.trim_end().len());
    text
}

/// How this program is called again.
fn program() -> String {
    std::env::current_exe().map_or_else(|_| "stationmaster".into(), |path| path.display().to_string())
}
