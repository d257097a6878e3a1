//! Tenants over HTTP.

use super::answer::{Answered, Done, Tenants};
use super::names::{OfTenant, TenantPath};
use super::query::Query;
use super::{Api, Body};
use crate::account::TenantCode;
use crate::account::password::Policy;
use crate::base::language::Language;
use crate::http::problem::{Fault, Problem};
use crate::service::admin::{Caller, Condition, Expect, Request, TenantSettings, TenantView};
use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use serde::Deserialize;
use utoipa::{OpenApi, ToSchema};

#[derive(OpenApi)]
#[openapi(paths(list, add, show, set, remove, suspend, resume))]
pub(super) struct Doc;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/tenants", get(list).post(add))
        .route("/api/v1/tenants/{tenant}", get(show).patch(set).delete(remove))
        .route("/api/v1/tenants/{tenant}/suspend", post(suspend))
        .route("/api/v1/tenants/{tenant}/resume", post(resume))
}

/// The bodies that set what a tenant may have of its own: what stands there, and all that both have.
macro_rules! tenant_body {
    ($(#[$doc:meta])* $kind:ident { $($(#[$about:meta])* $own:ident: $type:ty,)+ }) => {
        $(#[$doc])*
        #[derive(Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        struct $kind {
            $($(#[$about])* $own: $type,)+
            /// The cap of devices per extension.
            #[schema(minimum = 1, maximum = 16)]
            max_devices: Option<u8>,
            /// Failures that lock an extension.
            #[schema(minimum = 1, maximum = 20)]
            max_failures: Option<u8>,
            /// Within how many seconds.
            #[schema(minimum = 1, maximum = 86400)]
            window_s: Option<u32>,
            /// For how many seconds.
            #[schema(minimum = 1, maximum = 86400)]
            duration_s: Option<u32>,
            /// The language that its people are written to in.
            #[schema(inline)]
            language: Option<Tongue>,
            /// Its main number, with its country's code; an empty text for none.
            #[schema(max_length = 64)]
            main_number: Option<String>,
            /// What new passwords must be like.
            #[schema(inline)]
            password_policy: Option<Rules>,
            /// Whether who has forgotten the password must answer the security question.
            question_required: Option<bool>,
            /// Whether a reset mails a random password instead of a link.
            random_password_by_mail: Option<bool>,
            /// Whether two-step verification cannot be left off.
            two_step_required: Option<bool>,
            /// Whether its phones must sign in by SHA-256: a right password by MD5 is answered with SHA-256 alone.
            require_sha256: Option<bool>,
            /// What stands before the subject of mails; an empty text for nothing.
            #[schema(max_length = 32)]
            mail_prefix: Option<String>,
            /// Who sends mails, as ADDRESS or NAME <ADDRESS>; an empty text for whom the configuration says.
            #[schema(max_length = 320)]
            mail_sender: Option<String>,
            /// Whether people are told by mail of each new device.
            mail_new_device: Option<bool>,
            /// Whether people are told by mail that they are locked out.
            mail_locked: Option<bool>,
        }

        impl $kind {
            /// What it sets, but for the name.
            fn settings(self) -> TenantSettings {
                TenantSettings {
                    name: None,
                    max_devices: self.max_devices,
                    max_failures: self.max_failures,
                    window_s: self.window_s,
                    duration_s: self.duration_s,
                    language: self.language.map(Language::from),
                    main_number: self.main_number,
                    password_policy: self.password_policy.map(|rules| rules.label().to_owned()),
                    question_required: self.question_required,
                    random_password_by_mail: self.random_password_by_mail,
                    two_step_required: self.two_step_required,
                    require_sha256: self.require_sha256,
                    mail_prefix: self.mail_prefix,
                    mail_sender: self.mail_sender,
                    mail_new_device: self.mail_new_device,
                    mail_locked: self.mail_locked,
                }
            }
        }
    };
}

tenant_body!(
    /// A tenant to be added.
    NewTenant {
        /// Its code: 2 to 32 of a-z and 0-9.
        #[schema(pattern = "^[a-z0-9]{2,32}$", min_length = 2, max_length = 32)]
        code: String,
        /// What it is called.
        #[schema(min_length = 1, max_length = 128)]
        name: String,
    }
);

tenant_body!(
    /// What of a tenant is to be changed; what is not given stays.
    TenantChange {
        /// What it is called.
        #[schema(min_length = 1, max_length = 128)]
        name: Option<String>,
    }
);

/// What passwords must be like.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Rules {
    /// 8 to 32 characters with a letter, a digit and a special character.
    Alphanumeric,
    /// At least 8 characters.
    Basic,
}

impl Rules {
    const fn label(self) -> &'static str {
        match self {
            Self::Alphanumeric => Policy::Alphanumeric.label(),
            Self::Basic => Policy::Basic.label(),
        }
    }
}

/// A language of mails.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Tongue {
    En,
    Fr,
}

impl From<Tongue> for Language {
    fn from(tongue: Tongue) -> Self {
        match tongue {
            Tongue::En => Self::English,
            Tongue::Fr => Self::French,
        }
    }
}

#[utoipa::path(get, path = "/api/v1/tenants", tag = "tenants", params(
    ("after" = Option<String>, Query, description = "Only tenants after this code"),
    ("limit" = Option<u32>, Query, description = "At most so many", minimum = 1, maximum = 1000),
), responses((status = 200, description = "A page of tenants, by code", body = Tenants)))]
/// List tenants
async fn list(State(api): State<Api>, caller: Caller, mut query: Query) -> Answered {
    let (after, limit) = (query.get("after"), Some(query.limit()));
    query.end()?;
    api.look(caller, Request::TenantList { after, limit }).await
}

#[utoipa::path(post, path = "/api/v1/tenants", tag = "tenants", request_body = NewTenant,
    responses((status = 201, description = "It was added", body = Done)))]
/// Add a tenant
async fn add(
    State(api): State<Api>,
    caller: Caller,
    condition: Condition,
    Body(mut new): Body<NewTenant>,
) -> Answered {
    let code = new.code.parse::<TenantCode>();
    let code = code.map_err(|error| Problem::faults(vec![Fault::new("code", error.to_string())]))?;
    let name = Some(std::mem::take(&mut new.name));
    let settings = TenantSettings { name, ..new.settings() };
    api.make(caller, condition, Request::TenantAdd { code, settings }).await
}

#[utoipa::path(get, path = "/api/v1/tenants/{tenant}", tag = "tenants", params(TenantPath),
    responses((status = 200, description = "The tenant, with what counts for it now", body = TenantView)))]
/// Show a tenant
async fn show(State(api): State<Api>, caller: Caller, OfTenant(code): OfTenant) -> Answered {
    api.look(caller, Request::TenantShow { code }).await
}

#[utoipa::path(patch, path = "/api/v1/tenants/{tenant}", tag = "tenants", params(TenantPath),
    request_body = TenantChange, responses((status = 200, description = "It was changed", body = Done)))]
/// Change a tenant
async fn set(
    State(api): State<Api>,
    caller: Caller,
    OfTenant(code): OfTenant,
    condition: Condition,
    Body(mut change): Body<TenantChange>,
) -> Answered {
    let name = change.name.take();
    let settings = TenantSettings { name, ..change.settings() };
    api.change(caller, condition, Request::TenantSet { code, settings }).await
}

#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}", tag = "tenants", params(TenantPath,
    ("with_extensions" = Option<bool>, Query, description = "Remove its extensions and its stations too"),
), responses((status = 200, description = "It was removed", body = Done)))]
/// Remove a tenant
async fn remove(
    State(api): State<Api>,
    caller: Caller,
    OfTenant(code): OfTenant,
    condition: Condition,
    mut query: Query,
) -> Answered {
    let with_extensions = query.get("with_extensions").unwrap_or(false);
    query.end()?;
    let extensions = if with_extensions { Expect::Any } else { Expect::None };
    api.change(caller, condition, Request::TenantRemove { code, extensions }).await
}

#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/suspend", tag = "tenants", params(TenantPath),
    responses((status = 200, description = "Its extensions may do nothing", body = Done)))]
/// Suspend a tenant
async fn suspend(
    State(api): State<Api>,
    caller: Caller,
    OfTenant(code): OfTenant,
    condition: Condition,
) -> Answered {
    api.change(caller, condition, Request::TenantSuspend { code }).await
}

#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/resume", tag = "tenants", params(TenantPath),
    responses((status = 200, description = "Its suspension has ended", body = Done)))]
/// End a suspension
async fn resume(
    State(api): State<Api>,
    caller: Caller,
    OfTenant(code): OfTenant,
    condition: Condition,
) -> Answered {
    api.change(caller, condition, Request::TenantResume { code }).await
}
