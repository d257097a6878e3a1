//! What people set for themselves: the PIN of phone access, the security question.

use super::answer::{Answered, Done};
use super::extensions::NewPin;
use super::{Api, Body};
use crate::account::LoginName;
use crate::http::problem::Problem;
use crate::service::admin::{Caller, Condition, Password, Request};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::put;
use serde::Deserialize;
use utoipa::{OpenApi, ToSchema};

#[derive(OpenApi)]
#[openapi(paths(set_pin, remove_pin, set_question, remove_question))]
pub(super) struct Doc;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/me/pin", put(set_pin).delete(remove_pin))
        .route("/api/v1/me/question", put(set_question).delete(remove_question))
}

/// A security question. Case, spaces and accents of the answer do not count.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewQuestion {
    /// What is asked.
    #[schema(min_length = 1, max_length = 128)]
    question: String,
    /// What is to be answered; only a keyed hash of it is kept.
    #[schema(min_length = 1, max_length = 128, write_only)]
    answer: String,
}

#[utoipa::path(put, path = "/api/v1/me/pin", tag = "me", request_body = NewPin,
    responses((status = 200, description = "It is set", body = Done)))]
/// Set one's PIN of phone access
async fn set_pin(
    State(api): State<Api>,
    caller: Caller,
    condition: Condition,
    Body(NewPin { pin }): Body<NewPin>,
) -> Answered {
    let login = own(&caller)?;
    api.change(caller, condition, Request::PinSet { login, pin: Password::new(pin) }).await
}

#[utoipa::path(delete, path = "/api/v1/me/pin", tag = "me",
    responses((status = 200, description = "There is none", body = Done)))]
/// Take one's PIN away
async fn remove_pin(State(api): State<Api>, caller: Caller, condition: Condition) -> Answered {
    let login = own(&caller)?;
    api.change(caller, condition, Request::PinRemove { login }).await
}

#[utoipa::path(put, path = "/api/v1/me/question", tag = "me", request_body = NewQuestion,
    responses((status = 200, description = "It is set", body = Done)))]
/// Set one's security question
async fn set_question(
    State(api): State<Api>,
    caller: Caller,
    condition: Condition,
    Body(NewQuestion { question, answer }): Body<NewQuestion>,
) -> Answered {
    let login = own(&caller)?;
    let answer = Password::new(answer);
    api.change(caller, condition, Request::QuestionSet { login, question, answer }).await
}

#[utoipa::path(delete, path = "/api/v1/me/question", tag = "me",
    responses((status = 200, description = "There is none", body = Done)))]
/// Take one's security question away
async fn remove_question(State(api): State<Api>, caller: Caller, condition: Condition) -> Answered {
    let login = own(&caller)?;
    api.change(caller, condition, Request::QuestionRemove { login }).await
}

/// The caller's own extension; an operator has none.
fn own(caller: &Caller) -> Result<LoginName, Problem> {
    let none = || Problem::new(StatusCode::NOT_FOUND, "you have no extension of your own");
    caller.actor.login().cloned().ok_or_else(none)
}
