//! The words that the four machines share: timers, their lengths, and what a step wants done.

use std::time::Duration;

/// The lengths that all timers are made of (RFC 3261 §17.1.1.1, table 4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Intervals {
    /// Round trip: the first gap between repetitions. 500 ms.
    pub t1: Duration,
    /// The longest gap between repetitions. 4 s.
    pub t2: Duration,
    /// How long a message stays in the network. 5 s.
    pub t4: Duration,
}

impl Default for Intervals {
    fn default() -> Self {
        Self { t1: Duration::from_millis(500), t2: Duration::from_secs(4), t4: Duration::from_secs(5) }
    }
}

impl Intervals {
    /// 64 × T1: after that a peer that has not answered never will. 32 s.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.t1 * 64
    }

    /// How long an INVITE may wait for its first answer: then its sender is told 100 (RFC 3261 §17.2.1:
    /// 200 ms), and before it would repeat the INVITE. 200 ms, or two fifths of T1 if that is less.
    #[must_use]
    pub fn until_trying(&self) -> Duration {
        Duration::from_millis(200).min(self.t1 * 2 / 5)
    }

    /// When the gap of a client's timer E has grown to T2: before it no 100 to a non-INVITE request
    /// may be sent (RFC 4320 §4.1). 3.5 s.
    #[must_use]
    pub fn until_t2(&self) -> Duration {
        let (mut gap, mut sum) = (self.t1.max(Duration::from_millis(1)), Duration::ZERO);
        while gap < self.t2 {
            sum += gap;
            gap *= 2;
        }
        sum
    }
}

/// The timers of RFC 3261 table 4 and RFC 6026.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Timer {
    /// Client INVITE: repeat the request.
    A,
    /// Client INVITE: no answer came.
    B,
    /// Client INVITE: repetitions of the final answer are over.
    D,
    /// Client non-INVITE: repeat the request.
    E,
    /// Client non-INVITE: no final answer came.
    F,
    /// Server INVITE: repeat the answer.
    G,
    /// Server INVITE: no ACK came.
    H,
    /// Server INVITE: repetitions of the ACK are over.
    I,
    /// Server non-INVITE: repetitions of the request are over.
    J,
    /// Client non-INVITE: repetitions of the answer are over.
    K,
    /// Server INVITE: repetitions of an accepted INVITE are over.
    L,
    /// Client INVITE: repetitions of the 2xx are over.
    M,
}

impl Timer {
    /// Whether it makes something be repeated; the others end a state. A machine never has two of
    /// a kind running.
    #[must_use]
    pub const fn repeats(self) -> bool {
        matches!(self, Self::A | Self::E | Self::G)
    }
}

/// What a step of a machine wants done, in the order it must be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Output {
    /// Send the message that the service just gave.
    Send,
    /// Keep it, in place of the one kept before.
    Keep,
    /// Send the kept message again.
    Repeat,
    /// Send the ACK to the final response that just came.
    Acknowledge,
    /// Start this timer; one of no length fires at once.
    Start(Timer, Duration),
    /// Stop this timer.
    Stop(Timer),
    /// Hand the message that just came to the service.
    Up,
    /// Tell the service: no answer came.
    TimedOut,
    /// Tell the service: no ACK came.
    NoAck,
    /// Tell the service: the transport failed.
    Broken,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t2_is_reached_after_three_and_a_half_seconds() {
        let intervals = Intervals::default();
        assert_eq!(intervals.until_t2(), Duration::from_millis(3500));
        assert_eq!(intervals.patience(), Duration::from_secs(32));
        let none = Intervals { t1: Duration::ZERO, ..intervals };
        assert!(none.until_t2() < Duration::from_secs(9), "a T1 of nothing must not loop for ever");
    }
}
