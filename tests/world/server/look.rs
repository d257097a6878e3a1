//! What the checks look at in the server.

use super::{JOURNAL_INTERVAL, Server};
use crate::world::network::KEPT_BACK;
use stationmaster::account::LoginName;
use stationmaster::base::time::Mono;
use stationmaster::core::Core;
use stationmaster::registrar::Binding;
use stationmaster::service::tables::extension;
use stationmaster::store::limit::FLUSH_RETRY;
use std::time::Duration;

impl Server {
    /// Live bindings and activated devices of an extension, as the shards see them.
    pub(crate) fn look(&self, login: &str) -> (Vec<Binding>, usize) {
        let now = self.wall();
        let Some(process) = &self.process else { return Default::default() };
        let look = process.services.directory.with(login, |entry| {
            let live = entry.bindings.iter().filter(|binding| binding.is_live(now)).cloned().collect();
            (live, entry.licence.devices.iter().filter(|device| !device.revoked).count())
        });
        look.unwrap_or_default()
    }

    /// Whether the shards do not rely on what they see of an extension.
    pub(crate) fn is_in_doubt(&self, login: &str) -> bool {
        let directory = self.process.as_ref().map(|process| &process.services.directory);
        directory.is_some_and(|directory| directory.with(login, |entry| entry.doubt.is_any()) == Some(true))
    }

    /// Activated devices of an extension, as the store has them.
    pub(crate) fn stored_devices(&self, login: &str) -> usize {
        let Some(process) = &self.process else { return 0 };
        let login = LoginName::parse(login).expect("a login name");
        let row = extension(&process.services.store.view(), &login).expect("it can be read");
        row.map_or(0, |row| row.value.licence.devices.iter().filter(|device| !device.revoked).count())
    }

    /// Whether it died so soon after it said this that a refresh was not in the journal yet: a crash
    /// may lose what one interval extended, and a few more if flushes fail.
    pub(crate) fn may_have_forgotten(&self, heard: Mono) -> bool {
        let flushes = if self.faults.flush_fails + self.faults.flush_lies > 0 {
            FLUSH_RETRY * 10
        } else {
            Duration::ZERO
        };
        let late = JOURNAL_INTERVAL + self.faults.flush_within * 2 + flushes;
        let said = heard - (KEPT_BACK + Duration::from_secs(1));
        self.faults.crashes.iter().any(|crash| *crash >= said && *crash <= heard + late)
    }

    /// Whether it runs.
    pub(crate) fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// What is left that should not be, once everything is over. So many calls may be.
    pub(crate) fn leaks(&self, calls_left: usize) -> Vec<String> {
        let Some(process) = &self.process else { return vec!["the server is down".to_owned()] };
        let mut leaks = self.line_leaks();
        let calls: usize = process.shards.iter().map(Core::calls).sum();
        if calls > calls_left {
            leaks.push(format!("{calls} calls are left; nobody can have told the end of {calls_left}"));
        }
        for (at, shard) in process.shards.iter().enumerate() {
            for (count, what) in
                [(shard.waiting(), "commits waited for"), (shard.transactions(), "transactions")]
            {
                if count > 0 {
                    leaks.push(format!("shard {at} has {count} {what}"));
                }
            }
            // Who is kept alive is asked for as long as the binding lives.
            if let Some(due) = shard.next_deadline().filter(|_| shard.kept() == 0) {
                leaks.push(format!("shard {at} has a timer at {due:?}"));
            }
        }
        let (mut live, now) = (0, self.wall());
        process.services.directory.each(|_, entry| {
            live += entry.bindings.iter().filter(|binding| binding.is_live(now)).count();
        });
        let kept: usize = process.shards.iter().map(Core::kept).sum();
        if kept > live {
            leaks.push(format!("{kept} addresses are kept alive for {live} bindings"));
        }
        if !process.owners.is_empty() {
            leaks.push(format!("{} calls are owned by a shard", process.owners.len()));
        }
        if !self.queue.is_empty() {
            leaks.push(format!("{} events are queued in the server", self.queue.len()));
        }
        leaks
    }
}
