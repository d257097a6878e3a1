//! The INVITE client transaction (RFC 3261 §17.1.1, as corrected by RFC 6026 §7.2).
//!
//! Brings one INVITE of ours to a peer, and hands each answer that matters to the service.
//!
//! | State      | Input     | Next       | Outputs                                    |
//! |------------|-----------|------------|--------------------------------------------|
//! | Calling    | begin     | Calling    | send, keep, start A (unreliable), start B  |
//! | Calling    | timer A   | Calling    | send again, start A (doubled)              |
//! | Calling    | timer B   | Terminated | tell the service: no answer came           |
//! | Calling    | 1xx       | Proceeding | stop A and B, hand up                      |
//! | Calling    | 2xx       | Accepted   | stop A and B, hand up, start M             |
//! | Calling    | 3xx–6xx   | Completed  | stop A and B, ACK, hand up, start D        |
//! | Calling    | limit     | Calling    |                                            |
//! | Proceeding | 1xx       | Proceeding | hand up                                    |
//! | Proceeding | 2xx       | Accepted   | hand up, start M                           |
//! | Proceeding | 3xx–6xx   | Completed  | ACK, hand up, start D                      |
//! | Proceeding | limit     | Proceeding | start B                                    |
//! | Proceeding | timer B   | Terminated | tell the service: no answer came           |
//! | Completed  | 3xx–6xx   | Completed  | ACK                                        |
//! | Completed  | timer D   | Terminated |                                            |
//! | Accepted   | 2xx       | Accepted   | hand up                                    |
//! | Accepted   | timer M   | Terminated |                                            |
//! | Calling, Proceeding | transport error | Terminated | tell the service           |
//! | Completed, Accepted | transport error | Terminated |                            |
//!
//! After a limit in Calling a 1xx does not stop B. Any pair not listed changes nothing and sends nothing. Proceeding has no timer of its own: how
//! long a phone may ring is the service's to say, which then cancels and sets a limit of 64 × T1
//! for something to come of that (§9.1). After its final answer a broken transport is no news to
//! the service, which has its answer; the ACK is then simply lost.

use super::step::{Intervals, Output, Timer};
use std::time::Duration;

/// Where it stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Sent; nothing came back.
    Calling,
    /// A provisional answer came.
    Proceeding,
    /// Answered 3xx–6xx; repetitions of it get the ACK again.
    Completed,
    /// Answered 2xx; repetitions of it go up.
    Accepted,
    /// Over.
    Terminated,
}

/// What happens to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Input {
    /// The service sends the INVITE.
    Begin,
    /// A response with this status came.
    Response(u16),
    /// The service waits for a final answer 64 × T1 longer and no more.
    Limit,
    /// A timer fired.
    Fired(Timer),
    /// The transport could not send.
    TransportError,
}

/// The machine.
#[derive(Clone, Copy, Debug)]
pub struct ClientInvite {
    state: State,
    reliable: bool,
    limited: bool,
    gap: Duration,
    intervals: Intervals,
}

impl ClientInvite {
    /// The machine of an INVITE to be sent over a transport that is `reliable` or not.
    #[must_use]
    pub const fn new(reliable: bool, intervals: Intervals) -> Self {
        Self { state: State::Calling, reliable, limited: false, gap: intervals.t1, intervals }
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Whether the service waits for a final answer no longer than 64 × T1.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        self.limited
    }

    /// Applies one input, appending what must be done to `out`.
    pub fn handle(&mut self, input: Input, out: &mut Vec<Output>) {
        use {Input as I, State as S};
        self.state = match (self.state, input) {
            (S::Calling, I::Begin) => {
                out.extend([Output::Send, Output::Keep]);
                if !self.reliable {
                    out.push(Output::Start(Timer::A, self.gap));
                }
                out.push(Output::Start(Timer::B, self.intervals.patience()));
                S::Calling
            }
            (S::Calling, I::Fired(Timer::A)) => {
                self.gap *= 2;
                out.extend([Output::Repeat, Output::Start(Timer::A, self.gap)]);
                S::Calling
            }
            (S::Calling | S::Proceeding, I::Fired(Timer::B)) => {
                out.push(Output::TimedOut);
                S::Terminated
            }
            (s @ (S::Calling | S::Proceeding), I::Response(code @ 100..=699)) => {
                if s == S::Calling {
                    out.push(Output::Stop(Timer::A));
                }
                if s == S::Calling && !(self.limited && code < 200) {
                    out.push(Output::Stop(Timer::B));
                }
                match code {
                    ..=199 => {
                        out.push(Output::Up);
                        S::Proceeding
                    }
                    200..=299 => {
                        out.extend([Output::Up, Output::Start(Timer::M, self.intervals.patience())]);
                        S::Accepted
                    }
                    _ => {
                        let linger = if self.reliable { Duration::ZERO } else { self.intervals.patience() };
                        out.extend([Output::Acknowledge, Output::Up, Output::Start(Timer::D, linger)]);
                        S::Completed
                    }
                }
            }
            (S::Completed, I::Response(300..=699)) => {
                out.push(Output::Acknowledge);
                S::Completed
            }
            (S::Accepted, I::Response(200..=299)) => {
                out.push(Output::Up);
                S::Accepted
            }
            (s @ (S::Calling | S::Proceeding), I::Limit) if !self.limited => {
                self.limited = true;
                if s == S::Proceeding {
                    out.push(Output::Start(Timer::B, self.intervals.patience()));
                }
                s
            }
            (S::Completed, I::Fired(Timer::D)) | (S::Accepted, I::Fired(Timer::M)) => S::Terminated,
            (S::Calling | S::Proceeding, I::TransportError) => {
                out.push(Output::Broken);
                S::Terminated
            }
            (S::Completed | S::Accepted, I::TransportError) => S::Terminated,
            (unchanged, _) => unchanged,
        };
    }
}

#[cfg(test)]
impl super::rows::Machine for ClientInvite {
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
    use super::Input::{Begin, Fired, Limit, Response, TransportError};
    use super::State::{Accepted, Calling, Completed, Proceeding, Terminated};
    use super::*;
    use crate::txn::rows::{ALL, Event, HALF, ONE, Row, Way, outputs, step, walk, walk_docs};
    use Output::{Acknowledge, Broken, Keep, Repeat, Send, Start, Stop, TimedOut, Up};

    const A: Output = Stop(Timer::A);
    const B: Output = Stop(Timer::B);

    #[rustfmt::skip]
    const ROWS: &[Row<ClientInvite>] = &[
        ("it is sent",            &[],                             Begin,           Calling,    &[Send, Keep, Start(Timer::A, HALF), Start(Timer::B, ALL)]),
        ("A repeats and doubles", &[Begin],                        Fired(Timer::A), Calling,    &[Repeat, Start(Timer::A, ONE)]),
        ("B gives up",            &[Begin],                        Fired(Timer::B), Terminated, &[TimedOut]),
        ("1xx goes up",           &[Begin],                        Response(100),   Proceeding, &[A, B, Up]),
        ("2xx accepts",           &[Begin],                        Response(200),   Accepted,   &[A, B, Up, Start(Timer::M, ALL)]),
        ("3xx–6xx completes",     &[Begin],                        Response(486),   Completed,  &[A, B, Acknowledge, Up, Start(Timer::D, ALL)]),
        ("limited unanswered",    &[Begin],                        Limit,           Calling,    &[]),
        ("1xx again",             &[Begin, Response(100)],         Response(180),   Proceeding, &[Up]),
        ("2xx after 1xx",         &[Begin, Response(180)],         Response(200),   Accepted,   &[Up, Start(Timer::M, ALL)]),
        ("3xx–6xx after 1xx",     &[Begin, Response(180)],         Response(603),   Completed,  &[Acknowledge, Up, Start(Timer::D, ALL)]),
        ("limited ringing",       &[Begin, Response(180)],         Limit,           Proceeding, &[Start(Timer::B, ALL)]),
        ("the limit comes",       &[Begin, Response(180), Limit],  Fired(Timer::B), Terminated, &[TimedOut]),
        ("a repetition is ACKed", &[Begin, Response(486)],         Response(486),   Completed,  &[Acknowledge]),
        ("D ends it",             &[Begin, Response(486)],         Fired(Timer::D), Terminated, &[]),
        ("2xx again goes up",     &[Begin, Response(200)],         Response(200),   Accepted,   &[Up]),
        ("M ends it",             &[Begin, Response(200)],         Fired(Timer::M), Terminated, &[]),
        ("error in Calling",      &[Begin],                        TransportError,  Terminated, &[Broken]),
        ("error in Proceeding",   &[Begin, Response(180)],         TransportError,  Terminated, &[Broken]),
        ("error in Completed",    &[Begin, Response(486)],         TransportError,  Terminated, &[]),
        ("error in Accepted",     &[Begin, Response(200)],         TransportError,  Terminated, &[]),
        // Unlisted pairs change nothing.
        ("A after 1xx",           &[Begin, Response(180)],         Fired(Timer::A), Proceeding, &[]),
        ("limited twice",         &[Begin, Response(180), Limit],  Limit,           Proceeding, &[]),
        ("1xx after the final",   &[Begin, Response(486)],         Response(180),   Completed,  &[]),
        ("2xx after another",     &[Begin, Response(486)],         Response(200),   Completed,  &[]),
        ("3xx–6xx after 2xx",     &[Begin, Response(200)],         Response(486),   Accepted,   &[]),
        ("1xx after 2xx",         &[Begin, Response(200)],         Response(180),   Accepted,   &[]),
        ("limited after 2xx",     &[Begin, Response(200)],         Limit,           Accepted,   &[]),
        ("nothing wakes it",      &[Begin, Fired(Timer::B)],       Response(200),   Terminated, &[]),
    ];

    #[test]
    fn every_row() {
        walk::<ClientInvite>(ROWS);
    }

    #[rustfmt::skip]
    const WAYS: &[Way<ClientInvite>] = &[
        (Calling,    &[]),
        (Calling,    &[Begin]),
        (Calling,    &[Begin, Fired(Timer::A)]),
        (Proceeding, &[Begin, Response(100)]),
        (Proceeding, &[Begin, Response(100), Response(183)]),
        (Completed,  &[Begin, Response(486)]),
        (Completed,  &[Begin, Response(180), Limit, Response(487)]),
        (Accepted,   &[Begin, Response(200)]),
        (Accepted,   &[Begin, Response(180), Response(200), Response(200)]),
        (Terminated, &[Begin, Fired(Timer::B)]),
        (Terminated, &[Begin, Response(200), Fired(Timer::M)]),
    ];

    #[rustfmt::skip]
    const EVENTS: &[Event<ClientInvite>] = &[
        ("begin",           &[Begin],                                       &[]),
        ("1xx",             &[Response(100), Response(180), Response(199)], &[]),
        ("2xx",             &[Response(200), Response(299)],                &[]),
        ("3xx–6xx",         &[Response(300), Response(486), Response(699)], &[]),
        ("limit",           &[Limit],                                       &[]),
        ("transport error", &[TransportError],                              &[]),
    ];

    #[test]
    fn each_state_with_each_event_is_as_documented() {
        walk_docs::<ClientInvite>(include_str!("client_invite.rs"), WAYS, EVENTS);
    }

    #[test]
    fn a_reliable_transport_repeats_nothing_and_lingers_not() {
        assert_eq!(
            outputs::<ClientInvite>(true, &[Begin, Response(486)]),
            [Send, Keep, Start(Timer::B, ALL), A, B, Acknowledge, Up, Start(Timer::D, Duration::ZERO)]
        );
    }

    #[test]
    fn a_limit_set_early_outlives_the_first_1xx() {
        let early = [Begin, Limit, Response(100)];
        assert_eq!(
            outputs::<ClientInvite>(false, &early),
            [Send, Keep, Start(Timer::A, HALF), Start(Timer::B, ALL), A, Up]
        );
        let end = step::<ClientInvite>(false, &early, Response(486));
        assert_eq!(end, (Completed, vec![Acknowledge, Up, Start(Timer::D, ALL)]));
        let late = [&early[..], &[Response(486)]].concat();
        assert_eq!(step::<ClientInvite>(false, &late, Fired(Timer::B)), (Completed, vec![]));
    }

    #[test]
    fn a_doubles_without_bound() {
        let inputs = [[Begin].as_slice(), &[Fired(Timer::A); 5]].concat();
        assert_eq!(
            outputs::<ClientInvite>(false, &inputs).last(),
            Some(&Start(Timer::A, Duration::from_secs(16)))
        );
    }
}
