//! The non-INVITE client transaction (RFC 3261 §17.1.2).
//!
//! Brings one request of ours to a peer, and hands its answer to the service.
//!
//! | State      | Input     | Next       | Outputs                                   |
//! |------------|-----------|------------|-------------------------------------------|
//! | Trying     | begin     | Trying     | send, keep, start E (unreliable), start F |
//! | Trying     | timer E   | Trying     | send again, start E (doubled up to T2) |
//! | Trying     | timer F   | Terminated | tell the service: no answer came          |
//! | Trying     | 1xx       | Proceeding | hand up                                   |
//! | Trying     | 2xx–6xx   | Completed  | stop E and F, hand up, start K            |
//! | Proceeding | timer E   | Proceeding | send again, start E (at T2)               |
//! | Proceeding | timer F   | Terminated | tell the service: no answer came          |
//! | Proceeding | 1xx       | Proceeding | hand up                                   |
//! | Proceeding | 2xx–6xx   | Completed  | stop E and F, hand up, start K            |
//! | Completed  | timer K   | Terminated |                                           |
//! | Trying, Proceeding | transport error | Terminated | tell the service           |
//! | Completed  | transport error | Terminated |                                     |
//!
//! Any pair not listed changes nothing and sends nothing.

use super::step::{Intervals, Output, Timer};
use std::time::Duration;

/// Where it stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Sent; nothing came back.
    Trying,
    /// A provisional answer came.
    Proceeding,
    /// Answered; repetitions of the answer are absorbed.
    Completed,
    /// Over.
    Terminated,
}

/// What happens to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Input {
    /// The service sends the request.
    Begin,
    /// A response with this status came.
    Response(u16),
    /// A timer fired.
    Fired(Timer),
    /// The transport could not send.
    TransportError,
}

/// The machine.
#[derive(Clone, Copy, Debug)]
pub struct ClientNonInvite {
    state: State,
    reliable: bool,
    gap: Duration,
    intervals: Intervals,
}

impl ClientNonInvite {
    /// The machine of a request to be sent over a transport that is `reliable` or not.
    #[must_use]
    pub const fn new(reliable: bool, intervals: Intervals) -> Self {
        Self { state: State::Trying, reliable, gap: intervals.t1, intervals }
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
            (S::Trying, I::Begin) => {
                out.extend([Output::Send, Output::Keep]);
                if !self.reliable {
                    out.push(Output::Start(Timer::E, self.gap));
                }
                out.push(Output::Start(Timer::F, self.intervals.patience()));
                S::Trying
            }
            (s @ (S::Trying | S::Proceeding), I::Fired(Timer::E)) => {
                let grown = if s == S::Trying { self.gap * 2 } else { self.intervals.t2 };
                self.gap = grown.min(self.intervals.t2);
                out.extend([Output::Repeat, Output::Start(Timer::E, self.gap)]);
                s
            }
            (S::Trying | S::Proceeding, I::Fired(Timer::F)) => {
                out.push(Output::TimedOut);
                S::Terminated
            }
            (S::Trying | S::Proceeding, I::Response(100..=199)) => {
                out.push(Output::Up);
                S::Proceeding
            }
            (S::Trying | S::Proceeding, I::Response(200..=699)) => {
                let linger = if self.reliable { Duration::ZERO } else { self.intervals.t4 };
                out.extend([
                    Output::Stop(Timer::E),
                    Output::Stop(Timer::F),
                    Output::Up,
                    Output::Start(Timer::K, linger),
                ]);
                S::Completed
            }
            (S::Completed, I::Fired(Timer::K) | I::TransportError) => S::Terminated,
            (S::Trying | S::Proceeding, I::TransportError) => {
                out.push(Output::Broken);
                S::Terminated
            }
            (unchanged, _) => unchanged,
        };
    }
}

#[cfg(test)]
impl super::rows::Machine for ClientNonInvite {
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
    use super::Input::{Begin, Fired, Response, TransportError};
    use super::State::{Completed, Proceeding, Terminated, Trying};
    use super::*;
    use crate::txn::rows::{ALL, Event, FIVE, HALF, ONE, Row, Way, outputs, walk, walk_docs};
    use Output::{Broken, Keep, Repeat, Send, Start, Stop, TimedOut, Up};

    const E: Output = Stop(Timer::E);
    const F: Output = Stop(Timer::F);
    const FOUR: Duration = Duration::from_secs(4);

    #[rustfmt::skip]
    const ROWS: &[Row<ClientNonInvite>] = &[
        ("it is sent",            &[],                        Begin,           Trying,     &[Send, Keep, Start(Timer::E, HALF), Start(Timer::F, ALL)]),
        ("E repeats and doubles", &[Begin],                   Fired(Timer::E), Trying,     &[Repeat, Start(Timer::E, ONE)]),
        ("F gives up",            &[Begin],                   Fired(Timer::F), Terminated, &[TimedOut]),
        ("1xx goes up",           &[Begin],                   Response(100),   Proceeding, &[Up]),
        ("the answer completes",  &[Begin],                   Response(200),   Completed,  &[E, F, Up, Start(Timer::K, FIVE)]),
        ("E slows down to T2",    &[Begin, Response(100)],    Fired(Timer::E), Proceeding, &[Repeat, Start(Timer::E, FOUR)]),
        ("F gives up after 1xx",  &[Begin, Response(100)],    Fired(Timer::F), Terminated, &[TimedOut]),
        ("1xx again",             &[Begin, Response(100)],    Response(100),   Proceeding, &[Up]),
        ("the answer after 1xx",  &[Begin, Response(100)],    Response(481),   Completed,  &[E, F, Up, Start(Timer::K, FIVE)]),
        ("K ends it",             &[Begin, Response(200)],    Fired(Timer::K), Terminated, &[]),
        ("error in Trying",       &[Begin],                   TransportError,  Terminated, &[Broken]),
        ("error in Proceeding",   &[Begin, Response(100)],    TransportError,  Terminated, &[Broken]),
        ("error in Completed",    &[Begin, Response(200)],    TransportError,  Terminated, &[]),
        // Unlisted pairs change nothing.
        ("the answer again",      &[Begin, Response(200)],    Response(200),   Completed,  &[]),
        ("E after the answer",    &[Begin, Response(200)],    Fired(Timer::E), Completed,  &[]),
        ("nothing wakes it",      &[Begin, Fired(Timer::F)],  Response(200),   Terminated, &[]),
    ];

    #[test]
    fn every_row() {
        walk::<ClientNonInvite>(ROWS);
    }

    #[rustfmt::skip]
    const WAYS: &[Way<ClientNonInvite>] = &[
        (Trying,     &[]),
        (Trying,     &[Begin]),
        (Trying,     &[Begin, Fired(Timer::E)]),
        (Proceeding, &[Begin, Response(100)]),
        (Completed,  &[Begin, Response(200)]),
        (Completed,  &[Begin, Response(100), Response(486)]),
        (Terminated, &[Begin, Fired(Timer::F)]),
        (Terminated, &[Begin, Response(200), Fired(Timer::K)]),
    ];

    #[rustfmt::skip]
    const EVENTS: &[Event<ClientNonInvite>] = &[
        ("begin",           &[Begin],                                       &[]),
        ("1xx",             &[Response(100), Response(180), Response(199)], &[]),
        ("2xx–6xx",         &[Response(200), Response(302), Response(486), Response(699)], &[]),
        ("transport error", &[TransportError],                              &[]),
    ];

    #[test]
    fn each_state_with_each_event_is_as_documented() {
        walk_docs::<ClientNonInvite>(include_str!("client_non_invite.rs"), WAYS, EVENTS);
    }

    #[test]
    fn a_reliable_transport_repeats_nothing_and_lingers_not() {
        let out = outputs::<ClientNonInvite>(true, &[Begin, Response(200)]);
        assert_eq!(out, [Send, Keep, Start(Timer::F, ALL), E, F, Up, Start(Timer::K, Duration::ZERO)]);
    }

    #[test]
    fn e_grows_to_t2() {
        let inputs = [[Begin].as_slice(), &[Fired(Timer::E); 5]].concat();
        assert_eq!(outputs::<ClientNonInvite>(false, &inputs).last(), Some(&Start(Timer::E, FOUR)));
    }
}
