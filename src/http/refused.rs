//! What requests that need no sign-in are refused with, as the document says it: alike for those of a kind.
//! What holds for all others is said in `api::document`.

use super::problem::ProblemBody;
use utoipa::IntoResponses;

/// Of a sign-in.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "only the document names them")]
pub(super) enum SignInRefused {
    /// What was shown is wrong, or the sign-in must begin anew
    #[response(status = 401, content_type = "application/problem+json")]
    Wrong(ProblemBody),
    /// Locked after too many failures, until Retry-After; or asked by a page of another origin
    #[response(status = 403, content_type = "application/problem+json")]
    Locked(ProblemBody),
    /// Too many at a time, or the store is away; ask again
    #[response(status = 503, content_type = "application/problem+json")]
    Busy(ProblemBody),
}

/// Of a code that is to be sent to whoever signs in.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "only the document names them")]
pub(super) enum CodeRefused {
    /// The sign-in must begin anew
    #[response(status = 401, content_type = "application/problem+json")]
    NotPending(ProblemBody),
    /// Asked by a page of another origin
    #[response(status = 403, content_type = "application/problem+json")]
    Foreign(ProblemBody),
    /// Such codes are not offered or not set up, or the SMS gateway refused one
    #[response(status = 409, content_type = "application/problem+json")]
    NotSetUp(ProblemBody),
    /// The store is away, or the code could not be sent; by SMS it is tried again until it ends
    #[response(status = 503, content_type = "application/problem+json")]
    NotSent(ProblemBody),
}

/// Of a link that was mailed.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "only the document names them")]
pub(super) enum LinkRefused {
    /// The link does not work, or not any more
    #[response(status = 404, content_type = "application/problem+json")]
    Dead(ProblemBody),
    /// The store is away, or the server starts; ask again
    #[response(status = 503, content_type = "application/problem+json")]
    Away(ProblemBody),
}
