//! What is answered, and which refusal has which status: the only place where that is said.

use super::condition::tagged;
use super::{AGAIN, Api};
use crate::http::problem::{Fault, Problem};
use crate::service::admin::{
    Answer, AuditView, BindingView, Caller, Condition, DeviceView, ExtensionView, HistoryView, KeyView,
    LockView, Refusal, Request, Response, StationView, TenantView, Who,
};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response as Page};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// When another code by SMS may be asked for.
const TEXT_AGAIN: std::time::Duration = crate::account::second::MAILED_AGAIN;

/// What a request over HTTP comes to.
pub(in crate::http) type Answered = Result<Page, Problem>;

impl Api {
    /// Has a request done that only looks.
    pub(super) async fn look(&self, caller: Caller, request: Request) -> Answered {
        self.ask(StatusCode::OK, caller, request, Condition::default()).await
    }

    /// Has a change made.
    pub(super) async fn change(&self, caller: Caller, condition: Condition, request: Request) -> Answered {
        self.ask(StatusCode::OK, caller, request, condition).await
    }

    /// Has something made that was not there (201).
    pub(super) async fn make(&self, caller: Caller, condition: Condition, request: Request) -> Answered {
        self.ask(StatusCode::CREATED, caller, request, condition).await
    }

    async fn ask(
        &self,
        status: StatusCode,
        caller: Caller,
        request: Request,
        condition: Condition,
    ) -> Answered {
        let (command, looks) = (request.command(), request.only_looks());
        let result = self.admin()?.answer(request, Who::Caller(caller), condition).await;
        match &result {
            Ok(_) if looks => tracing::debug!(command, "api: looked"),
            Ok(_) => tracing::info!(command, "api: done"),
            Err(_) => tracing::info!(command, "api: refused"),
        }
        Ok(page(status, &result?))
    }
}

/// An answer as JSON, with its revision as its entity tag. None may be kept by a browser or a proxy.
fn page(status: StatusCode, answer: &Answer) -> Page {
    let body = match &answer.response {
        Response::Tenants { rows, next } => json!({ "items": rows, "next": next }),
        Response::Extensions { rows, next } => json!({ "items": rows, "next": next }),
        Response::Stations { rows, next } => json!({ "items": rows, "next": next }),
        Response::AuditPage { rows, next } => json!({ "items": rows, "next": next }),
        Response::History(rows) => items(rows),
        Response::Devices(rows) => items(rows),
        Response::Bindings(rows) => items(rows),
        Response::Locks(rows) => items(rows),
        Response::Audit(rows) => items(rows),
        Response::Keys(rows) => items(rows),
        _ => answer.object(),
    };
    let kind = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    tagged((status, kind, body.to_string()).into_response(), answer.revision)
}

fn items<T: Serialize>(rows: &[T]) -> Value {
    json!({ "items": rows })
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        use Refusal as R;
        let status = match &refusal {
            R::NoSuchTenant(_)
            | R::NoSuchExtension(_)
            | R::NoSuchStation(_)
            | R::NoSuchDevice { .. }
            | R::NoSuchBinding(_)
            | R::NoSuchKey(_)
            | R::NoInvitation => StatusCode::NOT_FOUND,
            R::TenantExists(_)
            | R::ExtensionExists(_)
            | R::TenantNotEmpty { .. }
            | R::TenantHasStations(_)
            | R::StationExists(_)
            | R::StationNotRegistered(_)
            | R::StationInUse { .. }
            | R::NotActive(_)
            | R::NoPassword(_)
            | R::NoEmail(_)
            | R::LastAdministrator(_)
            | R::NoSecondFactor(_)
            | R::SecondRequired(_)
            | R::NoTexts
            | R::NoMobile(_)
            | R::TextRefused
            | R::NumberTaken(_)
            | R::Full(_) => StatusCode::CONFLICT,
            R::Changed { .. } | R::NoRevision => StatusCode::PRECONDITION_FAILED,
            R::BadValue { what, .. } if option(what).is_none() => StatusCode::CONFLICT,
            R::WeakPassword(_)
            | R::WeakPin(_)
            | R::WrongAnswer
            | R::BadFields(_)
            | R::BadValue { .. }
            | R::BadRows(_)
            | R::OtherRequest => StatusCode::UNPROCESSABLE_ENTITY,
            R::Denied(_) => StatusCode::FORBIDDEN,
            R::Protocol(_) => StatusCode::BAD_REQUEST,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        match refusal {
            R::WeakPassword(rules) => Self::new(status, "the password is refused")
                .with_errors(rules.into_iter().map(|rule| Fault::new("password", rule)).collect()),
            R::WeakPin(rules) => Self::new(status, "the PIN is refused")
                .with_errors(rules.into_iter().map(|rule| Fault::new("pin", rule)).collect()),
            R::WrongAnswer => {
                let reason = "it is wrong, or missing";
                Self::new(status, refusal.to_string()).with_errors(vec![Fault::new("answer", reason)])
            }
            R::BadFields(fields) => Self::new(status, "some fields are wrong").with_errors(faults(fields)),
            R::BadValue { what, reason } => {
                let field = option(&what);
                let detail = format!("{}: {reason}", field.as_deref().unwrap_or(&what));
                let errors = field.map(|field| Fault::new(field, reason));
                Self::new(status, detail).with_errors(errors.into_iter().collect())
            }
            R::BadRows(rows) => {
                let fault = |row: &crate::service::admin::RowFault| Fault::new(&row.column, row.to_string());
                Self::new(status, "nothing was imported").with_errors(rows.iter().map(fault).collect())
            }
            // Its reason may tell of the machine.
            R::Store(_) | R::Answered => {
                Self::new(status, "it cannot be said whether this was done; try again").after(AGAIN)
            }
            R::TextWaits => Self::new(status, refusal.to_string()).after(TEXT_AGAIN),
            R::NoMail(_) => Self::new(status, "no mail can be sent").after(AGAIN),
            other => Self::new(status, other.to_string()),
        }
    }
}

/// Faults of fields that may be called as the command's options are.
pub(super) fn faults(fields: Vec<(String, String)>) -> Vec<Fault> {
    let of = |(field, reason): (String, String)| Fault::new(option(&field).unwrap_or(field), reason);
    fields.into_iter().map(of).collect()
}

/// The name of a field from that of the command's option; none if it is another thing that is wrong, as
/// the state of an extension.
fn option(what: &str) -> Option<String> {
    let is_field = |what: &&str| what.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let name = what.strip_prefix("--").or(Some(what).filter(is_field))?;
    Some(name.strip_prefix("lock-").unwrap_or(name).replace('-', "_"))
}

/// Something was done.
#[derive(Serialize, ToSchema)]
#[allow(dead_code)]
pub(super) struct Done {
    /// Always true.
    done: bool,
    /// The new revision of the tenant or extension, if it is one and still there.
    revision: Option<u64>,
}

/// A new password, or that it was set.
#[derive(Serialize, ToSchema)]
#[allow(dead_code)]
pub(super) struct PasswordSet {
    /// Whose, if it was generated.
    login: Option<String>,
    /// The generated password, shown this once.
    password: Option<String>,
    /// That it was done, if nothing is to be shown.
    done: Option<bool>,
    /// The new revision of the extension.
    revision: u64,
}

/// The app is enabled with a new password.
#[derive(Serialize, ToSchema)]
#[allow(dead_code)]
pub(super) struct AppEnabled {
    /// Whose.
    login: String,
    /// The password, shown this once; null if it was not generated.
    password: Option<String>,
    /// To which address the mail goes that says where the app is had; null if none does.
    email: Option<String>,
    /// Why no mail does; null if one does.
    unmailed: Option<String>,
    /// The new revision of the extension.
    revision: u64,
}

/// A password that would do; nothing has changed.
#[derive(Serialize, ToSchema)]
#[allow(dead_code)]
pub(super) struct Suggested {
    /// It.
    password: String,
    /// The revision of the extension.
    revision: u64,
}

/// An invitation that was sent.
#[derive(Serialize, ToSchema)]
#[allow(dead_code)]
pub(super) struct Invited {
    /// To which address.
    email: String,
    /// When its link ends.
    until: String,
    /// The new revision of the extension.
    revision: u64,
}

/// A reset that was sent.
#[derive(Serialize, ToSchema)]
#[allow(dead_code)]
pub(super) struct ResetSent {
    /// To which address.
    email: String,
    /// When its link ends; null for a random password.
    until: Option<String>,
    /// The new revision of the extension.
    revision: u64,
}

/// Another key seals the secrets in the store.
#[derive(Serialize, ToSchema)]
#[allow(dead_code)]
pub(super) struct Rotated {
    /// Its id; the key itself stands in the key file alone.
    key: String,
}

/// An access key, shown this once.
#[derive(Serialize, ToSchema)]
#[allow(dead_code)]
pub(super) struct KeyMade {
    /// Its id.
    id: String,
    /// Its secret. Both stand in `Authorization: Bearer ID.SECRET`.
    secret: String,
    /// The new revision of the extension, if it is one's.
    revision: Option<u64>,
}

macro_rules! list {
    ($(#[$doc:meta])* $name:ident of $view:ident) => {
        $(#[$doc])*
        #[derive(Serialize, ToSchema)]
        #[allow(dead_code)]
        pub(super) struct $name {
            /// Its rows.
            items: Vec<$view>,
        }
    };
    ($(#[$doc:meta])* $name:ident of pages of $view:ident) => {
        $(#[$doc])*
        #[derive(Serialize, ToSchema)]
        #[allow(dead_code)]
        pub(super) struct $name {
            /// Its rows.
            items: Vec<$view>,
            /// What to give as `after` to see more; null if there is no more.
            next: Option<String>,
        }
    };
}

list!(/** Tenants by code. */ Tenants of pages of TenantView);
list!(/** Extensions by tenant and number. */ Extensions of pages of ExtensionView);
list!(/** Stations by tenant and ID. */ Stations of pages of StationView);
list!(/** What became of registrations, the newest last. */ History of HistoryView);
list!(/** Activated devices. */ Devices of DeviceView);
list!(/** Live bindings. */ Bindings of BindingView);
list!(/** Locks and bans. */ Locks of LockView);
list!(/** Lines of the audit, the newest last; in pages the oldest first. */ Audit of pages of AuditView);
list!(/** Access keys, without their secrets. */ Keys of KeyView);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_called_as_its_field() {
        for (what, name) in [
            ("--name", Some("name")),
            ("--lock-window-s", Some("window_s")),
            ("--max-devices", Some("max_devices")),
            ("after", Some("after")),
            ("200-acme", None),
        ] {
            assert_eq!(option(what).as_deref(), name);
        }
    }
}
