//! What the verbs of tenants, extensions, passwords and apps ask for.

use super::{Stop, from_stdin, new_password};
use crate::account;
use crate::cli::grammar::{App, Extension, Password, Pin, Policy, Role, Second, Tenant};
use crate::service::admin::{Expect, NumberChanges, Page, Request, Search, TenantSettings};

pub(super) fn tenant(verb: Tenant) -> Request {
    match verb {
        Tenant::Add { code, name, policy } => {
            Request::TenantAdd { code, settings: settings(Some(name), policy) }
        }
        Tenant::Show { code } => Request::TenantShow { code },
        Tenant::List => Request::TenantList { after: None, limit: None },
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
        require_sha256: policy.require_sha256,
        mail_prefix: policy.mail_prefix,
        mail_sender: policy.mail_sender,
        mail_new_device: policy.mail_new_device,
        mail_locked: policy.mail_locked,
    }
}

pub(super) fn extension(verb: Extension) -> Result<Request, Stop> {
    Ok(match verb {
        Extension::Add { who, name, email, password_stdin } => {
            let login = who.login()?;
            let password = if password_stdin { Some(from_stdin("password")?) } else { None };
            Request::ExtensionAdd { login, name, email, password }
        }
        Extension::Show(who) => Request::ExtensionShow { login: who.login()? },
        Extension::List { tenant, state, search } => {
            let search = Search { text: search, state };
            Request::ExtensionList { tenant, search, page: Page::default() }
        }
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

pub(super) fn set_password(verb: &Password) -> Result<Request, Stop> {
    Ok(match verb {
        Password::Set { who, generate, .. } => {
            Request::PasswordSet { login: who.login()?, password: new_password(*generate)? }
        }
        Password::Suggest(who) => Request::PasswordSuggest { login: who.login()? },
        Password::Reset(who) => Request::PasswordReset { login: who.login()? },
    })
}

pub(super) fn pin(verb: &Pin) -> Result<Request, Stop> {
    Ok(match verb {
        Pin::Set { who, .. } => Request::PinSet { login: who.login()?, pin: from_stdin("PIN")? },
        Pin::Remove(who) => Request::PinRemove { login: who.login()? },
    })
}

pub(super) fn second(verb: &Second) -> Result<Request, Stop> {
    Ok(match verb {
        Second::Show(who) => Request::SecondShow { login: who.login()? },
        Second::Clear(who) => Request::SecondClear { login: who.login()? },
    })
}

pub(super) fn app(verb: App) -> Result<Request, Stop> {
    Ok(match verb {
        App::Enable { who, email, generate, .. } => {
            Request::AppEnable { login: who.login()?, email, password: new_password(generate)? }
        }
        App::Disable(who) => Request::AppDisable { login: who.login()? },
    })
}
