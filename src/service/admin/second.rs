//! Two-step verification of others: how it stands, and its end where somebody has lost their phone.

use super::app::owe;
use super::view::{Response, SecondView};
use super::{Admin, By, Refusal, record};
use crate::account::{LoginName, MailKind};
use crate::base::time::Wall;
use crate::service::portal::{SecondStanding, factors};

impl Admin {
    pub(super) async fn second_show(&self, login: LoginName) -> Result<Response, Refusal> {
        let record = self.look(move |view| record(&view, &login)).await?;
        let standing = SecondStanding::of(&record);
        Ok(Response::Second(SecondView {
            login: record.login.to_string(),
            state: standing.state.to_owned(),
            since: standing.since.map(Wall::rfc3339),
            methods: standing.methods.join(" "),
            recovery_codes_left: standing.recovery as u64,
            mobile: standing.mobile,
        }))
    }

    /// Takes the second factor away: from now on the password alone opens the portal.
    pub(super) async fn second_clear(&self, by: By, login: LoginName) -> Result<Response, Refusal> {
        self.change(by, login, |record, txn| {
            if !factors::clear(record) {
                return Err(Refusal::NoSecondFactor(record.login.to_string()));
            }
            owe(record, txn, MailKind::SecondFactorCleared);
            Ok(Response::Done.into())
        })
        .await
    }
}
