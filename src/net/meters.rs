//! What is counted of the network; every handle is made once.

use crate::base::flow::Transport;
use crate::sip::frame::FrameError;
use metrics::Counter;
use std::cell::Cell;

/// Why something was dropped or closed instead of served.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shed {
    /// Another shard's mailbox was full.
    MailboxFull,
    /// The kernel's send buffer was full.
    UdpSendFull,
    /// The kernel would not send a datagram.
    UdpSendRefused,
    /// A peer did not read what waited for it; closed.
    StreamQueueFull,
    /// The shard has as many connections as it may; the new one was closed.
    StreamsFull,
    /// The source has as many connections as it may; the new one was closed.
    StreamsOfSourceFull,
    /// A connection was silent for too long, with no binding on it; closed.
    StreamIdle,
    /// A message was not completed in time; the connection was closed.
    StreamSlow,
    /// Nobody signed in over a connection in time; closed.
    StreamStranger,
    /// The source has as many unfinished handshakes as it may; the new connection was closed.
    HandshakesOfSourceFull,
    /// The shard has as many unfinished handshakes as it may; nothing was accepted until one ended.
    HandshakesFull,
    /// A handshake was not completed in time; closed.
    HandshakeSlow,
    /// A TLS or WebSocket handshake that cannot succeed; closed.
    HandshakeFailed,
    /// What came cannot be decrypted, or is no WebSocket frame; closed.
    StreamBroken,
    /// A STUN keep-alive beyond their rate; dropped.
    StunFull,
    /// Something was to be sent over a connection that is gone.
    FlowDead,
    /// A connection could not be accepted (no descriptor left, …).
    AcceptFailed,
    /// More events than the log keeps up with; dropped.
    EventsFull,
    /// The shard has opened as many connections as it may, or opens as many; no more was.
    OutgoingFull,
    /// More was to wait for a connection to be opened than may.
    OutgoingQueueFull,
}

impl Shed {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 20] = [
        Self::MailboxFull,
        Self::UdpSendFull,
        Self::UdpSendRefused,
        Self::StreamQueueFull,
        Self::StreamsFull,
        Self::StreamsOfSourceFull,
        Self::StreamIdle,
        Self::StreamSlow,
        Self::StreamStranger,
        Self::HandshakesOfSourceFull,
        Self::HandshakesFull,
        Self::HandshakeSlow,
        Self::HandshakeFailed,
        Self::StreamBroken,
        Self::StunFull,
        Self::FlowDead,
        Self::AcceptFailed,
        Self::EventsFull,
        Self::OutgoingFull,
        Self::OutgoingQueueFull,
    ];

    /// The label in `stationmaster_shed_total{why}`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::MailboxFull => "mailbox_full",
            Self::UdpSendFull => "udp_send_full",
            Self::UdpSendRefused => "udp_send_refused",
            Self::StreamQueueFull => "stream_queue_full",
            Self::StreamsFull => "streams_full",
            Self::StreamsOfSourceFull => "streams_of_source_full",
            Self::StreamIdle => "stream_idle",
            Self::StreamSlow => "stream_slow",
            Self::StreamStranger => "stream_stranger",
            Self::HandshakesOfSourceFull => "handshakes_of_source_full",
            Self::HandshakesFull => "handshakes_full",
            Self::HandshakeSlow => "handshake_slow",
            Self::HandshakeFailed => "handshake_failed",
            Self::StreamBroken => "stream_broken",
            Self::StunFull => "stun_full",
            Self::FlowDead => "flow_dead",
            Self::AcceptFailed => "accept_failed",
            Self::EventsFull => "events_full",
            Self::OutgoingFull => "outgoing_full",
            Self::OutgoingQueueFull => "outgoing_queue_full",
        }
    }
}

/// What came of a wish to have a connection to a phone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Opening {
    /// It stands.
    Opened,
    /// The phone, or the network, said no.
    Refused,
    /// Nobody answered in time.
    Late,
    /// None was tried, since that failed a while ago.
    Avoided,
}

impl Opening {
    /// Each, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Opened, Self::Refused, Self::Late, Self::Avoided];

    /// The label in `stationmaster_connections_opened_total{outcome}`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Refused => "refused",
            Self::Late => "late",
            Self::Avoided => "avoided",
        }
    }
}

/// The direction of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// From a peer.
    In,
    /// To a peer.
    Out,
}

/// Handles to the network's metrics; made once at start, cheap to clone.
#[derive(Clone)]
pub struct NetMeters {
    messages: [[Counter; 2]; Transport::ALL.len()],
    shed: [Counter; Shed::ALL.len()],
    opened: [Counter; Opening::ALL.len()],
    frame_errors: [(FrameError, Counter); 3],
}

impl NetMeters {
    /// Describes and registers `stationmaster_messages_total{transport,direction}`,
    /// `stationmaster_shed_total{why}`, `stationmaster_connections_opened_total{outcome}` and the stream
    /// kinds of `stationmaster_parse_errors_total{kind}`.
    #[must_use]
    pub fn new() -> Self {
        metrics::describe_counter!(
            "stationmaster_messages_total",
            "SIP messages, by transport and direction"
        );
        metrics::describe_counter!("stationmaster_shed_total", "What was dropped or refused to shed load");
        metrics::describe_counter!(
            "stationmaster_connections_opened_total",
            "Connections that were to be opened to phones, by outcome"
        );
        metrics::describe_counter!("stationmaster_parse_errors_total", "What could not be read, by kind");
        let frame_error = |error: FrameError| {
            (error, metrics::counter!("stationmaster_parse_errors_total", "kind" => error.label()))
        };
        Self {
            messages: Transport::ALL.map(|transport| {
                ["in", "out"].map(|direction| {
                    metrics::counter!("stationmaster_messages_total",
                        "transport" => transport.label(), "direction" => direction)
                })
            }),
            shed: Shed::ALL.map(|why| metrics::counter!("stationmaster_shed_total", "why" => why.label())),
            opened: Opening::ALL.map(|outcome| {
                metrics::counter!("stationmaster_connections_opened_total", "outcome" => outcome.label())
            }),
            frame_errors: [FrameError::HeaderTooLong, FrameError::MessageTooLong, FrameError::ContentLength]
                .map(frame_error),
        }
    }
}

impl NetMeters {
    /// Counts something dropped outside a shard's loop.
    pub fn shed(&self, why: Shed) {
        if let Some(counter) = self.shed.get(why as usize) {
            counter.increment(1);
        }
    }
}

impl Default for NetMeters {
    fn default() -> Self {
        Self::new()
    }
}

/// One shard's counts of messages since it last told the metrics, so that a packet costs no atomic.
pub struct Tally {
    meters: NetMeters,
    messages: [[Cell<u64>; 2]; Transport::ALL.len()],
}

impl Tally {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(meters: NetMeters) -> Self {
        Self { meters, messages: Default::default() }
    }

    /// Counts one message.
    pub fn message(&self, transport: Transport, direction: Direction) {
        let counts = self.messages.get(transport as usize);
        if let Some(count) = counts.and_then(|directions| directions.get(direction as usize)) {
            count.set(count.get() + 1);
        }
    }

    /// Counts something dropped.
    pub fn shed(&self, why: Shed) {
        self.meters.shed(why);
    }

    /// Counts what came of opening a connection.
    pub fn opening(&self, outcome: Opening) {
        if let Some(counter) = self.meters.opened.get(outcome as usize) {
            counter.increment(1);
        }
    }

    /// Counts a connection that cannot be read on.
    pub fn frame_error(&self, error: FrameError) {
        if let Some((_, counter)) = self.meters.frame_errors.iter().find(|(kind, _)| *kind == error) {
            counter.increment(1);
        }
    }

    /// Tells the metrics; once per turn of the shard.
    pub fn flush(&self) {
        for (counts, counters) in self.messages.iter().zip(&self.meters.messages) {
            for (count, counter) in counts.iter().zip(counters) {
                let counted = count.take();
                if counted > 0 {
                    counter.increment(counted);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;

    #[test]
    fn every_name_and_label_is_as_written() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let tally = Tally::new(metrics::with_local_recorder(&recorder, NetMeters::new));
        for (number, transport) in Transport::ALL.into_iter().enumerate() {
            assert_eq!(transport as usize, number);
            tally.message(transport, Direction::In);
            tally.message(transport, Direction::Out);
            tally.message(transport, Direction::Out);
        }
        Shed::ALL.iter().for_each(|why| tally.shed(*why));
        Opening::ALL.iter().for_each(|outcome| tally.opening(*outcome));
        tally.frame_error(FrameError::MessageTooLong);
        tally.flush();
        tally.flush();
        let text = recorder.handle().render();
        for line in [
            "stationmaster_messages_total{transport=\"udp\",direction=\"in\"} 1",
            "stationmaster_messages_total{transport=\"tcp\",direction=\"out\"} 2",
            "stationmaster_messages_total{transport=\"wss\",direction=\"in\"} 1",
            "stationmaster_parse_errors_total{kind=\"stream_message_too_long\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        for (number, why) in Shed::ALL.iter().enumerate() {
            assert_eq!(*why as usize, number);
            let line = format!("stationmaster_shed_total{{why=\"{}\"}} 1", why.label());
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        for (number, outcome) in Opening::ALL.iter().enumerate() {
            assert_eq!(*outcome as usize, number);
            let line = format!("stationmaster_connections_opened_total{{outcome=\"{}\"}} 1", outcome.label());
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
