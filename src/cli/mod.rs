//! The command line: reads it, does it, prints what came of it.
//!
//! | exit | meaning |
//! |------|---------|
//! | 0    | done |
//! | 1    | refused; the reason stands on standard error |
//! | 2    | the line itself is wrong |
//! | 78   | the configuration is wrong |
//!
//! Commands speak to the running server over its admin socket. It is the same program: what the
//! server does for a [`Request`](crate::service::admin::Request), a command does by itself when no
//! server runs.

mod client;
mod demo;
mod grammar;
mod offline;
mod password;
mod print;
mod request;
mod rows;
mod serving;
mod when;
mod who;

pub use grammar::{Command, Line};
pub use print::refused;
pub use serving::{HangUp, OnReady, Serve, Serving};

use crate::config::Config;
use crate::service::admin::{Condition, Refusal};
use crate::store::Revision;
use clap::Parser;
use request::{Configured, Todo};
use std::ffi::OsString;
use std::process::ExitCode;

/// How a command ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// Done.
    Done,
    /// Refused, for a reason that was said.
    Refused,
    /// The line itself is wrong.
    Usage,
    /// The configuration is wrong (`EX_CONFIG` of sysexits).
    BadConfig,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Refused => 1,
            Exit::Usage => 2,
            Exit::BadConfig => 78,
        })
    }
}

/// Why a command was not done.
#[derive(Debug)]
enum NotDone {
    /// It was refused.
    Refused(Refusal),
    /// The configuration does not fit the store.
    BadConfig(String),
}

impl From<Refusal> for NotDone {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Does what the line says; `args` begins with the program's name. `serve` runs a server.
pub fn run(args: impl IntoIterator<Item = OsString>, serve: &Serve<'_>) -> Exit {
    let line = match Line::try_parse_from(args) {
        Ok(line) => line,
        Err(error) => {
            let _ = error.print(); // to standard output if it was asked for help
            return if error.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    let todo = match request::todo(line.command) {
        Ok(Todo::Demo) => return demo::run(serve, line.json), // it has a configuration of its own
        Ok(Todo::Texts(language)) => return print::texts(crate::menu::texts(language), line.json),
        Ok(Todo::Configured(todo)) => todo,
        Err(request::Stop(exit, reason)) => return print::refused(reason, exit),
    };
    let only_if = Condition { expect: line.if_revision.map(Revision), once: None };
    let changes = matches!(&todo, Configured::Ask(request) if !request.only_looks());
    if only_if.expect.is_some() && !changes {
        return print::refused("--if-revision: this changes nothing", Exit::Usage);
    }
    let config = match Config::load(line.config.as_deref()) {
        Ok(config) => config,
        Err(errors) => return print::faults(&errors),
    };
    match todo {
        Configured::Check => {
            let files = [("mail", config.check_texts()), ("menu", config.prompts().map(drop))];
            let bad = files.into_iter().find_map(|(section, found)| Some((section, found.err()?)));
            match (config.read_tls(line.config.as_deref()), bad) {
                (Ok(_), None) => print::checked(line.config.as_deref(), line.json),
                (Err(errors), _) => print::faults(&errors),
                (_, Some((section, fault))) => {
                    let reason = format_args!("{section}.{}: {}", fault.key, fault.reason);
                    print::refused(reason, Exit::BadConfig)
                }
            }
        }
        Configured::Serve => {
            serve(Serving { file: line.config, config, on_hang_up: HangUp::Reload, on_ready: None })
        }
        Configured::Pages(pages) => rows::export(&config, pages, line.json),
        Configured::Ask(request) => match client::ask_if(&config, &request, &only_if) {
            Ok(answer) => print::answer(&answer, line.json),
            Err(not_done) => refuse(not_done),
        },
    }
}

fn refuse(not_done: NotDone) -> Exit {
    match not_done {
        NotDone::Refused(refusal) => {
            print::refused(format_args!("{refusal}{}", way_out(&refusal)), Exit::Refused)
        }
        NotDone::BadConfig(reason) => print::refused(reason, Exit::BadConfig),
    }
}

/// Which option or command helps, where one does: over HTTP it is called otherwise.
const fn way_out(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::TenantNotEmpty { .. } | Refusal::TenantHasStations(_) => {
            "; --with-extensions removes them too"
        }
        Refusal::NoEmail(_) => ": extension set --email",
        _ => "",
    }
}
