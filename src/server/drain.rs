//! The graceful end: what is under way may finish, nothing new begins ([`Core::drain`]).

use super::mailbox::Post;
use crate::base::flow::ShardId;
use crate::core::Core;
use crate::task::Stop;
use std::time::Duration;
use tokio::sync::oneshot;

/// How often the shards are asked whether they are done.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Has the shards take nothing new, and waits until none has anything left to do: at most for
/// `patience`, and no longer than until `hurry`.
///
/// # Cancel safety
/// Cancel safe; the shards go on taking nothing new.
pub async fn drain(post: &Post<Core>, patience: Duration, hurry: &Stop) {
    if patience.is_zero() {
        return;
    }
    let done = async {
        while left_to_do(post).await > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::select! {
        () = done => {}
        () = hurry.stopped() => {}
        () = tokio::time::sleep(patience) => tracing::warn!("calls are left behind: they took too long"),
    }
}

/// What all shards together have left to do; a shard that cannot be asked has something.
async fn left_to_do(post: &Post<Core>) -> usize {
    let mut left = 0;
    for shard in 0..u16::try_from(post.shards()).unwrap_or(u16::MAX) {
        let (tell, told) = oneshot::channel();
        let asked = post.call(ShardId(shard), move |core, _| {
            core.drain();
            let _ = tell.send(core.left_to_do());
        });
        left += if asked.is_ok() { told.await.unwrap_or(0) } else { 1 };
    }
    left
}
