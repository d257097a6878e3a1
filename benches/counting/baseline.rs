//! What was counted before, in a file that is committed.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// More instructions than this share of the baseline are a failure, fewer a reason to accept anew.
pub(crate) const TOLERANCE: f64 = 0.05;

const HEAD: &str = "\
# What a unit of each row of benches/work costs: instructions as callgrind counts them, and allocations.
# Written by `benches/count --accept`; `scripts/test` compares.
";

/// What a unit costs.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cost {
    /// Instructions, rounded.
    pub(crate) instructions: u64,
    /// Allocations, as in most units.
    pub(crate) allocations: u64,
}

/// The file.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Baseline {
    /// Of which compiler, C library and valgrind: others count otherwise.
    pub(crate) tools: String,
    /// By the name of the row.
    #[serde(default)]
    pub(crate) row: BTreeMap<String, Cost>,
}

impl Baseline {
    /// Reads the file; one that is not there is an empty one.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        match std::fs::read_to_string(path) {
            Ok(text) => toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }

    /// Writes the file.
    pub(crate) fn write(&self, path: &Path) -> Result<(), String> {
        let mut text = format!("{HEAD}tools = {:?}\n", self.tools);
        for (name, cost) in &self.row {
            let Cost { instructions, allocations } = cost;
            text +=
                &format!("\n[row.\"{name}\"]\ninstructions = {instructions}\nallocations = {allocations}\n");
        }
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// How a cost stands beside the baseline's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    /// Within the tolerance.
    Same,
    /// Fewer instructions or allocations: the baseline should say so.
    Better,
    /// More instructions than the tolerance allows.
    Instructions,
    /// More allocations: of these no tolerance.
    Allocations,
}

impl Change {
    /// Of `now` against `before`; where the tools differ instructions cannot be compared.
    pub(crate) fn of(before: Cost, now: Cost, comparable: bool) -> Self {
        let share = share(before, now);
        if now.allocations > before.allocations {
            Self::Allocations
        } else if comparable && share > TOLERANCE {
            Self::Instructions
        } else if now.allocations < before.allocations || (comparable && share < -TOLERANCE) {
            Self::Better
        } else {
            Self::Same
        }
    }
}

/// By which share of the baseline the instructions have changed.
pub(crate) fn share(before: Cost, now: Cost) -> f64 {
    now.instructions as f64 / before.instructions.max(1) as f64 - 1.0
}
