//! CPU time and memory of processes, and of the whole machine, out of /proc.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// CPU seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cpu {
    pub user: f64,
    pub system: f64,
}

impl Cpu {
    pub fn total(self) -> f64 {
        self.user + self.system
    }

    fn since(self, earlier: Cpu) -> Cpu {
        Cpu { user: self.user - earlier.user, system: self.system - earlier.system }
    }
}

fn ticks_per_second() -> f64 {
    // SAFETY: plain library call.
    unsafe { libc::sysconf(libc::_SC_CLK_TCK) as f64 }
}

/// A moment's reading: the CPU time that every process of a group has used in its whole life.
#[derive(Clone, Default)]
pub struct Sample {
    processes: BTreeMap<i32, Cpu>,
}

/// What a group of processes used between two samples.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    pub cpu: Cpu,
    pub processes: usize,
    /// Processes of the first sample that were gone at the second: their time is missing.
    pub gone: usize,
}

impl Sample {
    /// Reads the named processes and all their descendants.
    pub fn of_trees(roots: &[i32]) -> Sample {
        let parents: Vec<(i32, i32)> = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(|pid: i32| Some((pid, Stat::read(pid)?.parent)))
            .collect();
        let mut group: BTreeSet<i32> = roots.iter().copied().collect();
        loop {
            let before = group.len();
            group.extend(
                parents
                    .iter()
                    .filter(|(_, parent)| group.contains(parent))
                    .map(|(pid, _)| *pid)
                    .collect::<Vec<_>>(),
            );
            if group.len() == before {
                break;
            }
        }
        let processes = group.into_iter().filter_map(|pid| Some((pid, Stat::read(pid)?.cpu))).collect();
        Sample { processes }
    }

    pub fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    /// A process that was not there at the earlier sample counts with all that it has used.
    pub fn since(&self, earlier: &Sample) -> Usage {
        let mut usage = Usage { processes: self.processes.len(), ..Usage::default() };
        for (pid, now) in &self.processes {
            let used = now.since(earlier.processes.get(pid).copied().unwrap_or_default());
            usage.cpu.user += used.user;
            usage.cpu.system += used.system;
        }
        usage.gone = earlier.processes.keys().filter(|pid| !self.processes.contains_key(pid)).count();
        usage
    }

    /// The memory of the sampled processes as it is now.
    pub fn memory(&self) -> Memory {
        let mut memory = Memory::default();
        for pid in self.processes.keys() {
            let resident = kilobytes(&format!("/proc/{pid}/status"), "VmRSS:").unwrap_or(0);
            memory.resident_kb += resident;
            memory.proportional_kb +=
                kilobytes(&format!("/proc/{pid}/smaps_rollup"), "Pss:").unwrap_or(resident);
        }
        memory
    }
}

/// The memory of a group of processes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// The sum of the resident sets: a page shared by several processes counts several times.
    pub resident_kb: u64,
    /// The sum of the proportional set sizes: every page counts once.
    pub proportional_kb: u64,
}

fn kilobytes(path: &str, field: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

struct Stat {
    parent: i32,
    cpu: Cpu,
}

impl Stat {
    fn read(pid: i32) -> Option<Stat> {
        Stat::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The command name, in parentheses, can hold anything: what counts begins after the last one.
    fn parse(text: &str) -> Option<Stat> {
        let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
        let seconds = |at: usize| Some(fields.get(at)?.parse::<f64>().ok()? / ticks_per_second());
        Some(Stat {
            parent: fields.get(1)?.parse().ok()?,
            cpu: Cpu { user: seconds(11)?, system: seconds(12)? },
        })
    }
}

/// The CPU time that this process has used.
pub fn own_cpu() -> Cpu {
    // SAFETY: all-zero bytes are a valid rusage, which the call then fills in.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Cpu { user: seconds(usage.ru_utime), system: seconds(usage.ru_stime) }
}

/// What the whole machine has done since it started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine {
    /// CPU seconds of everything on it, time stolen by the hypervisor left out.
    pub busy: f64,
    /// CPU seconds that the hypervisor gave to others while there was work to do here.
    pub stolen: f64,
    /// UDP datagrams dropped because a receive buffer was full.
    pub udp_drops: u64,
}

impl Machine {
    pub fn read() -> Machine {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        // user nice system idle iowait irq softirq steal
        let ticks: Vec<f64> = stat
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .skip(1)
            .map(|field| field.parse().unwrap_or(0.0))
            .collect();
        let seconds = |at: usize| ticks.get(at).copied().unwrap_or(0.0) / ticks_per_second();
        Machine {
            busy: [0, 1, 2, 5, 6].into_iter().map(seconds).sum(),
            stolen: seconds(7),
            udp_drops: udp_drops(&fs::read_to_string("/proc/net/snmp").unwrap_or_default()),
        }
    }

    pub fn since(self, earlier: Machine) -> Machine {
        Machine {
            busy: self.busy - earlier.busy,
            stolen: self.stolen - earlier.stolen,
            udp_drops: self.udp_drops.saturating_sub(earlier.udp_drops),
        }
    }
}

fn udp_drops(snmp: &str) -> u64 {
    let mut lines = snmp.lines().filter(|line| line.starts_with("Udp:"));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else { return 0 };
    let mut fields = names.split_whitespace().zip(values.split_whitespace());
    fields.find(|(name, _)| *name == "RcvbufErrors").and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_stat_line() {
        let stat = Stat::parse("7 (a ) b) S 3 1 1 0 -1 4 0 0 0 0 200 100 0 0 20 0 1 0 5 6 7").unwrap();
        assert_eq!(stat.parent, 3);
        assert_eq!(stat.cpu.user, 2.0 * stat.cpu.system);
    }

    #[test]
    fn adds_up_a_group() {
        let cpu = |user| Cpu { user, system: 1.0 };
        let sample = |list: &[(i32, f64)]| Sample {
            processes: list.iter().map(|(pid, user)| (*pid, cpu(*user))).collect(),
        };
        let usage = sample(&[(1, 5.0), (3, 2.0)]).since(&sample(&[(1, 4.0), (2, 9.0)]));
        assert_eq!(usage.cpu, Cpu { user: 3.0, system: 1.0 });
        assert_eq!((usage.processes, usage.gone), (2, 1));
    }

    #[test]
    fn reads_udp_drops() {
        assert_eq!(udp_drops("Tcp: a\nUdp: InDatagrams RcvbufErrors SndbufErrors\nUdp: 5 17 0\n"), 17);
        assert_eq!(udp_drops(""), 0);
    }

    #[test]
    fn sees_itself() {
        let pid = std::process::id() as i32;
        let sample = Sample::of_trees(&[pid]);
        assert!(!sample.is_empty() && sample.memory().proportional_kb > 0);
    }
}
