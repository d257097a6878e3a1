//! Where a forgotten password is told, and replaced.
//!
//! | request | answers |
//! |---------|---------|
//! | `GET /forgot`, `/forgot.js` | a plain page that asks who one is |
//! | `POST /api/v1/forgot` `{identity}` or `{main_number,extension}` | 202 and one sentence, whoever that is, or nobody |
//! | `GET /reset`, `/reset.js` | a plain page that asks for a password; the token stays behind the `#` until it is sent |
//! | `POST /api/v1/reset/view` `{token}` | 200 `{login,question}`: what must be answered, or null |
//! | `POST /api/v1/reset` `{token,password,answer}` | 200 `{login,strength,guesses}`; every login with the old password has ended |
//!
//! The last takes `Idempotency-Key`: a link works once, and under its key is answered as then.
//!
//! Refusals are problem details: 400, 408, 413, 415 (the request), 404 (the link does not work: unknown,
//! ended, used, replaced and killed ones have one answer), 422 (each rule that the password breaks, or the
//! answer that is wrong or missing), 429 (too many tries from this source), 503 (the store, no way for
//! mails, or still starting).

use super::api::{Api, Once, Open, tagged};
use super::plain::{page, script};
use super::problem::{Fault, Problem, ProblemBody};
use super::refused::LinkRefused;
use crate::account::Typed;
use crate::account::strength::strength;
use crate::service::admin::{Password, Refusal};
use crate::service::mailing::RESET_PATH;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{OpenApi, ToSchema};

/// What whoever asks is told.
const TOLD: &str = "If that is somebody with an e-mail on file, a mail with a link is on its way; it works once, \
                    for an hour. If none comes, ask your administrator.";

/// Most guesses that are told: so many are exact in every reader of JSON.
const GUESSES_MAX: u64 = 1_000_000_000_000_000;

/// What of it the API's document describes.
#[derive(OpenApi)]
#[openapi(paths(forgot, view, reset))]
pub(super) struct Doc;

/// Who has forgotten the password: `identity`, or both of the others.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Forgotten {
    /// An e-mail, a login name or a direct number, or a main number with an extension behind it.
    #[schema(max_length = 254)]
    identity: Option<String>,
    /// The main number of a company,
    #[schema(max_length = 64)]
    main_number: Option<String>,
    /// and the extension there.
    #[schema(max_length = 8)]
    extension: Option<String>,
}

/// A link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Link {
    /// What stands behind the # of the link.
    #[schema(max_length = 128)]
    token: String,
}

/// A link that is used.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSecret {
    /// What stands behind the # of the link.
    #[schema(max_length = 128)]
    token: String,
    /// The password that its person chose.
    #[schema(max_length = 1024, write_only)]
    password: String,
    /// The answer to the security question, if one is asked.
    #[schema(max_length = 1024, write_only)]
    answer: Option<String>,
}

/// The same for everybody.
#[derive(Serialize, ToSchema)]
#[allow(dead_code)]
struct Told {
    /// What to do.
    told: String,
}

/// What is behind a link.
#[derive(Serialize, ToSchema)]
#[allow(dead_code)]
struct Behind {
    /// Whose password it sets.
    login: String,
    /// What must be answered; null if nothing.
    question: Option<String>,
}

/// The password is set.
#[derive(Serialize, ToSchema)]
#[allow(dead_code)]
struct Renewed {
    /// Whose.
    login: String,
    /// How strong it is: 0 to 4.
    strength: u8,
    /// How many guesses it would take.
    guesses: u64,
}

/// The pages and requests.
pub(super) fn pages() -> Router<Api> {
    Router::new()
        .route("/forgot", page(include_str!("pages/forgot.html")))
        .route("/forgot.js", script(include_str!("pages/forgot.js")))
        .route(RESET_PATH, page(include_str!("pages/reset.html")))
        .route("/reset.js", script(include_str!("pages/reset.js")))
        .route("/api/v1/forgot", post(forgot))
        .route("/api/v1/reset/view", post(view))
        .route("/api/v1/reset", post(reset))
}

#[utoipa::path(post, path = "/api/v1/forgot", tag = "passwords", security(()), request_body = Forgotten,
    responses(
        (status = 202, description = "The same for everybody", body = Told),
        (status = 503, description = "The store is away, no mail can be sent, or the server starts; ask again",
            body = ProblemBody, content_type = "application/problem+json"),
    ))]
/// Ask for a link to replace a forgotten password
async fn forgot(State(api): State<Api>, Open { source, body }: Open<Forgotten>) -> Result<Response, Problem> {
    let typed = typed(&body).map_err(Problem::faults)?;
    api.admin()?.forgot(typed, source.0).await?;
    Ok(answer(StatusCode::ACCEPTED, &json!({ "told": TOLD })))
}

#[utoipa::path(post, path = "/api/v1/reset/view", tag = "passwords", security(()), request_body = Link,
    responses(
        (status = 200, description = "What is behind the link", body = Behind),
        LinkRefused,
    ))]
/// See what is behind the link of a reset
async fn view(
    State(api): State<Api>,
    Open { source, body: Link { token } }: Open<Link>,
) -> Result<Response, Problem> {
    let view = api.admin()?.reset_view(&token).await.map_err(refused)?;
    api.give_back(source);
    Ok(answer(StatusCode::OK, &json!({ "login": view.login.as_str(), "question": view.question })))
}

#[utoipa::path(post, path = "/api/v1/reset", tag = "passwords", security(()), request_body = NewSecret,
    responses(
        (status = 200, description = "The password is set; every login with the old one has ended", body = Renewed),
        LinkRefused,
    ))]
/// Use the link of a reset
async fn reset(
    State(api): State<Api>,
    Once(once): Once,
    Open { source, body: NewSecret { token, password, answer: said } }: Open<NewSecret>,
) -> Result<Response, Problem> {
    let password = Password::new(password);
    let said = said.map(Password::new);
    let used = api.admin()?.reset(&token, password.clone(), said, source.0, once).await.map_err(refused)?;
    api.give_back(source);
    let login = used.whose().map(ToString::to_string).unwrap_or_default();
    let name = login.clone();
    // It takes milliseconds.
    let estimate = tokio::task::spawn_blocking(move || strength(password.expose(), &[&name])).await;
    let (score, guesses) = estimate.map_or((0, 0), |estimate| (estimate.score, estimate.guesses));
    let told = json!({ "login": login, "strength": score, "guesses": guesses.min(GUESSES_MAX) });
    Ok(tagged(answer(StatusCode::OK, &told), used.revision))
}

/// Whom the fields name.
fn typed(forgotten: &Forgotten) -> Result<Typed, Vec<Fault>> {
    let Forgotten { identity, main_number, extension } = forgotten;
    match (identity, main_number, extension) {
        (Some(identity), None, None) => Ok(Typed::read(identity)),
        (None, Some(number), Some(extension)) => Ok(Typed::of_main(number, extension)),
        (Some(_), ..) => Err(vec![Fault::new("identity", "either this, or main_number with extension")]),
        (None, number, extension) => {
            let missing = [("main_number", number.is_none()), ("extension", extension.is_none())];
            let missing = missing.into_iter().filter(|(_, missing)| *missing);
            Err(missing.map(|(name, _)| Fault::new(name, "it is missing, or identity is")).collect())
        }
    }
}

/// A link that does not work has one answer, whatever the reason.
fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::WeakPassword(_) | Refusal::WrongAnswer | Refusal::Store(_) | Refusal::OtherRequest => {
            refusal.into()
        }
        _ => {
            let reason = "this link does not work, or not any more; ask for a new one";
            Problem::new(StatusCode::NOT_FOUND, reason)
        }
    }
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, kind, body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_who_one_is_or_main_number_with_extension() {
        let faults = |identity: Option<&str>, number: Option<&str>, extension: Option<&str>| {
            let own = |text: Option<&str>| text.map(str::to_owned);
            let asked =
                Forgotten { identity: own(identity), main_number: own(number), extension: own(extension) };
            let faults = typed(&asked).err().unwrap_or_default();
            faults.into_iter().map(|fault| fault.field).collect::<Vec<_>>()
        };
        assert!(faults(Some("x"), None, None).is_empty());
        assert!(faults(None, Some("1"), Some("2")).is_empty());
        assert_eq!(faults(Some("x"), Some("1"), None), ["identity"]);
        assert_eq!(faults(Some("x"), Some("1"), Some("2")), ["identity"]);
        assert_eq!(faults(None, Some("1"), None), ["extension"]);
        assert_eq!(faults(None, None, Some("2")), ["main_number"]);
        assert_eq!(faults(None, None, None), ["main_number", "extension"]);
    }
}
