//! Who is signed in, and the password.

use super::super::problem::fields;
use super::guard::{Denied, Member, Newcomer};
use super::session::{answer, nothing};
use crate::account::Role;
use crate::service::admin::Password;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

/// Who is signed in.
pub(super) async fn show(Member { here, .. }: Member) -> Response {
    let login = here.login();
    let body = json!({
        "login": login.as_str(),
        "tenant": login.tenant(),
        "extension": login.number(),
        "name": here.name,
        "email": here.email,
        "role": match here.role {
            Role::User => "user",
            Role::Admin => "admin",
        },
        "second_factor": here.second,
    });
    answer(StatusCode::OK, &body)
}

/// Changes the password.
pub(super) async fn change_password(
    Newcomer(member): Newcomer,
    request: Request,
) -> Result<Response, Denied> {
    let [old, new] = fields(request, ["old", "new"]).await?;
    let (old, new) = (Password::new(old), Password::new(new));
    member.desk.change_password(&member.here, old, new, member.from).await?;
    Ok(nothing())
}
