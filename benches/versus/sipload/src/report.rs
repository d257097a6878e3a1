//! What a run came to, for people and for programs.

use crate::drive::Outcome;
use crate::procfs::Cpu;
use std::fmt::Write;

/// A measured phase and how to speak of it.
pub struct Report<'a> {
    pub command: &'static str,
    /// What is counted: `register cycle`, `call`, `packet pair`.
    pub unit: &'static str,
    /// The settings, in one line.
    pub setup: String,
    pub outcome: &'a Outcome,
    /// Failures that belong to no single unit of work.
    pub extra_failures: Vec<(String, u64)>,
}

const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

impl Report<'_> {
    pub fn failures(&self) -> impl Iterator<Item = (&str, u64)> {
        let counted = self.outcome.stats.failures.iter().map(|(kind, count)| (kind.as_str(), *count));
        counted.chain(self.extra_failures.iter().map(|(kind, count)| (kind.as_str(), *count)))
    }

    pub fn failed(&self) -> u64 {
        self.failures().map(|(_, count)| count).sum()
    }

    fn per_second(&self) -> f64 {
        self.outcome.completed_in_interval as f64 / self.outcome.seconds.max(1e-9)
    }

    /// CPU microseconds for every unit of work completed in the interval.
    fn per_unit(&self, cpu: Cpu) -> f64 {
        cpu.total() * 1e6 / self.outcome.completed_in_interval as f64
    }

    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write_text(&mut out).expect("writing to a String");
        out
    }

    fn write_text(&self, out: &mut String) -> std::fmt::Result {
        let outcome = self.outcome;
        let stats = &outcome.stats;
        writeln!(out, "sipload {}: {}", self.command, self.setup)?;
        let after = stats.completed - outcome.completed_in_interval;
        writeln!(
            out,
            "completed      {:>12}  in {:.3} s = {:.1}/s  ({after} more after the interval)",
            outcome.completed_in_interval,
            outcome.seconds,
            self.per_second()
        )?;
        writeln!(out, "failures       {:>12}  ({} started)", self.failed(), stats.started)?;
        for (kind, count) in self.failures() {
            writeln!(out, "  {kind:<40} {count}")?;
        }
        for (kind, count) in &stats.notes {
            writeln!(out, "note: {kind:<38} {count}")?;
        }
        writeln!(out, "sent and received   {} requests, {} responses", stats.requests, stats.responses)?;
        for (name, histogram) in &stats.latencies {
            write!(out, "latency, ms: {name:<11}")?;
            for (label, share) in QUANTILES {
                write!(out, " {label} {:.3} ", milliseconds(histogram.quantile(share)))?;
            }
            writeln!(out, " max {:.3}  ({} samples)", milliseconds(histogram.max()), histogram.count())?;
        }
        let cores = |cpu: f64| cpu / outcome.seconds.max(1e-9);
        let cpu_line = |out: &mut String, who: &str, cpu: Cpu| {
            writeln!(
                out,
                "CPU, {who:<10} user {:.2} s  system {:.2} s  total {:.2} s = {:.2} cores = {:.2} µs per {}",
                cpu.user,
                cpu.system,
                cpu.total(),
                cores(cpu.total()),
                self.per_unit(cpu),
                self.unit
            )
        };
        cpu_line(out, "sipload", outcome.own)?;
        let mut others = outcome.machine.busy - outcome.own.total();
        if let Some(server) = &outcome.server {
            cpu_line(out, "server", server.cpu)?;
            others -= server.cpu.total();
            writeln!(
                out,
                "memory, server  {:.1} MiB (shared pages counted once; sum of RSS {:.1} MiB) in {} processes",
                outcome.memory.proportional_kb as f64 / 1024.0,
                outcome.memory.resident_kb as f64 / 1024.0,
                server.processes
            )?;
            if server.gone > 0 {
                writeln!(
                    out,
                    "WARNING: {} server processes ended meanwhile; their CPU time is missing",
                    server.gone
                )?;
            }
        }
        writeln!(
            out,
            "machine         others used {:.2} cores; {:.2} stolen by the hypervisor; {} UDP packets dropped, buffers full",
            cores(others.max(0.0)),
            cores(outcome.machine.stolen),
            outcome.machine.udp_drops
        )?;
        if let Some(server) = &outcome.server {
            writeln!(out, "==> server CPU per completed {}: {:.2} µs", self.unit, self.per_unit(server.cpu))?;
        }
        Ok(())
    }

    pub fn json(&self) -> String {
        let outcome = self.outcome;
        let stats = &outcome.stats;
        let mut root = Object::default();
        root.text("command", self.command);
        root.text("unit", self.unit);
        root.text("setup", &self.setup);
        root.number("seconds", outcome.seconds);
        root.number("started", stats.started as f64);
        root.number("completed_in_interval", outcome.completed_in_interval as f64);
        root.number("completed", stats.completed as f64);
        root.number("per_second", self.per_second());
        root.number("failed", self.failed() as f64);
        let mut failures = Object::default();
        self.failures().for_each(|(kind, count)| failures.number(kind, count as f64));
        root.raw("failures", failures.end());
        let mut notes = Object::default();
        stats.notes.iter().for_each(|(kind, count)| notes.number(kind, *count as f64));
        root.raw("notes", notes.end());
        root.number("requests", stats.requests as f64);
        root.number("responses", stats.responses as f64);
        let mut latencies = Object::default();
        for (name, histogram) in &stats.latencies {
            let mut latency = Object::default();
            latency.number("samples", histogram.count() as f64);
            for (label, share) in QUANTILES {
                latency.number(label, milliseconds(histogram.quantile(share)));
            }
            latency.number("max", milliseconds(histogram.max()));
            latencies.raw(name, latency.end());
        }
        root.raw("latency_ms", latencies.end());
        let cpu = |cpu: Cpu| {
            let mut object = Object::default();
            object.number("user_s", cpu.user);
            object.number("system_s", cpu.system);
            object.number("total_s", cpu.total());
            object.number("us_per_unit", self.per_unit(cpu));
            object
        };
        root.raw("sipload_cpu", cpu(outcome.own).end());
        if let Some(server) = &outcome.server {
            let mut object = cpu(server.cpu);
            object.number("processes", server.processes as f64);
            object.number("processes_gone", server.gone as f64);
            object.number("pss_kib", outcome.memory.proportional_kb as f64);
            object.number("rss_sum_kib", outcome.memory.resident_kb as f64);
            root.raw("server", object.end());
        }
        let mut machine = Object::default();
        machine.number("busy_cpu_s", outcome.machine.busy);
        machine.number("stolen_cpu_s", outcome.machine.stolen);
        machine.number("udp_receive_buffer_drops", outcome.machine.udp_drops as f64);
        root.raw("machine", machine.end());
        root.end() + "\n"
    }
}

/// A JSON object in the making.
#[derive(Default)]
pub struct Object {
    members: Vec<String>,
}

impl Object {
    pub fn raw(&mut self, name: &str, value: String) {
        self.members.push(format!("{}:{value}", quoted(name)));
    }

    pub fn text(&mut self, name: &str, value: &str) {
        self.raw(name, quoted(value));
    }

    /// JSON has no infinity: what isn't finite becomes null.
    pub fn number(&mut self, name: &str, value: f64) {
        self.raw(name, if value.is_finite() { value.to_string() } else { "null".to_owned() });
    }

    pub fn end(self) -> String {
        format!("{{{}}}", self.members.join(","))
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            _ if letter < ' ' => out.push_str(&format!("\\u{:04x}", letter as u32)),
            _ => out.push(letter),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_json() {
        let mut object = Object::default();
        object.text("a\"b", "c\\d\n");
        object.number("n", 1.5);
        object.number("none", f64::NAN);
        assert_eq!(object.end(), "{\"a\\\"b\":\"c\\\\d\\u000a\",\"n\":1.5,\"none\":null}");
    }
}
