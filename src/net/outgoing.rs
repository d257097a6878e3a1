//! The connections that one shard opens: one for each address, which all that goes there shares (RFC 5923
//! §5 calls the like an alias; RFC 3261 §18 lets requests and answers share it). Pure: what is done with
//! sockets is [`super::tcp`]'s, or a simulation's.
//!
//! | an address is | asked to send | opened | failed | ended |
//! |---|---|---|---|---|
//! | unknown | wait; open it | | | |
//! | being opened | wait | standing: what waited is written | avoided; who asked is told | |
//! | standing | write | | | unknown, or avoided if its peer never said anything; who asked is told |
//! | avoided | refused; once its time is over as if unknown | | | |
//!
//! Only a connection that was opened here is used so. One that comes in and says of itself, by `alias` in a
//! Via, that it leads to some address is heard and answered as any other, but never taken for that address:
//! RFC 5923 §9.3 asks for certificates of both sides first, and without them anybody could draw another
//! one's calls to himself.
//!
//! | bound | past it |
//! |---|---|
//! | [`limit::OUTGOING_MAX`], [`limit::OUTGOING_OPENING_MAX`] | refused |
//! | [`limit::OUTGOING_WAITING_BYTES_MAX`] for one address | refused |
//! | [`limit::OUTGOING_OPENING_WAIT_MAX`] | failed |
//! | [`limit::OUTGOING_UNACKNOWLEDGED_MAX`] | ended |
//! | [`limit::OUTGOING_AVOIDED_MAX`] | the one that failed first is unknown again |

use super::meters::Shed;
use crate::base::flow::{Flow, FlowId, ShardId};
use crate::base::limit;
use crate::base::time::Mono;
use bytes::Bytes;
use smallvec::SmallVec;
use std::collections::{HashMap, VecDeque};

/// The shards that sent something to an address.
pub type Askers = SmallVec<[ShardId; 2]>;

/// What is to be done with bytes for an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ask {
    /// Write them to this connection.
    Write(FlowId),
    /// They are kept until it stands.
    Waits,
    /// They are kept, and it must be opened now.
    Open,
    /// Nothing: no connection could be opened there a while ago.
    Avoided,
    /// Nothing: a bound is reached.
    Full(Shed),
}

#[derive(Debug)]
enum State {
    Opening { waiting: Vec<Bytes>, bytes: usize },
    Standing(FlowId),
    Avoided { until: Mono },
}

#[derive(Debug)]
struct Route {
    state: State,
    askers: Askers,
}

/// The addresses of one shard to which connections stand, are being opened, or could not be.
#[derive(Debug)]
pub struct Outgoing {
    routes: HashMap<Flow, Route>,
    by_id: HashMap<FlowId, Flow>,
    opening: usize,
    /// In the order in which their time is over.
    avoided: VecDeque<(Mono, Flow)>,
    most: usize,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self::new(limit::OUTGOING_MAX)
    }
}

impl Outgoing {
    /// None yet, and never more than `most`.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let (routes, by_id, avoided) = (HashMap::new(), HashMap::new(), VecDeque::new());
        Self { routes, by_id, opening: 0, avoided, most }
    }

    /// A shard has something for an address. The flow is one without a connection.
    pub fn ask(&mut self, now: Mono, to: Flow, bytes: Bytes, from: ShardId) -> Ask {
        self.forgive(now);
        let (opening, standing) = (self.opening, self.by_id.len());
        let Some(route) = self.routes.get_mut(&to) else {
            if opening + standing >= self.most || opening >= limit::OUTGOING_OPENING_MAX {
                return Ask::Full(Shed::OutgoingFull);
            }
            let state = State::Opening { bytes: bytes.len(), waiting: vec![bytes] };
            self.routes.insert(to, Route { state, askers: Askers::from_iter([from]) });
            self.opening += 1;
            return Ask::Open;
        };
        let ask = match &mut route.state {
            State::Avoided { .. } => return Ask::Avoided,
            State::Opening { bytes: length, .. }
                if *length + bytes.len() > limit::OUTGOING_WAITING_BYTES_MAX =>
            {
                return Ask::Full(Shed::OutgoingQueueFull);
            }
            State::Opening { waiting, bytes: length } => {
                *length += bytes.len();
                waiting.push(bytes);
                Ask::Waits
            }
            State::Standing(id) => Ask::Write(*id),
        };
        if !route.askers.contains(&from) {
            route.askers.push(from);
        }
        ask
    }

    /// The connection to an address stands: what waited for that.
    pub fn opened(&mut self, to: Flow, id: FlowId) -> Vec<Bytes> {
        let Some(route) = self.routes.get_mut(&to) else { return Vec::new() };
        match std::mem::replace(&mut route.state, State::Standing(id)) {
            State::Opening { waiting, .. } => {
                self.opening -= 1;
                self.by_id.insert(id, to);
                waiting
            }
            before => {
                route.state = before;
                Vec::new()
            }
        }
    }

    /// It could not be opened: none is for a while. Those who must be told.
    pub fn failed(&mut self, now: Mono, to: Flow) -> Askers {
        let askers = self.given_up(to);
        self.avoid(now, to);
        askers
    }

    /// It is not opened after all, for no fault of the address. Those who must be told.
    pub fn given_up(&mut self, to: Flow) -> Askers {
        match self.routes.remove(&to) {
            Some(Route { state: State::Opening { .. }, askers }) => {
                self.opening -= 1;
                askers
            }
            Some(other) => {
                self.routes.insert(to, other);
                Askers::new()
            }
            None => Askers::new(),
        }
    }

    /// A connection is gone. If it was one of these: its address, and those who must be told. `spoke` says
    /// whether anything ever came over it.
    pub fn ended(&mut self, now: Mono, id: FlowId, spoke: bool) -> Option<(Flow, Askers)> {
        let to = self.by_id.remove(&id)?;
        let route = self.routes.remove(&to)?;
        if !spoke {
            self.avoid(now, to);
        }
        Some((to, route.askers))
    }

    /// How many connections stand or are being opened.
    #[must_use]
    pub fn len(&self) -> usize {
        self.opening + self.by_id.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn avoid(&mut self, now: Mono, to: Flow) {
        let until = now + limit::OUTGOING_AVOIDED;
        if self.avoided.len() >= limit::OUTGOING_AVOIDED_MAX {
            self.forgive_first();
        }
        self.routes.insert(to, Route { state: State::Avoided { until }, askers: Askers::new() });
        self.avoided.push_back((until, to));
    }

    fn forgive(&mut self, now: Mono) {
        while self.avoided.front().is_some_and(|(until, _)| *until <= now) {
            self.forgive_first();
        }
    }

    fn forgive_first(&mut self) {
        let Some((until, to)) = self.avoided.pop_front() else { return };
        if matches!(self.routes.get(&to), Some(Route { state: State::Avoided { until: of }, .. }) if *of == until)
        {
            self.routes.remove(&to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::flow::Transport;
    use std::time::Duration;

    const HERE: ShardId = ShardId(0);
    const THERE: ShardId = ShardId(1);

    fn to(port: u16) -> Flow {
        Flow::to_open(Transport::Tcp, 1, ([192, 0, 2, 1], port).into())
    }

    fn id(slot: u32) -> FlowId {
        FlowId { shard: HERE, slot, generation: 1 }
    }

    fn at(secs: u64) -> Mono {
        Mono::from_secs(secs)
    }

    fn ask(outgoing: &mut Outgoing, port: u16, from: ShardId, now: Mono) -> Ask {
        outgoing.ask(now, to(port), Bytes::from_static(b"x"), from)
    }

    #[test]
    fn all_that_goes_to_an_address_shares_its_connection() {
        let mut outgoing = Outgoing::default();
        assert_eq!(ask(&mut outgoing, 1, HERE, at(0)), Ask::Open);
        assert_eq!(ask(&mut outgoing, 1, THERE, at(0)), Ask::Waits);
        assert_eq!(outgoing.opened(to(1), id(7)).len(), 2);
        assert_eq!(ask(&mut outgoing, 1, HERE, at(1)), Ask::Write(id(7)));
        assert_eq!(ask(&mut outgoing, 2, HERE, at(1)), Ask::Open, "another address");
        assert_eq!(outgoing.len(), 2);
        assert_eq!(outgoing.ended(at(2), id(8), true), None, "none of these");
        assert_eq!(outgoing.ended(at(2), id(7), true), Some((to(1), Askers::from_slice(&[HERE, THERE]))));
        assert_eq!(outgoing.ended(at(2), id(7), true), None, "told once");
        assert_eq!(ask(&mut outgoing, 1, HERE, at(2)), Ask::Open, "it spoke, so it is tried again");
    }

    #[test]
    fn what_failed_is_not_tried_again_for_a_while() {
        let mut outgoing = Outgoing::default();
        ask(&mut outgoing, 1, THERE, at(0));
        assert_eq!(outgoing.failed(at(3), to(1))[..], [THERE]);
        ask(&mut outgoing, 2, HERE, at(3));
        outgoing.opened(to(2), id(2));
        assert_eq!(outgoing.ended(at(3), id(2), false), Some((to(2), Askers::from_slice(&[HERE]))));
        assert!(outgoing.is_empty());
        let over = at(3) + limit::OUTGOING_AVOIDED;
        for (now, wanted) in [(over - Duration::from_micros(1), Ask::Avoided), (over, Ask::Open)] {
            assert_eq!([1, 2].map(|port| ask(&mut outgoing, port, HERE, now)), [wanted; 2]);
        }
        assert_eq!(outgoing.given_up(to(1))[..], [HERE]);
        assert_eq!(ask(&mut outgoing, 1, HERE, over), Ask::Open, "it was no fault of the address");
        assert!(outgoing.avoided.is_empty());
    }

    #[test]
    fn as_many_as_there_may_be_and_one_more() {
        let full = Ask::Full(Shed::OutgoingFull);
        let mut outgoing = Outgoing::new(2);
        assert_eq!([1, 2, 3].map(|port| ask(&mut outgoing, port, HERE, at(0))), [Ask::Open, Ask::Open, full]);
        outgoing.opened(to(1), id(1));
        assert_eq!(ask(&mut outgoing, 3, HERE, at(0)), full);
        outgoing.ended(at(0), id(1), true);
        assert_eq!(ask(&mut outgoing, 3, HERE, at(0)), Ask::Open);

        let mut outgoing = Outgoing::default();
        let most = u16::try_from(limit::OUTGOING_OPENING_MAX).unwrap();
        assert!((1..=most).all(|port| ask(&mut outgoing, port, HERE, at(0)) == Ask::Open));
        assert_eq!(ask(&mut outgoing, most + 1, HERE, at(0)), full);
        outgoing.opened(to(1), id(1));
        assert_eq!(ask(&mut outgoing, most + 1, HERE, at(0)), Ask::Open);
    }

    #[test]
    fn so_many_bytes_wait_and_no_more() {
        let mut outgoing = Outgoing::default();
        let all = Bytes::from(vec![b'x'; limit::OUTGOING_WAITING_BYTES_MAX - 1]);
        assert_eq!(outgoing.ask(at(0), to(1), all, HERE), Ask::Open);
        assert_eq!(ask(&mut outgoing, 1, HERE, at(0)), Ask::Waits);
        assert_eq!(ask(&mut outgoing, 1, THERE, at(0)), Ask::Full(Shed::OutgoingQueueFull));
        assert_eq!(outgoing.failed(at(0), to(1))[..], [HERE], "who was refused was told");
    }

    #[test]
    fn so_many_addresses_are_avoided_and_no_more() {
        let mut outgoing = Outgoing::default();
        let fail = |outgoing: &mut Outgoing, port| {
            ask(outgoing, port, HERE, at(0));
            outgoing.failed(at(0), to(port));
        };
        let most = u16::try_from(limit::OUTGOING_AVOIDED_MAX).unwrap();
        (1..=most).for_each(|port| fail(&mut outgoing, port));
        assert_eq!(ask(&mut outgoing, 1, HERE, at(1)), Ask::Avoided);
        fail(&mut outgoing, most + 1);
        assert_eq!((outgoing.routes.len(), outgoing.avoided.len()), (usize::from(most), usize::from(most)));
        assert_eq!(ask(&mut outgoing, 1, HERE, at(1)), Ask::Open);
        assert_eq!(ask(&mut outgoing, 2, HERE, at(1)), Ask::Avoided);
    }
}
