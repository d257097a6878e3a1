//! Locks, bans and the audit over HTTP.

use super::Api;
use super::answer::{Answered, Audit, Done, Locks};
use super::names::{ExtensionPath, OfExtension, OfSource, OfTenant, SourcePath, TenantPath};
use super::query::{PAGE_ROWS, Query};
use crate::account::{AccountId, LoginName, TenantCode};
use crate::base::limit::HTTP_PAGE_ROWS_MAX;
use crate::http::problem::Problem;
use crate::service::admin::{Caller, Condition, Narrow, Request};
use axum::Router;
use axum::extract::State;
use axum::routing::{delete, get};
use utoipa::{IntoParams, OpenApi};

#[derive(OpenApi)]
#[openapi(paths(all_locks, locks_of_tenant, locks, unlock, unban, whole_audit, audit_of_tenant, audit))]
pub(super) struct Doc;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/locks", get(all_locks))
        .route("/api/v1/tenants/{tenant}/locks", get(locks_of_tenant))
        .route("/api/v1/tenants/{tenant}/extensions/{number}/locks", get(locks).delete(unlock))
        .route("/api/v1/bans/{source}", delete(unban))
        .route("/api/v1/audit", get(whole_audit))
        .route("/api/v1/tenants/{tenant}/audit", get(audit_of_tenant))
        .route("/api/v1/tenants/{tenant}/extensions/{number}/audit", get(audit))
}

/// The tenant of an extension or a station, and its number or ID.
pub(super) fn parts(login: &LoginName) -> (Option<TenantCode>, Option<AccountId>) {
    (login.tenant().parse().ok(), login.number().parse().ok())
}

/// Which lines of the audit are shown.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code)]
pub(super) struct AuditQuery {
    /// Only so many of the newest; not with `pages`
    #[param(minimum = 1, maximum = 1000)]
    last: Option<u32>,
    /// Not before this: 2026-01-31T09:05:00Z, or a day
    since: Option<String>,
    /// Not after this
    until: Option<String>,
    /// By whom: a part of what stands there
    by: Option<String>,
    /// This command or action alone
    action: Option<String>,
    /// In pages, the oldest first, instead of the newest
    pages: Option<bool>,
    /// At most so many in a page
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The page behind this one: its `next`
    #[param(max_length = 512)]
    after: Option<String>,
}

/// What is asked of the audit.
///
/// # Errors
/// If the query has faults.
pub(super) fn lines(
    mut query: Query,
    tenant: Option<TenantCode>,
    number: Option<AccountId>,
) -> Result<Request, Problem> {
    let [last, limit] = ["last", "limit"].map(|name| query.number(name, 1, HTTP_PAGE_ROWS_MAX));
    let narrow = Narrow {
        since: query.get("since"),
        until: query.get("until"),
        by: query.text("by"),
        action: query.text("action"),
    };
    let (pages, after) = (query.get::<bool>("pages").unwrap_or(false), query.text("after"));
    let pages = pages || after.is_some();
    match (last, limit) {
        (Some(_), _) if pages => query.refuse("last", "pages begin with the oldest; see limit"),
        (_, Some(_)) if !pages => query.refuse("limit", "only pages have it; see last"),
        _ => {}
    }
    query.end()?;
    Ok(if pages {
        let limit = Some(limit.unwrap_or(PAGE_ROWS));
        Request::AuditExport { tenant, number, narrow, after, limit }
    } else {
        Request::AuditList { tenant, number, narrow, last: last.unwrap_or(PAGE_ROWS) }
    })
}

#[utoipa::path(get, path = "/api/v1/locks", tag = "locks",
    responses((status = 200, description = "All locks, and the bans of sources", body = Locks)))]
/// List all locks and bans
async fn all_locks(State(api): State<Api>, caller: Caller) -> Answered {
    api.look(caller, Request::LockList { tenant: None, number: None }).await
}

#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/locks", tag = "locks", params(TenantPath),
    responses((status = 200, description = "The locks of its extensions", body = Locks)))]
/// List the locks of a tenant
async fn locks_of_tenant(State(api): State<Api>, caller: Caller, OfTenant(code): OfTenant) -> Answered {
    api.look(caller, Request::LockList { tenant: Some(code), number: None }).await
}

#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/extensions/{number}/locks", tag = "locks",
    params(ExtensionPath), responses((status = 200, description = "Its locks", body = Locks)))]
/// List the locks of an extension
async fn locks(State(api): State<Api>, caller: Caller, OfExtension(login): OfExtension) -> Answered {
    let (tenant, number) = parts(&login);
    api.look(caller, Request::LockList { tenant, number }).await
}

#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/extensions/{number}/locks", tag = "locks",
    params(ExtensionPath),
    responses((status = 200, description = "It is not locked, and its failures are forgotten", body = Done)))]
/// Unlock an extension
async fn unlock(
    State(api): State<Api>,
    caller: Caller,
    OfExtension(login): OfExtension,
    condition: Condition,
) -> Answered {
    api.change(caller, condition, Request::LockClear { login }).await
}

#[utoipa::path(delete, path = "/api/v1/bans/{source}", tag = "locks", params(SourcePath),
    responses((status = 200, description = "It is not banned", body = Done)))]
/// End the ban of a source
async fn unban(
    State(api): State<Api>,
    caller: Caller,
    OfSource(source): OfSource,
    condition: Condition,
) -> Answered {
    api.change(caller, condition, Request::BanClear { source }).await
}

#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(
    AuditQuery,
), responses((status = 200, description = "What was done everywhere", body = Audit)))]
/// List what was done everywhere
async fn whole_audit(State(api): State<Api>, caller: Caller, query: Query) -> Answered {
    api.look(caller, lines(query, None, None)?).await
}

#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/audit", tag = "audit", params(TenantPath,
    AuditQuery,
), responses((status = 200, description = "What was done to it and its extensions", body = Audit)))]
/// List what was done to a tenant and its extensions
async fn audit_of_tenant(
    State(api): State<Api>,
    caller: Caller,
    OfTenant(code): OfTenant,
    query: Query,
) -> Answered {
    api.look(caller, lines(query, Some(code), None)?).await
}

#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/extensions/{number}/audit", tag = "audit",
    params(ExtensionPath,
        AuditQuery),
    responses((status = 200, description = "What was done to it", body = Audit)))]
/// List what was done to an extension
async fn audit(
    State(api): State<Api>,
    caller: Caller,
    OfExtension(login): OfExtension,
    query: Query,
) -> Answered {
    let (tenant, number) = parts(&login);
    api.look(caller, lines(query, tenant, number)?).await
}
