//! What shards and the slow half of the program tell a shard.
//!
//! Each shard has one mailbox of two lanes, both bounded by [`limit::MAILBOX_MAX`]: *letters* from
//! other shards, and *posts* from other threads (what the store answered, what an administrator
//! asked), so that no flood of letters can displace what must arrive. Both are taken in the same
//! pass as the socket. A shard collects its letters to another in an [`Outbox`] and hands them over
//! once per turn, so that a batch wakes the other at most once.
//!
//! | full lane | what happens |
//! |---|---|
//! | letters, message that came over UDP | dropped, counted |
//! | letters, anything else | kept in the sender's outbox, whose connections are not read meanwhile; past [`limit::MAILBOX_MAX`] there too: dropped, counted |
//! | posts | given back to the poster |

use crate::base::flow::{Flow, FlowId, ShardId};
use crate::base::limit;
use crate::base::time::Now;
use crate::core::boundary::{Inbound, Letter};
use crate::net::meters::{Shed, Tally};
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::sync::mpsc::{self, error::TrySendError};

/// Work to be done with a shard's core, on its thread.
pub type Call<C> = Box<dyn FnOnce(&mut C, Now) + Send>;

/// One thing in a mailbox.
pub enum Mail<C> {
    /// From another shard's core to this one's.
    Letter(Letter),
    /// Bytes for a connection that this shard holds.
    Write {
        /// The connection.
        flow: FlowId,
        /// What to write.
        bytes: Bytes,
        /// Who is told if the connection is gone.
        from: ShardId,
    },
    /// Bytes for an address that is this shard's to open connections to.
    Reach {
        /// The address.
        to: Flow,
        /// What to write.
        bytes: Bytes,
        /// Who is told if it will not come there.
        from: ShardId,
    },
    /// An extension's phone may not use a connection that this shard holds any more.
    End {
        /// The connection.
        flow: FlowId,
        /// Whose phone.
        login: Box<str>,
    },
    /// An input for the core.
    Inbound(Inbound),
    /// A visit to the core.
    Call(Call<C>),
    /// Nothing, but it wakes.
    Wake,
}

impl<C> fmt::Debug for Mail<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Letter(letter) => f.debug_tuple("Letter").field(letter).finish(),
            Self::Write { flow, bytes, from } => f
                .debug_struct("Write")
                .field("flow", flow)
                .field("length", &bytes.len())
                .field("from", from)
                .finish(),
            Self::Reach { to, from, .. } => {
                f.debug_struct("Reach").field("to", to).field("from", from).finish_non_exhaustive()
            }
            Self::End { flow, .. } => f.debug_struct("End").field("flow", flow).finish_non_exhaustive(),
            Self::Inbound(inbound) => f.debug_tuple("Inbound").field(inbound).finish(),
            Self::Call(_) => f.write_str("Call"),
            Self::Wake => f.write_str("Wake"),
        }
    }
}

impl<C> Mail<C> {
    /// Whether its sender will send it again if it is lost.
    fn is_repeated(&self) -> bool {
        match self {
            Self::Letter(Letter::Message { flow, .. }) => !flow.transport.is_reliable(),
            _ => false,
        }
    }
}

/// The receiving end, held by its shard.
#[derive(Debug)]
pub struct Mailbox<C> {
    letters: mpsc::Receiver<Mail<C>>,
    posts: mpsc::Receiver<Mail<C>>,
    stop: Arc<AtomicBool>,
    /// Looked at by a poll of a lane, put here to be taken first.
    next: Option<Mail<C>>,
}

struct Address<C> {
    letters: mpsc::Sender<Mail<C>>,
    posts: mpsc::Sender<Mail<C>>,
    stop: Arc<AtomicBool>,
}

/// Puts things into the mailboxes of all shards, from any thread. Cheap to clone.
pub struct Post<C> {
    addresses: Arc<[Address<C>]>,
}

impl<C> Clone for Post<C> {
    fn clone(&self) -> Self {
        Self { addresses: Arc::clone(&self.addresses) }
    }
}

impl<C> fmt::Debug for Post<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post").field("shards", &self.addresses.len()).finish()
    }
}

/// A mailbox would not take a post.
#[derive(thiserror::Error)]
pub enum PostError<T> {
    /// It holds [`limit::MAILBOX_MAX`] posts; here is this one back.
    #[error("the shard's mailbox is full")]
    Full(T),
    /// There is no such shard, or it has stopped.
    #[error("the shard has stopped")]
    Stopped,
}

impl<T> fmt::Debug for PostError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full",
            Self::Stopped => "Stopped",
        })
    }
}

/// The mailboxes of `shards` shards, and the way to them.
#[must_use]
pub fn mailboxes<C>(shards: usize) -> (Vec<Mailbox<C>>, Post<C>) {
    let pair = |_| {
        let (letters, letters_in) = mpsc::channel(limit::MAILBOX_MAX);
        let (posts, posts_in) = mpsc::channel(limit::MAILBOX_MAX);
        let stop = Arc::new(AtomicBool::new(false));
        let mailbox = Mailbox { letters: letters_in, posts: posts_in, stop: Arc::clone(&stop), next: None };
        (mailbox, Address { letters, posts, stop })
    };
    let (boxes, addresses): (Vec<_>, Vec<_>) = (0..shards).map(pair).unzip();
    (boxes, Post { addresses: addresses.into() })
}

impl<C> Post<C> {
    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.addresses.len()
    }

    /// Puts an input for the core into a shard's mailbox.
    ///
    /// # Errors
    /// If the mailbox is full, with the input; or if the shard has stopped.
    pub fn send(&self, shard: ShardId, inbound: Inbound) -> Result<(), PostError<Box<Inbound>>> {
        self.put(shard, Mail::Inbound(inbound)).map_err(|error| match error {
            PostError::Full(mail) => match *mail {
                Mail::Inbound(inbound) => PostError::Full(Box::new(inbound)),
                _ => PostError::Stopped, // no other mail was put
            },
            PostError::Stopped => PostError::Stopped,
        })
    }

    /// Has `visit` called with the shard's core on the shard's thread; what the core wants done
    /// afterwards is done.
    ///
    /// # Errors
    /// If the mailbox is full, with the visit; or if the shard has stopped.
    pub fn call(
        &self,
        shard: ShardId,
        visit: impl FnOnce(&mut C, Now) + Send + 'static,
    ) -> Result<(), PostError<Call<C>>> {
        self.put(shard, Mail::Call(Box::new(visit))).map_err(|error| match error {
            PostError::Full(mail) => match *mail {
                Mail::Call(visit) => PostError::Full(visit),
                _ => PostError::Stopped, // no other mail was put
            },
            PostError::Stopped => PostError::Stopped,
        })
    }

    /// Has a connection ended, unless others than this extension's phones use it.
    ///
    /// # Errors
    /// As [`Post::send`]: then it stays.
    pub fn end(&self, flow: FlowId, login: &str) -> Result<(), PostError<()>> {
        self.put(flow.shard, Mail::End { flow, login: login.into() }).map_err(|error| match error {
            PostError::Full(_) => PostError::Full(()),
            PostError::Stopped => PostError::Stopped,
        })
    }

    /// Asks every shard to stop.
    pub fn stop(&self) {
        for address in self.addresses.iter() {
            address.stop.store(true, Ordering::Release);
            // If the lane is full the shard is awake, or about to be.
            let _ = address.posts.try_send(Mail::Wake);
        }
    }

    fn put(&self, shard: ShardId, mail: Mail<C>) -> Result<(), PostError<Box<Mail<C>>>> {
        let address = self.addresses.get(shard.index()).ok_or(PostError::Stopped)?;
        address.posts.try_send(mail).map_err(|error| match error {
            TrySendError::Full(mail) => PostError::Full(Box::new(mail)),
            TrySendError::Closed(_) => PostError::Stopped,
        })
    }

    /// One shard's outboxes to all shards, in their order.
    #[must_use]
    pub fn outboxes(&self) -> Vec<Outbox<C>> {
        let outbox =
            |address: &Address<C>| Outbox { lane: address.letters.clone(), waiting: VecDeque::new() };
        self.addresses.iter().map(outbox).collect()
    }
}

impl<C> Mailbox<C> {
    /// The next mail, posts first; `None` if there is none now.
    pub fn take(&mut self) -> Option<Mail<C>> {
        self.next.take().or_else(|| self.posts.try_recv().ok()).or_else(|| self.letters.try_recv().ok())
    }

    /// Whether the shard is asked to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Ready when [`take`](Self::take) has something. After `Pending` the context's task is woken by
    /// the next mail.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.next.is_some() {
            return Poll::Ready(());
        }
        for lane in [&mut self.posts, &mut self.letters] {
            // A closed lane (nobody can write any more) is never ready.
            if let Poll::Ready(Some(mail)) = lane.poll_recv(cx) {
                self.next = Some(mail);
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// Whether nothing is there to be taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.next.is_none() && self.posts.is_empty() && self.letters.is_empty()
    }
}

/// What one shard has for another, until the end of the turn.
#[derive(Debug)]
pub struct Outbox<C> {
    lane: mpsc::Sender<Mail<C>>,
    waiting: VecDeque<Mail<C>>,
}

impl<C> Outbox<C> {
    /// Puts a mail in.
    pub fn put(&mut self, mail: Mail<C>, tally: &Tally) {
        if self.waiting.len() < limit::MAILBOX_MAX {
            self.waiting.push_back(mail);
        } else {
            tally.shed(Shed::MailboxFull);
        }
    }

    /// Hands over as much as the other's mailbox takes; true if nothing had to stay.
    pub fn hand_over(&mut self, tally: &Tally) -> bool {
        while let Some(mail) = self.waiting.pop_front() {
            match self.lane.try_send(mail) {
                Ok(()) => {}
                Err(TrySendError::Full(mail)) => {
                    self.waiting.push_front(mail);
                    self.waiting.retain(|mail| {
                        if mail.is_repeated() {
                            tally.shed(Shed::MailboxFull);
                        }
                        !mail.is_repeated()
                    });
                    break;
                }
                Err(TrySendError::Closed(_)) => self.waiting.clear(), // the other has stopped
            }
        }
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::flow::Transport;
    use crate::net::meters::NetMeters;
    use crate::sip::Message;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use std::task::Waker;

    type Nothing = ();

    fn letter(transport: Transport) -> Mail<Nothing> {
        let flow = Flow { transport, ..Flow::udp(0, "192.0.2.1:5060".parse().unwrap()) };
        let text = "OPTIONS sip:a SIP/2.0\r\n\r\n";
        Mail::Letter(Letter::Message { flow, message: Box::new(Message::parse(Bytes::from(text)).unwrap()) })
    }

    fn closed() -> Inbound {
        Inbound::FlowClosed(FlowId { shard: ShardId(0), slot: 0, generation: 0 })
    }

    fn drain(mailbox: &mut Mailbox<Nothing>) -> usize {
        std::iter::from_fn(|| mailbox.take()).count()
    }

    #[test]
    fn a_full_lane_drops_udp_and_keeps_the_rest() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let tally = Tally::new(metrics::with_local_recorder(&recorder, NetMeters::new));
        let (mut boxes, post) = mailboxes::<Nothing>(2);
        let mut outbox = post.outboxes().remove(1);
        for _ in 0..limit::MAILBOX_MAX {
            outbox.put(letter(Transport::Udp), &tally);
        }
        assert!(outbox.hand_over(&tally), "as many as fit");
        for transport in [Transport::Udp, Transport::Tcp, Transport::Udp] {
            outbox.put(letter(transport), &tally);
        }
        assert!(!outbox.hand_over(&tally), "the one from a stream stays");
        assert_eq!(outbox.waiting.len(), 1);
        post.send(ShardId(1), closed()).unwrap();
        assert!(matches!(boxes[1].take(), Some(Mail::Inbound(_))), "posts come first and have room");
        assert_eq!(drain(&mut boxes[1]), limit::MAILBOX_MAX);
        assert!(outbox.hand_over(&tally));
        assert!(matches!(boxes[1].take(), Some(Mail::Letter(Letter::Message { flow, .. }))
            if flow.transport == Transport::Tcp));
        assert!(boxes[1].is_empty() && boxes[0].is_empty());
        let text = recorder.handle().render();
        assert!(text.contains("stationmaster_shed_total{why=\"mailbox_full\"} 2\n"), "{text}");
    }

    #[test]
    fn an_outbox_is_bounded() {
        let tally = Tally::new(NetMeters::new());
        let (_boxes, post) = mailboxes::<Nothing>(1);
        let mut outbox = post.outboxes().remove(0);
        for _ in 0..=limit::MAILBOX_MAX {
            outbox.put(letter(Transport::Tcp), &tally);
        }
        assert_eq!(outbox.waiting.len(), limit::MAILBOX_MAX);
    }

    #[test]
    fn a_full_lane_of_posts_gives_back() {
        let (mut boxes, post) = mailboxes::<Nothing>(1);
        for _ in 0..limit::MAILBOX_MAX {
            post.send(ShardId(0), closed()).unwrap();
        }
        let Err(PostError::Full(back)) = post.send(ShardId(0), closed()) else { panic!("taken") };
        assert!(matches!(*back, Inbound::FlowClosed(_)));
        assert!(matches!(post.call(ShardId(0), |_, _| {}), Err(PostError::Full(_))));
        post.stop();
        assert!(boxes[0].is_stopping(), "a stop needs no room");
        assert_eq!(drain(&mut boxes[0]), limit::MAILBOX_MAX);
        post.send(ShardId(0), closed()).unwrap();
        assert!(matches!(post.send(ShardId(1), closed()), Err(PostError::Stopped)), "no such shard");
        boxes.clear();
        assert!(matches!(post.send(ShardId(0), closed()), Err(PostError::Stopped)));
    }

    #[test]
    fn what_a_poll_found_is_taken_first() {
        let (mut boxes, post) = mailboxes::<Nothing>(1);
        let mailbox = &mut boxes[0];
        let mut cx = Context::from_waker(Waker::noop());
        assert!(mailbox.poll_ready(&mut cx).is_pending());
        post.send(ShardId(0), closed()).unwrap();
        post.stop();
        assert!(mailbox.poll_ready(&mut cx).is_ready());
        assert!(mailbox.poll_ready(&mut cx).is_ready());
        assert!(matches!(mailbox.take(), Some(Mail::Inbound(_))));
        assert!(matches!(mailbox.take(), Some(Mail::Wake)));
        assert!(mailbox.take().is_none() && mailbox.is_empty());
    }
}
