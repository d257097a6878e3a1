//! What happened in a world, in order: compared between two runs of a seed, and printed as a ladder
//! for a seed that failed.

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
}

/// One line of a trace.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Line {
    /// Somebody sent something.
    Sent {
        /// Who, to whom.
        path: (SocketAddr, SocketAddr),
        /// What.
        bytes: Arc<[u8]>,
        /// What became of it.
        fate: Fate,
    },
    /// It arrived.
    Heard {
        /// Who sent it, who heard it.
        path: (SocketAddr, SocketAddr),
        /// What.
        bytes: Arc<[u8]>,
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

/// Width of a ladder's column.
const COLUMN: usize = 6;

impl Trace {
    /// Gives an address a name.
    pub(crate) fn name(&mut self, address: SocketAddr, name: &str) {
        self.names.push((address, name.to_owned()));
    }

    /// Adds a line.
    pub(crate) fn add(&mut self, at: Mono, line: Line) {
        self.lines.push((at, line));
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

    /// The first line in which two traces differ.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        let at = (0..self.len().max(other.len())).find(|at| self.lines.get(*at) != other.lines.get(*at))?;
        let show = |trace: &Self| trace.lines.get(at).map(|(at, line)| trace.row(*at, line));
        Some(format!("line {at}:\n{}\n{}", show(self).unwrap_or_default(), show(other).unwrap_or_default()))
    }

    /// The last `most` lines as a ladder; arrows stand where a message arrives or is lost.
    pub(crate) fn ladder(&self, most: usize) -> String {
        let mut out = " ".repeat(12);
        for name in self.columns() {
            let _ = write!(out, "{name:<COLUMN$}");
        }
        out.push('\n');
        let shown = |(_, line): &&(Mono, Line)| {
            !matches!(line, Line::Sent { fate: Fate::Arrives(_) | Fate::Doubled(_), .. })
        };
        let rows: Vec<_> = self.lines.iter().filter(shown).collect();
        let skipped = rows.len().saturating_sub(most);
        if skipped > 0 {
            let _ = writeln!(out, "  … {skipped} lines before");
        }
        for (at, line) in rows.into_iter().skip(skipped) {
            let _ = writeln!(out, "{}", self.row(*at, line));
        }
        out
    }

    fn columns(&self) -> Vec<&str> {
        let mut columns: Vec<&str> = Vec::new();
        for (_, name) in &self.names {
            if !columns.contains(&&**name) {
                columns.push(name);
            }
        }
        columns
    }

    /// Who has, or had, this address.
    pub(crate) fn who(&self, address: SocketAddr) -> Option<&str> {
        self.names.iter().rev().find(|(known, _)| *known == address).map(|(_, name)| &**name)
    }

    fn column(&self, address: SocketAddr) -> Option<usize> {
        let name = self.who(address)?;
        self.columns().iter().position(|column| *column == name)
    }

    fn row(&self, at: Mono, line: &Line) -> String {
        let ms = format!("{:>10.1}  ", at.as_micros() as f64 / 1000.0);
        let (path, bytes, lost) = match line {
            Line::Note(note) => return format!("{ms}* {note}"),
            Line::Heard { path, bytes } => (path, bytes, false),
            Line::Sent { path, bytes, fate } => (path, bytes, *fate == Fate::Lost),
        };
        let mut rails = vec![b' '; self.columns().len() * COLUMN];
        rails.iter_mut().step_by(COLUMN).for_each(|rail| *rail = b'|');
        if let (Some(from), Some(to)) = (self.column(path.0), self.column(path.1)) {
            let (low, high) = (from.min(to) * COLUMN, from.max(to) * COLUMN);
            rails[low + 1..high].fill(b'-');
            let (head, arrow) = if from < to { (high - 1, b'>') } else { (low + 1, b'<') };
            rails[head] = if lost { b'x' } else { arrow };
        }
        format!("{ms}{} {}", String::from_utf8_lossy(&rails), summary(path, bytes))
    }
}

fn summary(path: &(SocketAddr, SocketAddr), bytes: &[u8]) -> String {
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
