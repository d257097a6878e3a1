//! The non-INVITE server transaction (RFC 3261 §17.2.2, as corrected by RFC 4320).
//!
//! Absorbs repetitions of a request until its sender has certainly seen the answer.
//!
//! | State      | Input           | Next       | Outputs                    |
//! |------------|-----------------|------------|----------------------------|
//! | Trying     | T2 has passed   | Trying     |                            |
//! | Trying     | 100, allowed    | Proceeding | send, keep                 |
//! | Trying     | 408             | Completed  | start J                    |
//! | Trying     | 200–699         | Completed  | send, keep, start J        |
//! | Proceeding | 408             | Completed  | start J                    |
//! | Proceeding | 200–699         | Completed  | send, keep, start J        |
//! | Proceeding | the request     | Proceeding | send again                 |
//! | Completed  | the request     | Completed  | send again                 |
//! | Completed  | timer J         | Terminated |                            |
//! | any but Terminated | transport error | Terminated | tell the service    |
//!
//! A 100 is allowed on a reliable transport at any time, on another one once T2 has passed, and no
//! other 1xx ever is (RFC 4320 §4.1). A 408 is never sent: it would come after the client has given
//! up (§4.2). Any pair not listed changes nothing and sends nothing.

use super::step::{Intervals, Output, Timer};
use std::time::Duration;

/// Where it stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// No answer yet.
    Trying,
    /// Answered 100.
    Proceeding,
    /// Answered.
    Completed,
    /// Over.
    Terminated,
}

/// What happens to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Input {
    /// The service answers with this status.
    Respond(u16),
    /// So much time has passed that the client repeats every T2.
    Late,
    /// The request came again.
    Request,
    /// A timer fired.
    Fired(Timer),
    /// The transport could not send.
    TransportError,
}

/// The machine.
#[derive(Clone, Copy, Debug)]
pub struct ServerNonInvite {
    state: State,
    /// How long the sender may repeat the request: 64 × T1, or nothing if the transport is
    /// reliable.
    linger: Duration,
    trying_allowed: bool,
}

impl ServerNonInvite {
    /// The machine of a request that just came over a transport that is `reliable` or not.
    #[must_use]
    pub fn new(reliable: bool, intervals: Intervals) -> Self {
        let linger = if reliable { Duration::ZERO } else { intervals.patience() };
        Self { state: State::Trying, linger, trying_allowed: reliable }
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
            (S::Trying, I::Late) => {
                self.trying_allowed = true;
                S::Trying
            }
            (S::Trying, I::Respond(100)) if self.trying_allowed => {
                out.extend([Output::Send, Output::Keep]);
                S::Proceeding
            }
            (S::Trying | S::Proceeding, I::Respond(408)) => {
                out.push(Output::Start(Timer::J, self.linger));
                S::Completed
            }
            (S::Trying | S::Proceeding, I::Respond(200..=699)) => {
                out.extend([Output::Send, Output::Keep, Output::Start(Timer::J, self.linger)]);
                S::Completed
            }
            (s @ (S::Proceeding | S::Completed), I::Request) => {
                out.push(Output::Repeat);
                s
            }
            (S::Completed, I::Fired(Timer::J)) => S::Terminated,
            (S::Trying | S::Proceeding | S::Completed, I::TransportError) => {
                out.push(Output::Broken);
                S::Terminated
            }
            (unchanged, _) => unchanged,
        };
    }
}

#[cfg(test)]
impl super::rows::Machine for ServerNonInvite {
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
    use super::Input::{Fired, Late, Request, Respond, TransportError};
    use super::State::{Completed, Proceeding, Terminated, Trying};
    use super::*;
    use crate::txn::rows::{ALL, Event, Row, Way, outputs, walk, walk_docs};
    use Output::{Broken, Keep, Repeat, Send, Start};

    #[rustfmt::skip]
    const ROWS: &[Row<ServerNonInvite>] = &[
        ("T2 passes",              &[],                     Late,            Trying,     &[]),
        ("a late 100 is sent",     &[Late],                 Respond(100),    Proceeding, &[Send, Keep]),
        ("408 is not sent",        &[],                     Respond(408),    Completed,  &[Start(Timer::J, ALL)]),
        ("the answer completes",   &[],                     Respond(200),    Completed,  &[Send, Keep, Start(Timer::J, ALL)]),
        ("408 after 100",          &[Late, Respond(100)],   Respond(408),    Completed,  &[Start(Timer::J, ALL)]),
        ("the answer after 100",   &[Late, Respond(100)],   Respond(481),    Completed,  &[Send, Keep, Start(Timer::J, ALL)]),
        ("a repetition gets 100",  &[Late, Respond(100)],   Request,         Proceeding, &[Repeat]),
        ("a repetition gets it",   &[Respond(200)],         Request,         Completed,  &[Repeat]),
        ("J ends it",              &[Respond(200)],         Fired(Timer::J), Terminated, &[]),
        ("error in Trying",        &[],                     TransportError,  Terminated, &[Broken]),
        ("error in Proceeding",    &[Late, Respond(100)],   TransportError,  Terminated, &[Broken]),
        ("error in Completed",     &[Respond(200)],         TransportError,  Terminated, &[Broken]),
        // Unlisted pairs change nothing.
        ("100 too early",          &[],                     Respond(100),    Trying,     &[]),
        ("no other 1xx",           &[Late],                 Respond(180),    Trying,     &[]),
        ("no answer to repeat",    &[],                     Request,         Trying,     &[]),
        ("a second answer",        &[Respond(200)],         Respond(486),    Completed,  &[]),
        ("nothing wakes it",       &[TransportError],       Respond(200),    Terminated, &[]),
    ];

    #[test]
    fn every_row() {
        walk::<ServerNonInvite>(ROWS);
    }

    #[rustfmt::skip]
    const WAYS: &[Way<ServerNonInvite>] = &[
        (Trying,     &[]),
        (Proceeding, &[Late, Respond(100)]),
        (Completed,  &[Respond(200)]),
        (Completed,  &[Respond(408)]),
        (Completed,  &[Late, Respond(100), Respond(603)]),
        (Terminated, &[TransportError]),
        (Terminated, &[Respond(200), Fired(Timer::J)]),
    ];

    #[rustfmt::skip]
    const EVENTS: &[Event<ServerNonInvite>] = &[
        ("T2 has passed",   &[Late],                                      &[]),
        ("100",             &[Respond(100)],                              &[]),
        ("100, allowed",    &[Respond(100)],                              &[Late]),
        ("another 1xx",     &[Respond(101), Respond(180), Respond(199)],  &[Late]),
        ("408",             &[Respond(408)],                              &[]),
        ("200–699",         &[Respond(200), Respond(407), Respond(409), Respond(699)], &[]),
        ("the request",     &[Request],                                   &[]),
        ("transport error", &[TransportError],                            &[]),
    ];

    #[test]
    fn each_state_with_each_event_is_as_documented() {
        walk_docs::<ServerNonInvite>(include_str!("server_non_invite.rs"), WAYS, EVENTS);
    }

    #[test]
    fn a_reliable_transport_takes_100_at_once_and_lingers_not() {
        let out = outputs::<ServerNonInvite>(true, &[Respond(100), Respond(200)]);
        assert_eq!(out, [Send, Keep, Send, Keep, Start(Timer::J, Duration::ZERO)]);
    }
}
