//! From the grammar to what is to be done.

mod accounts;
mod phones;
mod stations;

use super::grammar::{Audit, Command, Menu, Secrets};
use super::rows::Pages;
use super::who::Misnamed;
use super::{Exit, password};
use crate::base::language::Language;
use crate::base::limit;
use crate::service::admin::{NewPassword, Request};
use accounts::{app, extension, pin, second, set_password, tenant};
use phones::{audit_list, binding, device, key, lock};
use stations::station;
use std::io::Read;
use std::path::Path;

/// What a line asks for.
pub(super) enum Todo {
    /// Run a throw-away system.
    Demo,
    /// Tell what the phone menu says.
    Texts(Language),
    /// Something with the configuration.
    Configured(Configured),
}

/// What needs the configuration.
pub(super) enum Configured {
    /// Run the server.
    Serve,
    /// Look at the configuration only.
    Check,
    /// Have this done by the server, or do it without one.
    Ask(Box<Request>),
    /// Print what comes page by page.
    Pages(Pages),
}

/// Why a line is not followed, and how that ends.
pub(super) struct Stop(pub(super) Exit, pub(super) String);

impl From<Misnamed> for Stop {
    fn from(misnamed: Misnamed) -> Self {
        Self(Exit::Usage, misnamed.to_string())
    }
}

/// Reads what the line names: words, and the password or file it points to.
pub(super) fn todo(command: Command) -> Result<Todo, Stop> {
    let request = match command {
        Command::Serve => return Ok(Todo::Configured(Configured::Serve)),
        Command::Demo => return Ok(Todo::Demo),
        Command::Menu(Menu::Texts { language }) => return Ok(Todo::Texts(language)),
        Command::Check => return Ok(Todo::Configured(Configured::Check)),
        Command::Tenant(verb) => tenant(verb),
        Command::Extension(verb) => extension(verb)?,
        Command::Password(verb) => set_password(&verb)?,
        Command::Pin(verb) => pin(&verb)?,
        Command::App(verb) => app(verb)?,
        Command::Device(verb) => device(&verb)?,
        Command::Station(verb) => station(verb)?,
        Command::Lock(verb) => lock(&verb)?,
        Command::Binding(verb) => binding(verb)?,
        Command::Audit(Audit::Export { place, narrow, format }) => {
            let (tenant, number) = place.narrowed()?;
            return Ok(pages(Pages::Audit { tenant, number, narrow: narrow.into(), format }));
        }
        Command::Audit(Audit::List { place, narrow, last }) => audit_list(&place, narrow, last)?,
        Command::Export { tenant } => return Ok(pages(Pages::Extensions { tenant })),
        Command::Secrets(Secrets::Rotate) => Request::SecretsRotate,
        Command::Key(verb) => key(verb)?,
        Command::Second(verb) => second(&verb)?,
        Command::Import { file, skip_existing } => Request::Import { csv: file_text(&file)?, skip_existing },
    };
    Ok(Todo::Configured(Configured::Ask(Box::new(request))))
}

fn pages(pages: Pages) -> Todo {
    Todo::Configured(Configured::Pages(pages))
}

fn new_password(generate: bool) -> Result<NewPassword, Stop> {
    if generate { Ok(NewPassword::Generate) } else { from_stdin("password").map(NewPassword::Given) }
}

fn from_stdin(what: &str) -> Result<crate::service::admin::Password, Stop> {
    password::first_line(std::io::stdin().lock(), what).map_err(|reason| Stop(Exit::Refused, reason))
}

/// The text of a file, or of standard input for `-`; at most what an admin request may hold.
fn file_text(file: &Path) -> Result<crate::service::admin::Password, Stop> {
    let refused = |reason: String| Stop(Exit::Refused, format!("{}: {reason}", file.display()));
    let mut text = String::new();
    // JSON makes each quote and line end two bytes.
    let most = limit::ADMIN_REQUEST_BYTES_MAX as u64 / 2;
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(most + 1).read_to_string(&mut text)
    } else {
        let opened = std::fs::File::open(file).map_err(|error| refused(error.to_string()))?;
        opened.take(most + 1).read_to_string(&mut text)
    };
    match read {
        Ok(bytes) if bytes as u64 > most => Err(refused(format!("longer than {most} bytes; split it"))),
        Ok(_) => Ok(crate::service::admin::Password::new(text)),
        Err(error) => Err(refused(error.to_string())),
    }
}
