//! How the machines are tested: their rows, and the tables in their docs, each state with each event.

use super::step::{Output, Timer};
use std::fmt::Debug;
use std::time::Duration;

pub(super) const HALF: Duration = Duration::from_millis(500);
pub(super) const ONE: Duration = Duration::from_secs(1);
pub(super) const FIVE: Duration = Duration::from_secs(5);
/// 64 × T1.
pub(super) const ALL: Duration = Duration::from_secs(32);

/// A machine as its tests see it.
pub(super) trait Machine {
    type State: Copy + Debug + Eq + 'static;
    type Input: Copy + Debug + 'static;

    /// One that has just begun, with the lengths of RFC 3261.
    fn begin(reliable: bool) -> Self;
    fn now(&self) -> Self::State;
    fn take(&mut self, input: Self::Input, out: &mut Vec<Output>);
    fn fired(timer: Timer) -> Self::Input;
}

/// Name, inputs that lead up to it, the input under test, the state and outputs it must give.
pub(super) type Row<M> = (
    &'static str,
    &'static [<M as Machine>::Input],
    <M as Machine>::Input,
    <M as Machine>::State,
    &'static [Output],
);

/// What comes of `input` after the inputs `before`.
pub(super) fn step<M: Machine>(
    reliable: bool,
    before: &[M::Input],
    input: M::Input,
) -> (M::State, Vec<Output>) {
    let mut machine = M::begin(reliable);
    let mut out = Vec::new();
    before.iter().for_each(|input| machine.take(*input, &mut out));
    out.clear();
    machine.take(input, &mut out);
    (machine.now(), out)
}

/// All that comes of these inputs.
pub(super) fn outputs<M: Machine>(reliable: bool, inputs: &[M::Input]) -> Vec<Output> {
    let mut machine = M::begin(reliable);
    let mut out = Vec::new();
    inputs.iter().for_each(|input| machine.take(*input, &mut out));
    out
}

/// Walks rows, on an unreliable transport.
pub(super) fn walk<M: Machine>(rows: &[Row<M>]) {
    for (name, before, input, state, outputs) in rows {
        let (now, out) = step::<M>(false, before, *input);
        assert_eq!((now, out.as_slice()), (*state, *outputs), "{name}");
    }
}

/// Inputs that lead to a state.
pub(super) type Way<M> = (<M as Machine>::State, &'static [<M as Machine>::Input]);

/// An event as the docs write it, the inputs that it is, and what must come before it for it to be that.
pub(super) type Event<M> = (&'static str, &'static [<M as Machine>::Input], &'static [<M as Machine>::Input]);

/// Walks the table in a module's docs: each state, reached in each way, with each event, timers
/// included. Next state and outputs must be those of the table, and nothing where it says nothing.
pub(super) fn walk_docs<M: Machine>(source: &str, ways: &[Way<M>], events: &[Event<M>]) {
    let mut table: Vec<[&str; 4]> = rows_of(source).collect();
    let timers: Vec<(String, [M::Input; 1])> =
        TIMERS.iter().map(|timer| (format!("timer {timer:?}"), [M::fired(*timer)])).collect();
    let timers = timers.iter().map(|(name, input)| (name.as_str(), input.as_slice(), [].as_slice()));
    let events: Vec<(&str, &[M::Input], &[M::Input])> = events.iter().copied().chain(timers).collect();
    let mut walked = vec![false; table.len()];
    for (state, before) in ways {
        for (event, inputs, first) in &events {
            let row = table.iter().position(|[states, input, ..]| names(states, *state) && input == event);
            for input in *inputs {
                let before = [*before, *first].concat();
                let (now, out) = step::<M>(false, &before, *input);
                let found = (format!("{now:?}"), out.iter().map(word).collect::<Vec<_>>());
                let wanted = match row {
                    Some(row) => {
                        walked[row] = true;
                        let [_, _, next, outputs] = table[row];
                        (next.to_owned(), words(outputs))
                    }
                    None => (format!("{state:?}"), Vec::new()),
                };
                assert_eq!(found, wanted, "{state:?} (after {before:?}), {event} as {input:?}");
            }
        }
    }
    let mut walked = walked.into_iter();
    table.retain(|_| !walked.next().unwrap_or_default());
    assert!(table.is_empty(), "rows that nothing leads to: {table:?}");
}

const TIMERS: [Timer; 12] = {
    use Timer::{A, B, D, E, F, G, H, I, J, K, L, M};
    [A, B, D, E, F, G, H, I, J, K, L, M]
};

/// The rows of the table in a module's docs: state, event, next state, outputs.
fn rows_of(source: &str) -> impl Iterator<Item = [&str; 4]> {
    let docs = source.lines().map_while(|line| line.strip_prefix("//!"));
    let rows = docs.filter_map(|line| line.trim().strip_prefix('|')?.strip_suffix('|'));
    rows.skip(2).map(|row| {
        let mut cells = row.split('|').map(str::trim);
        [(); 4].map(|()| cells.next().unwrap_or_default())
    })
}

/// Whether a cell names this state.
fn names(cell: &str, state: impl Debug) -> bool {
    let state = format!("{state:?}");
    match cell.strip_prefix("any but ") {
        Some(but) => state != but,
        None => cell.split(", ").any(|name| name == state),
    }
}

/// An output in the words of the docs.
fn word(output: &Output) -> String {
    match output {
        Output::Send => "send".to_owned(),
        Output::Keep => "keep".to_owned(),
        Output::Repeat => "send again".to_owned(),
        Output::Acknowledge => "ACK".to_owned(),
        Output::Start(timer, _) => format!("start {timer:?}"),
        Output::Stop(timer) => format!("stop {timer:?}"),
        Output::Up => "hand up".to_owned(),
        Output::TimedOut => "tell the service: no answer came".to_owned(),
        Output::NoAck => "tell the service: no ACK came".to_owned(),
        Output::Broken => "tell the service".to_owned(),
    }
}

/// The outputs of a cell, each in the same words. What only explains stands in parentheses.
fn words(cell: &str) -> Vec<String> {
    let mut words = Vec::new();
    for piece in cell.split(", ").map(|piece| piece.split(" (").next().unwrap_or_default()) {
        match piece.split(' ').collect::<Vec<_>>().as_slice() {
            [""] => {}
            ["stop", first, "and", second] => {
                words.extend([format!("stop {first}"), format!("stop {second}")])
            }
            _ => words.push(piece.to_owned()),
        }
    }
    words
}
