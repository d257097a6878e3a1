//! What the verbs of stations ask for.

use super::{Stop, from_stdin, new_password};
use crate::cli::grammar::Station;
use crate::service::admin::{NewPassword, Request};

pub(super) fn station(verb: Station) -> Result<Request, Stop> {
    Ok(match verb {
        Station::Add { desk, name, generate, .. } => {
            Request::StationAdd { login: desk.login()?, name, password: new_password(generate)? }
        }
        Station::List { tenant } => Request::StationList { tenant, after: None },
        Station::Show(desk) => Request::StationShow { login: desk.login()? },
        Station::Set { desk, name, password_stdin, generate } => {
            let login = desk.login()?;
            let password = match (generate, password_stdin) {
                (true, _) => Some(NewPassword::Generate),
                (false, true) => Some(NewPassword::Given(from_stdin("password")?)),
                (false, false) => None,
            };
            Request::StationSet { login, name, password }
        }
        Station::Remove(desk) => Request::StationRemove { login: desk.login()? },
        Station::Login(who) => {
            let (login, station) = who.at()?;
            Request::StationLogin { login, station }
        }
        Station::Logout(who) => Request::StationLogout { login: who.login()? },
    })
}
