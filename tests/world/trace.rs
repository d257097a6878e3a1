//! What happened in a world, in order: compared between two runs of a seed, and printed as a ladder
//! for a seed that failed.
//!
//! ```text
//!        time ms  p0        server    p1
//!         1000.0  * p0 calls 201
//!         1012.6  |-------->|         |         INVITE sip:201@… +sdp
//!         1019.1  |         |---x     |         INVITE sip:201-acme@… +sdp
//!         1530.4  |         |---2---->|         INVITE sip:201-acme@… +sdp
//!         1541.9  |         |<========|         180 Ringing (INVITE)
//! ```
//! `---x` is lost, `-2-` is the second copy of one packet, `~~~` was kept back for half a second
//! or more, `===` went over a connection; `!` is the end of a connection. An arrow stands where
//! its packet arrives, or is lost; what is said on a connection, where it is said.

use super::network::Signal;
use super::sip::Text;
use stationmaster::base::time::Mono;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;

/// What became of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// It arrives so much later, in microseconds.
    Arrives(u64),
    /// A second copy of it arrives.
    Doubled(u64),
    /// It is lost.
    Lost,
    /// It goes over a connection.
    Streamed,
}

/// From whom, to whom.
type Path = (SocketAddr, SocketAddr);

/// One line of a trace.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Line {
    /// Somebody sent something.
    Sent {
        /// Who, to whom.
        path: Path,
        /// What.
        bytes: Arc<[u8]>,
        /// What became of it.
        fate: Fate,
    },
    /// It arrived.
    Heard {
        /// Who sent it, who heard it.
        path: Path,
        /// What.
        bytes: Arc<[u8]>,
        /// How.
        fate: Fate,
    },
    /// A connection begins or ends.
    Signal {
        /// Who did it, who heard it.
        path: Path,
        /// Which.
        signal: Signal,
    },
    /// Something else.
    Note(String),
}

/// A trace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    lines: Vec<(Mono, Line)>,
    /// Who has which address; later entries win, since phones move.
    names: Vec<(SocketAddr, String)>,
}

/// What the server's column is called.
const HOST: &str = "server";

/// Least width of a ladder's column.
const COLUMN: usize = 10;

/// Kept back for longer than this is marked, in microseconds.
const LATE_US: u64 = 500_000;

impl Trace {
    /// Gives an address a name.
    pub(crate) fn name(&mut self, address: SocketAddr, name: &str) {
        self.names.push((address, name.to_owned()));
    }

    /// The address of the server.
    pub(crate) fn host(&mut self, address: SocketAddr) {
        self.name(address, HOST);
    }

    /// Adds a line.
    pub(crate) fn add(&mut self, at: Mono, line: Line) {
        self.lines.push((at, line));
    }

    /// Somebody said something on a connection.
    pub(crate) fn stream(&mut self, at: Mono, path: Path, bytes: &[u8]) {
        self.add(at, Line::Sent { path, bytes: bytes.into(), fate: Fate::Streamed });
    }

    /// How many lines there are.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// How many notes begin with this.
    pub(crate) fn count(&self, start: &str) -> usize {
        let begins = |(_, line): &&(Mono, Line)| matches!(line, Line::Note(note) if note.starts_with(start));
        self.lines.iter().filter(begins).count()
    }

    /// How many lines tell of the end of a connection without a word.
    pub(crate) fn breaks(&self) -> usize {
        let is = |(_, line): &&(Mono, Line)| matches!(line, Line::Signal { signal: Signal::Reset, .. });
        self.lines.iter().filter(is).count()
    }

    /// The first line in which two traces differ.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        let at = (0..self.len().max(other.len())).find(|at| self.lines.get(*at) != other.lines.get(*at))?;
        let show = |trace: &Self| {
            let columns = trace.columns(&trace.lines.iter().collect::<Vec<_>>());
            trace.lines.get(at).map(|(at, line)| trace.row(*at, line, &columns))
        };
        Some(format!("line {at}:\n{}\n{}", show(self).unwrap_or_default(), show(other).unwrap_or_default()))
    }

    /// The last `most` lines as a ladder.
    pub(crate) fn ladder(&self, most: usize) -> String {
        let shown = |(_, line): &&(Mono, Line)| {
            !matches!(line, Line::Sent { fate: Fate::Arrives(_) | Fate::Doubled(_), .. })
        };
        let rows: Vec<_> = self.lines.iter().filter(shown).collect();
        let skipped = rows.len().saturating_sub(most);
        let rows = &rows[skipped..];
        let columns = self.columns(rows);
        let mut out = format!("{:>14}  ", "time ms");
        for name in &columns {
            let _ = write!(out, "{name:<width$}", width = width(&columns));
        }
        out.push('\n');
        if skipped > 0 {
            let _ = writeln!(out, "  … {skipped} lines before");
        }
        for (at, line) in rows {
            let _ = writeln!(out, "{}", self.row(*at, line, &columns));
        }
        out
    }

    /// Who takes part in these lines, the server in their midst.
    fn columns(&self, rows: &[&(Mono, Line)]) -> Vec<&str> {
        let mut columns: Vec<&str> = Vec::new();
        let paths = rows.iter().filter_map(|(_, line)| match line {
            Line::Sent { path, .. } | Line::Heard { path, .. } | Line::Signal { path, .. } => Some(*path),
            Line::Note(_) => None,
        });
        let present: Vec<&str> =
            paths.flat_map(|(from, to)| [from, to]).filter_map(|address| self.who(address)).collect();
        for (_, name) in &self.names {
            if name != HOST && !columns.contains(&&**name) && present.contains(&&**name) {
                columns.push(name);
            }
        }
        columns.insert(columns.len().div_ceil(2), HOST);
        columns
    }

    /// Who has, or had, this address.
    pub(crate) fn who(&self, address: SocketAddr) -> Option<&str> {
        self.names.iter().rev().find(|(known, _)| *known == address).map(|(_, name)| &**name)
    }

    fn row(&self, at: Mono, line: &Line, columns: &[&str]) -> String {
        let ms = format!("{:>14.1}  ", at.as_micros() as f64 / 1000.0);
        let (path, what) = match line {
            Line::Note(note) => return format!("{ms}* {note}"),
            Line::Heard { path, bytes, .. } | Line::Sent { path, bytes, .. } => (path, summary(path, bytes)),
            Line::Signal { path, signal } => (path, format!("({signal:?})")),
        };
        let width = width(columns);
        let mut rails = vec!['|'; columns.len() * width];
        let blanks = rails.iter_mut().enumerate().filter(|(at, _)| at % width > 0);
        blanks.for_each(|(_, rail)| *rail = ' ');
        let column = |address| {
            let name = self.who(address)?;
            columns.iter().position(|column| *column == name)
        };
        if let (Some(from), Some(to)) = (column(path.0), column(path.1))
            && from != to
        {
            arrow(&mut rails, from * width, to * width, line);
        }
        format!("{ms}{} {what}", rails.into_iter().collect::<String>())
    }
}

/// Draws the arrow of a line between two rails.
fn arrow(rails: &mut [char], from: usize, to: usize, line: &Line) {
    let (low, high) = (from.min(to), from.max(to));
    let fate = match line {
        Line::Sent { fate, .. } | Line::Heard { fate, .. } => *fate,
        _ => Fate::Streamed,
    };
    let body = match fate {
        Fate::Streamed => '=',
        Fate::Arrives(us) | Fate::Doubled(us) if us > LATE_US => '~',
        _ => '-',
    };
    let (near, far) = if from < to { (low + 1, high - 1) } else { (high - 1, low + 1) };
    let end = if fate == Fate::Lost { (near + far) / 2 } else { far };
    rails[near.min(end)..=near.max(end)].fill(body);
    rails[end] = match (line, fate) {
        (Line::Signal { .. }, _) => '!',
        (_, Fate::Lost) => 'x',
        _ if from < to => '>',
        _ => '<',
    };
    if matches!(fate, Fate::Doubled(_)) {
        rails[(low + high) / 2] = '2';
    }
}

fn width(columns: &[&str]) -> usize {
    columns.iter().map(|name| name.len() + 2).max().unwrap_or(0).max(COLUMN)
}

fn summary(path: &Path, bytes: &[u8]) -> String {
    let Ok(text) = Text::read(bytes) else {
        return format!("{} bytes {} -> {}", bytes.len(), path.0, path.1);
    };
    let (cseq, method) = text.cseq();
    let start = if text.is_response() {
        format!("{} ({method})", text.start.trim_start_matches("SIP/2.0 "))
    } else {
        text.start.trim_end_matches(" SIP/2.0").to_owned()
    };
    let sdp = if text.body.is_empty() { "" } else { " +sdp" };
    let short = |text: &str| text.chars().take(6).collect::<String>();
    let branch = text.branch().trim_start_matches("z9hG4bK");
    let branch = branch[branch.len().saturating_sub(5)..].to_owned();
    format!("{start}{sdp}  cseq {cseq} call {} branch {branch}", short(text.text("call-id")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ladder_shows_who_what_and_what_became_of_it() {
        let mut trace = Trace::default();
        let [a, b, server, absent] = [1, 2, 3, 4].map(|last| SocketAddr::from(([192, 0, 2, last], 5060)));
        trace.name(a, "alice");
        trace.name(absent, "absent");
        trace.name(b, "bob");
        trace.host(server);
        let ack: Arc<[u8]> = Text::request("ACK", "sip:b").with("CSeq", "1 ACK").write().into();
        let add = |trace: &mut Trace, ms: u64, path, fate| {
            let bytes = ack.clone();
            let line = match fate {
                Fate::Lost | Fate::Streamed => Line::Sent { path, bytes, fate },
                _ => Line::Heard { path, bytes, fate },
            };
            trace.add(Mono::from_micros(ms * 1000), line);
        };
        add(&mut trace, 1, (a, server), Fate::Arrives(9));
        add(&mut trace, 2, (server, b), Fate::Lost);
        add(&mut trace, 3, (b, server), Fate::Streamed);
        add(&mut trace, 4, (server, a), Fate::Doubled(600_000));
        let signal = Line::Signal { path: (server, b), signal: Signal::Reset };
        trace.add(Mono::from_micros(5000), signal);
        trace.add(Mono::from_micros(6000), Line::Note("night".to_owned()));
        let rest = " ACK sip:b  cseq 1 call  branch ";
        let expected = format!(
            "       time ms  alice     server    bob       \n\
             \x20          1.0  |-------->|         |         {rest}\n\
             \x20          2.0  |         |----x    |         {rest}\n\
             \x20          3.0  |         |<========|         {rest}\n\
             \x20          4.0  |<~~~2~~~~|         |         {rest}\n\
             \x20          5.0  |         |========!|          (Reset)\n\
             \x20          6.0  * night\n"
        );
        assert_eq!(trace.ladder(9), expected, "\n{}", trace.ladder(9));
    }
}
