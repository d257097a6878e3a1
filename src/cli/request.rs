//! From the grammar to what is to be done.

use super::grammar::{
    App, Audit, Binding, Command, Device, Extension, Lock, Password, Pin, Policy, Role, Tenant,
};
use super::who::Misnamed;
use super::{Exit, password};
use crate::account;
use crate::base::limit;
use crate::service::admin::{Expect, NewPassword, NumberChanges, Request, TenantSettings};
use std::io::Read;
use std::path::Path;

/// What a line asks for.
pub(super) enum Todo {
    /// Run a throw-away system.
    Demo,
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
        Command::Check => return Ok(Todo::Configured(Configured::Check)),
        Command::Tenant(verb) => tenant(verb),
        Command::Extension(verb) => extension(verb)?,
        Command::Password(verb) => set_password(&verb)?,
        Command::Pin(verb) => pin(&verb)?,
        Command::App(verb) => app(verb)?,
        Command::Device(verb) => device(&verb)?,
        Command::Lock(verb) => lock(&verb)?,
        Command::Binding(verb) => binding(verb)?,
        Command::Audit(verb) => audit(&verb)?,
        Command::Import { file } => Request::Import { csv: file_text(&file)? },
    };
    Ok(Todo::Configured(Configured::Ask(Box::new(request))))
}

fn tenant(verb: Tenant) -> Request {
    match verb {
        Tenant::Add { code, name, policy } => {
            Request::TenantAdd { code, settings: settings(Some(name), policy) }
        }
        Tenant::Show { code } => Request::TenantShow { code },
        Tenant::List => Request::TenantList { after: None },
        Tenant::Set { code, name, policy } => Request::TenantSet { code, settings: settings(name, policy) },
        Tenant::Suspend { code } => Request::TenantSuspend { code },
        Tenant::Resume { code } => Request::TenantResume { code },
        Tenant::Remove { code, with_extensions } => {
            let extensions = if with_extensions { Expect::Any } else { Expect::None };
            Request::TenantRemove { code, extensions }
        }
    }
}

fn settings(name: Option<String>, policy: Policy) -> TenantSettings {
    TenantSettings {
        name,
        max_devices: policy.max_devices,
        max_failures: policy.max_failures,
        window_s: policy.lock_window_s,
        duration_s: policy.lock_duration_s,
        language: policy.language,
        main_number: policy.main_number,
        password_policy: policy.password_policy,
        question_required: policy.question_required,
        random_password_by_mail: policy.random_password_by_mail,
        two_step_required: policy.two_step_required,
        mail_prefix: policy.mail_prefix,
        mail_sender: policy.mail_sender,
        mail_new_device: policy.mail_new_device,
        mail_locked: policy.mail_locked,
    }
}

fn extension(verb: Extension) -> Result<Request, Stop> {
    Ok(match verb {
        Extension::Add { who, name, email, password_stdin } => {
            let login = who.login()?;
            let password = if password_stdin { Some(from_stdin()?) } else { None };
            Request::ExtensionAdd { login, name, email, password }
        }
        Extension::Show(who) => Request::ExtensionShow { login: who.login()? },
        Extension::List { tenant } => Request::ExtensionList { tenant, after: None },
        Extension::Set { who, name, email, role, number, remove_number } => {
            let role = role.map(|role| match role {
                Role::User => account::Role::User,
                Role::Admin => account::Role::Admin,
            });
            let numbers = NumberChanges { add: number, remove: remove_number };
            Request::ExtensionSet { login: who.login()?, name, email, role, numbers }
        }
        Extension::Invite(who) => Request::ExtensionInvite { login: who.login()? },
        Extension::Disable(who) => Request::ExtensionDisable { login: who.login()? },
        Extension::Enable(who) => Request::ExtensionEnable { login: who.login()? },
        Extension::Remove(who) => Request::ExtensionRemove { login: who.login()? },
    })
}

fn set_password(verb: &Password) -> Result<Request, Stop> {
    Ok(match verb {
        Password::Set { who, generate, .. } => {
            Request::PasswordSet { login: who.login()?, password: new_password(*generate)? }
        }
        Password::Reset(who) => Request::PasswordReset { login: who.login()? },
    })
}

fn pin(verb: &Pin) -> Result<Request, Stop> {
    Ok(match verb {
        Pin::Set { who, .. } => Request::PinSet { login: who.login()?, pin: from_stdin()? },
        Pin::Remove(who) => Request::PinRemove { login: who.login()? },
    })
}

fn app(verb: App) -> Result<Request, Stop> {
    Ok(match verb {
        App::Enable { who, email, generate, .. } => {
            Request::AppEnable { login: who.login()?, email, password: new_password(generate)? }
        }
        App::Disable(who) => Request::AppDisable { login: who.login()? },
    })
}

fn device(verb: &Device) -> Result<Request, Stop> {
    Ok(match verb {
        Device::List(who) => Request::DeviceList { login: who.login()? },
        Device::Rename(who) => {
            let (login, device, name) = who.device_name()?;
            Request::DeviceRename { login, device, name }
        }
        Device::Revoke(who) => {
            let (login, device) = who.device()?;
            Request::DeviceRevoke { login, device }
        }
        Device::Set { who, .. } => {
            let (login, device) = who.device()?;
            Request::DeviceAnyAlgorithm { login, device }
        }
    })
}

fn lock(verb: &Lock) -> Result<Request, Stop> {
    Ok(match verb {
        Lock::List(place) => {
            let (tenant, number) = place.narrowed()?;
            Request::LockList { tenant, number }
        }
        Lock::Clear { source: Some(source), .. } => Request::BanClear { source: *source },
        Lock::Clear { place, source: None } => Request::LockClear { login: place.login()? },
    })
}

fn binding(verb: Binding) -> Result<Request, Stop> {
    Ok(match verb {
        Binding::List(who) => Request::BindingList { login: who.login()? },
        Binding::Remove { who, contact } => Request::BindingRemove { login: who.login()?, contact },
    })
}

fn audit(verb: &Audit) -> Result<Request, Stop> {
    let Audit::List { place, last } = verb;
    let (tenant, number) = place.narrowed()?;
    Ok(Request::AuditList { tenant, number, last: usize::from(*last) })
}

fn new_password(generate: bool) -> Result<NewPassword, Stop> {
    if generate { Ok(NewPassword::Generate) } else { from_stdin().map(NewPassword::Given) }
}

fn from_stdin() -> Result<crate::service::admin::Password, Stop> {
    password::first_line(std::io::stdin().lock()).map_err(|reason| Stop(Exit::Refused, reason))
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
