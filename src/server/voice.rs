//! What serves calls to the phone menu: their sound, and who knows about PINs and stations.

use super::mailbox::Post;
use crate::config::Config;
use crate::core::Core;
use crate::core::boundary::{Inbound, Output};
use crate::core::voice::{Heard, Line, Reply};
use crate::media::{self, Media};
use crate::service::portal::Desk;
use crate::service::{Services, menu};
use crate::task::Tasks;
use std::sync::Arc;

/// Where shards put what their calls to the phone menu want.
#[derive(Clone)]
pub(super) struct Voice {
    media: Media,
    enquiries: menu::Enquiries,
}

impl Voice {
    /// Does what a call to the phone menu wants. Never waits.
    pub(super) fn perform(&self, post: &Post<Core>, output: Output) {
        match output {
            Output::Voice { line, order } => self.media.order(line, order),
            Output::Enquire(enquiry) => {
                if let Err(reply) = self.enquiries.put(enquiry) {
                    let _ = post.send(reply.line.shard, Inbound::Replied(reply)); // else it waits in vain
                }
            }
            _ => {}
        }
    }
}

/// Starts what serves calls to the phone menu: their sound, and who knows about PINs and stations.
pub(super) fn serve(
    config: &Config,
    post: Post<Core>,
    desk: Desk,
    prompts: Arc<media::Library>,
    services: &Services,
    tasks: &Tasks,
) -> Voice {
    // A mailbox without room loses a key, as a datagram would be lost.
    let lost = metrics::counter!("stationmaster_media_dropped_total");
    let mail = post.clone();
    let deliver = Arc::new(move |line: Line, heard: Heard| {
        if mail.send(line.shard, Inbound::Heard { line, heard }).is_err() {
            lost.increment(1);
        }
    });
    let setup = media::Setup { ports: config.media.ports, prompts, deliver, rng: services.random() };
    let (media, sound) = media::media(setup, tasks.stop());
    tasks.spawn("sound", sound);
    menu::describe();
    let (enquiries, asked) = menu::enquiries();
    let reply = Arc::new(move |reply: Box<Reply>| {
        if post.send(reply.line.shard, Inbound::Replied(reply)).is_err() {
            tracing::warn!("a shard's mailbox had no room for the phone menu");
        }
    });
    tasks.spawn("phone menu", menu::run(desk, asked, reply, tasks.stop()));
    Voice { media, enquiries }
}
