//! Refusals as problem details (RFC 9457).

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// A refusal: a status, a sentence, and faults by field.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    errors: Vec<Fault>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What is wrong with one field of a request.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub(super) struct Fault {
    /// Which field, parameter or header.
    pub(super) field: String,
    /// Why.
    pub(super) reason: String,
}

/// A refusal as it is sent (RFC 9457), as `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
#[allow(dead_code)] // what it is made of is described here and written in `into_response`
pub(super) struct ProblemBody {
    /// The status in words.
    title: String,
    /// The status.
    status: u16,
    /// Why, for people.
    detail: String,
    /// Every field that is wrong; empty if none is.
    errors: Vec<Fault>,
}

impl Fault {
    pub(super) fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), errors: Vec::new(), headers: Vec::new() }
    }

    /// Some fields are wrong (400): these.
    pub(super) fn faults(errors: Vec<Fault>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "some fields are wrong").with_errors(errors)
    }

    /// The same with what is wrong with which field.
    pub(super) fn with_errors(mut self, errors: Vec<Fault>) -> Self {
        self.errors = errors;
        self
    }

    /// The same of another field.
    pub(super) fn of_field(mut self, field: &str) -> Self {
        self.errors.iter_mut().for_each(|fault| field.clone_into(&mut fault.field));
        self
    }

    /// The same with when to ask again: in a second at the soonest.
    pub(super) fn after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.with_header(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }

    /// The same with one more header field.
    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Its status.
    #[cfg(test)]
    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, detail, errors, headers } = self;
        let title = status.canonical_reason().unwrap_or("Refused").to_owned();
        let body = ProblemBody { title, status: status.as_u16(), detail, errors };
        let mut response = (status, serde_json::to_string(&body).unwrap_or_default()).into_response();
        let fields = response.headers_mut();
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        fields.extend(headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_rounded_up() {
        for (millis, told) in [(0, "1"), (1, "1"), (1_000, "1"), (1_001, "2"), (2_900, "3")] {
            let problem =
                Problem::new(StatusCode::TOO_MANY_REQUESTS, "x").after(Duration::from_millis(millis));
            assert_eq!(problem.into_response().headers()[header::RETRY_AFTER], told, "{millis}");
        }
    }
}
