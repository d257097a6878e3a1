//! `SIGHUP`: takes over what can change while the server runs, and says what cannot.
//!
//! Certificates and keys are read again even if the configuration names the same files. Connections
//! keep the certificate they began with.

use super::logging::Logging;
use crate::config::{Config, ConfigErrors};
use crate::net::tls::Terms;
use std::path::PathBuf;
use std::sync::Arc;

/// Keys that a reload takes over; every other one needs a restart.
const RELOADED: [&str; 8] = [
    "tls.certificate",
    "tls.key",
    "tls.domain",
    "tls.client_ca",
    "tls.client_required",
    "ws.origins",
    "log.level",
    "log.show_private",
];

/// What came of a reload.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// Keys that changed and count from now on.
    pub taken_over: Vec<&'static str>,
    /// Keys that differ from what the server runs with, and need a restart.
    pub need_restart: Vec<&'static str>,
}

/// The configuration that the server runs with, and where it came from.
#[derive(Debug)]
pub struct Reload {
    file: Option<PathBuf>,
    running: Config,
    logging: Logging,
    terms: Arc<Terms>,
}

impl Reload {
    /// `running` is what was read from `file` (the default one if there is none) at start; `terms`
    /// are those of the shards.
    #[must_use]
    pub const fn new(file: Option<PathBuf>, running: Config, logging: Logging, terms: Arc<Terms>) -> Self {
        Self { file, running, logging, terms }
    }

    /// Reads the file again and takes over what can be.
    ///
    /// # Errors
    /// If it, or a file that it names, is wrong: then nothing changes.
    pub fn reload(&mut self) -> Result<Outcome, ConfigErrors> {
        let new = Config::load(self.file.as_deref())?;
        let tls = new.read_tls(self.file.as_deref())?;
        let outcome = compare(&self.running, &new);
        self.terms.replace(tls, &new.ws.origins);
        self.running.tls = new.tls;
        self.running.ws = new.ws;
        self.logging.change(&new.log);
        self.running.log.level = new.log.level;
        self.running.log.show_private = new.log.show_private;
        Ok(outcome)
    }

    /// As [`Reload::reload`], told to the log.
    pub fn reload_and_tell(&mut self) {
        match self.reload() {
            Ok(Outcome { taken_over, need_restart }) => {
                tracing::info!(taken_over = taken_over.join(" "), "configuration reloaded");
                if !need_restart.is_empty() {
                    tracing::warn!(keys = need_restart.join(" "), "these changes need a restart");
                }
            }
            Err(errors) => {
                for error in errors.0 {
                    tracing::error!(%error, "configuration not reloaded");
                }
            }
        }
    }
}

fn compare(running: &Config, new: &Config) -> Outcome {
    let (taken_over, need_restart) =
        running.differences(new).into_iter().partition(|key| RELOADED.contains(key));
    Outcome { taken_over, need_restart }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn what_a_reload_takes_over_and_what_not() {
        let running = Config::default();
        let text = "[log]\nlevel = \"debug\"\nformat = \"json\"\nshow_private = true\n[sip]\nshards = 3\n\
                    [ws]\norigins = [\"*\"]\n[tls]\ncertificate = \"/c\"\nkey = \"/k\"\n";
        let new = Config::parse(Path::new("x"), text).unwrap();
        let outcome = compare(&running, &new);
        assert_eq!(
            outcome.taken_over,
            ["tls.certificate", "tls.key", "ws.origins", "log.level", "log.show_private"]
        );
        assert_eq!(outcome.need_restart, ["sip.shards", "log.format"]);
        assert_eq!(compare(&new, &new), Outcome::default());
        // Only keys that exist can be reloaded.
        let keys: Vec<_> = running.entries().into_iter().map(|(key, _)| key).collect();
        assert!(RELOADED.iter().all(|key| keys.contains(key)));
    }
}
