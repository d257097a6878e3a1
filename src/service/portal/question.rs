//! The security question: asked behind the link of a forgotten password, where the tenant wants that.

use super::pin::keyed;
use crate::account::{LoginName, Question, question};
use crate::base::time::Wall;
use crate::service::Services;
use subtle::ConstantTimeEq;

/// A question as it is kept; its answer is normalised first.
pub(in crate::service) fn hashed(
    services: &Services,
    login: &LoginName,
    text: &str,
    answer: &str,
    now: Wall,
) -> Question {
    let hash = keyed(services, "answer", login, now, question::normalised(answer).expose());
    Question { text: text.trim().to_owned(), hash, set_at: now }
}

/// Whether it is the answer.
pub(super) fn is_right(services: &Services, login: &LoginName, kept: &Question, answer: &str) -> bool {
    let hash = keyed(services, "answer", login, kept.set_at, question::normalised(answer).expose());
    hash.0.ct_eq(&kept.hash.0).into()
}
