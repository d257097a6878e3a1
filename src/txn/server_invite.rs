//! The INVITE server transaction (RFC 3261 §17.2.1, as corrected by RFC 6026 §7.1).
//!
//! Keeps one inbound INVITE alive until the caller has certainly seen our answer. It reads no
//! clock, owns no socket and sees no bytes: what happens comes in as [`Input`], and everything it
//! wants done goes out as [`Output`], in the order it must be done.
//!
//! | State      | Input     | Next       | Outputs                               |
//! |------------|-----------|------------|---------------------------------------|
//! | Proceeding | 1xx       | Proceeding | send, keep                            |
//! | Proceeding | 2xx       | Accepted   | send, start L                         |
//! | Proceeding | 3xx–6xx   | Completed  | send, keep, start G (unreliable), start H |
//! | Proceeding | INVITE    | Proceeding | send again (the last 1xx)             |
//! | Completed  | INVITE    | Completed  | send again                            |
//! | Completed  | timer G   | Completed  | send again, start G (doubled up to T2) |
//! | Completed  | ACK       | Confirmed  | stop G and H, start I                 |
//! | Completed  | timer H   | Terminated | tell the service: no ACK came         |
//! | Confirmed  | timer I   | Terminated |                                       |
//! | Accepted   | 2xx       | Accepted   | send                                  |
//! | Accepted   | ACK       | Accepted   | hand up                               |
//! | Accepted   | timer L   | Terminated |                                       |
//! | any but Terminated | transport error | Terminated | tell the service              |
//!
//! Any pair not listed changes nothing and sends nothing; in particular an INVITE that comes again
//! in Accepted is absorbed, since the service repeats its 2xx by itself until the ACK comes
//! (§13.3.1.4). The test at the bottom has the same rows in the same order; when they disagree the
//! table is right.

use super::step::{Intervals, Output, Timer};
use std::time::Duration;

/// Where it stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// No final answer yet.
    Proceeding,
    /// Answered 3xx–6xx; the ACK is awaited.
    Completed,
    /// The ACK came; more of it are absorbed.
    Confirmed,
    /// Answered 2xx.
    Accepted,
    /// Over.
    Terminated,
}

/// What happens to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Input {
    /// The service answers with this status.
    Respond(u16),
    /// The INVITE came again.
    Invite,
    /// Its ACK came.
    Ack,
    /// A timer fired.
    Fired(Timer),
    /// The transport could not send.
    TransportError,
}

/// The machine.
#[derive(Clone, Copy, Debug)]
pub struct ServerInvite {
    state: State,
    reliable: bool,
    gap: Duration,
    intervals: Intervals,
}

impl ServerInvite {
    /// The machine of an INVITE that just came over a transport that is `reliable` or not.
    #[must_use]
    pub const fn new(reliable: bool, intervals: Intervals) -> Self {
        Self { state: State::Proceeding, reliable, gap: intervals.t1, intervals }
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Applies one input, appending what must be done to `out`.
    pub fn handle(&mut self, input: Input, out: &mut Vec<Output>) {
        use {Input as I, State as S};
        self.state = match (self.state, input) {
            (S::Proceeding, I::Respond(100..=199)) => {
                out.extend([Output::Send, Output::Keep]);
                S::Proceeding
            }
            (S::Proceeding, I::Respond(200..=299)) => {
                out.extend([Output::Send, Output::Start(Timer::L, self.intervals.patience())]);
                S::Accepted
            }
            (S::Proceeding, I::Respond(300..=699)) => {
                out.extend([Output::Send, Output::Keep]);
                if !self.reliable {
                    out.push(Output::Start(Timer::G, self.gap));
                }
                out.push(Output::Start(Timer::H, self.intervals.patience()));
                S::Completed
            }
            (s @ (S::Proceeding | S::Completed), I::Invite) => {
                out.push(Output::Repeat); // nothing is kept before the first 1xx
                s
            }
            (S::Completed, I::Fired(Timer::G)) => {
                self.gap = (self.gap * 2).min(self.intervals.t2);
                out.extend([Output::Repeat, Output::Start(Timer::G, self.gap)]);
                S::Completed
            }
            (S::Completed, I::Ack) => {
                let linger = if self.reliable { Duration::ZERO } else { self.intervals.t4 };
                out.extend([Output::Stop(Timer::G), Output::Stop(Timer::H), Output::Start(Timer::I, linger)]);
                S::Confirmed
            }
            (S::Completed, I::Fired(Timer::H)) => {
                out.push(Output::NoAck);
                S::Terminated
            }
            (S::Accepted, I::Respond(200..=299)) => {
                out.push(Output::Send);
                S::Accepted
            }
            (S::Accepted, I::Ack) => {
                out.push(Output::Up);
                S::Accepted
            }
            (S::Confirmed, I::Fired(Timer::I)) | (S::Accepted, I::Fired(Timer::L)) => S::Terminated,
            (S::Proceeding | S::Completed | S::Confirmed | S::Accepted, I::TransportError) => {
                out.push(Output::Broken);
                S::Terminated
            }
            (unchanged, _) => unchanged,
        };
    }
}

#[cfg(test)]
impl super::rows::Machine for ServerInvite {
    type State = State;
    type Input = Input;

    fn begin(reliable: bool) -> Self {
        Self::new(reliable, Intervals::default())
    }

    fn now(&self) -> State {
        self.state
    }

    fn take(&mut self, input: Input, out: &mut Vec<Output>) {
        self.handle(input, out);
    }

    fn fired(timer: Timer) -> Input {
        Input::Fired(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::Input::{Ack, Fired, Invite, Respond, TransportError};
    use super::State::{Accepted, Completed, Confirmed, Proceeding, Terminated};
    use super::*;
    use crate::txn::rows::{ALL, Event, FIVE, HALF, ONE, Row, Way, outputs, walk, walk_docs};
    use Output::{Broken, Keep, NoAck, Repeat, Send, Start, Stop, Up};

    #[rustfmt::skip]
    const ROWS: &[Row<ServerInvite>] = &[
        ("1xx is sent",             &[],                    Respond(180),    Proceeding, &[Send, Keep]),
        ("2xx accepts",             &[],                    Respond(200),    Accepted,   &[Send, Start(Timer::L, ALL)]),
        ("3xx–6xx completes",       &[],                    Respond(486),    Completed,  &[Send, Keep, Start(Timer::G, HALF), Start(Timer::H, ALL)]),
        ("INVITE repeats 1xx",      &[Respond(180)],        Invite,          Proceeding, &[Repeat]),
        ("INVITE repeats final",    &[Respond(486)],        Invite,          Completed,  &[Repeat]),
        ("G repeats and doubles",   &[Respond(486)],        Fired(Timer::G), Completed,  &[Repeat, Start(Timer::G, ONE)]),
        ("ACK confirms",            &[Respond(486)],        Ack,             Confirmed,  &[Stop(Timer::G), Stop(Timer::H), Start(Timer::I, FIVE)]),
        ("H gives up",              &[Respond(486)],        Fired(Timer::H), Terminated, &[NoAck]),
        ("I ends it",               &[Respond(486), Ack],   Fired(Timer::I), Terminated, &[]),
        ("2xx is sent again",       &[Respond(200)],        Respond(200),    Accepted,   &[Send]),
        ("ACK goes up",             &[Respond(200)],        Ack,             Accepted,   &[Up]),
        ("L ends it",               &[Respond(200)],        Fired(Timer::L), Terminated, &[]),
        ("error in Proceeding",     &[],                    TransportError,  Terminated, &[Broken]),
        ("error in Completed",      &[Respond(486)],        TransportError,  Terminated, &[Broken]),
        ("error in Confirmed",      &[Respond(486), Ack],   TransportError,  Terminated, &[Broken]),
        ("error in Accepted",       &[Respond(200)],        TransportError,  Terminated, &[Broken]),
        // Unlisted pairs change nothing.
        ("ACK before an answer",    &[],                    Ack,             Proceeding, &[]),
        ("a second final",          &[Respond(486)],        Respond(200),    Completed,  &[]),
        ("1xx after the final",     &[Respond(486)],        Respond(180),    Completed,  &[]),
        ("final after 2xx",         &[Respond(200)],        Respond(486),    Accepted,   &[]),
        ("INVITE after 2xx",        &[Respond(200)],        Invite,          Accepted,   &[]),
        ("INVITE after ACK",        &[Respond(486), Ack],   Invite,          Confirmed,  &[]),
        ("ACK again",               &[Respond(486), Ack],   Ack,             Confirmed,  &[]),
        ("a timer of another state", &[Respond(486)],       Fired(Timer::L), Completed,  &[]),
        ("nothing wakes it",        &[TransportError],      Respond(200),    Terminated, &[]),
    ];

    #[test]
    fn every_row() {
        walk::<ServerInvite>(ROWS);
    }

    #[rustfmt::skip]
    const WAYS: &[Way<ServerInvite>] = &[
        (Proceeding, &[]),
        (Proceeding, &[Respond(180)]),
        (Completed,  &[Respond(486)]),
        (Completed,  &[Respond(180), Respond(302), Fired(Timer::G)]),
        (Confirmed,  &[Respond(486), Ack]),
        (Accepted,   &[Respond(200)]),
        (Accepted,   &[Respond(200), Ack]),
        (Terminated, &[TransportError]),
        (Terminated, &[Respond(486), Fired(Timer::H)]),
    ];

    #[rustfmt::skip]
    const EVENTS: &[Event<ServerInvite>] = &[
        ("1xx",             &[Respond(100), Respond(180), Respond(199)], &[]),
        ("2xx",             &[Respond(200), Respond(299)],               &[]),
        ("3xx–6xx",         &[Respond(300), Respond(486), Respond(699)], &[]),
        ("INVITE",          &[Invite],                                   &[]),
        ("ACK",             &[Ack],                                      &[]),
        ("transport error", &[TransportError],                           &[]),
    ];

    #[test]
    fn each_state_with_each_event_is_as_documented() {
        walk_docs::<ServerInvite>(include_str!("server_invite.rs"), WAYS, EVENTS);
    }

    #[test]
    fn a_reliable_transport_repeats_nothing_and_lingers_not() {
        assert_eq!(
            outputs::<ServerInvite>(true, &[Respond(486), Ack]),
            [
                Send,
                Keep,
                Start(Timer::H, ALL),
                Stop(Timer::G),
                Stop(Timer::H),
                Start(Timer::I, Duration::ZERO)
            ]
        );
    }

    #[test]
    fn g_grows_to_t2() {
        let inputs = [[Respond(603)].as_slice(), &[Fired(Timer::G); 5]].concat();
        let gaps: Vec<_> = outputs::<ServerInvite>(false, &inputs)
            .iter()
            .filter_map(|step| match step {
                Start(Timer::G, gap) => Some(gap.as_millis()),
                _ => None,
            })
            .collect();
        assert_eq!(gaps, [500, 1000, 2000, 4000, 4000, 4000]);
    }
}
