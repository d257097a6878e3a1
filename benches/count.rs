//! Instructions and allocations of each row of [`work`], beside the committed baseline.
//!
//! `benches/count` runs it. For each row it starts itself once more under callgrind, which counts
//! the instructions of [`one_unit`] and of what that calls, and nothing else; the allocations are
//! counted on the way. Both are the same on every run: the seeds are fixed, the environment is
//! empty, and the C library is told to use none of the newer vector instructions, which not every
//! processor has.
//!
//! | found                                             | what follows          |
//! |---------------------------------------------------|-----------------------|
//! | more than 5 % over the baseline                   | failure               |
//! | an allocation more than the baseline, or than promised | failure          |
//! | a row that the baseline lacks, or the other way round | failure           |
//! | more than 5 % under the baseline                  | hint to `--accept`    |
//! | another compiler, C library or valgrind           | instructions are shown, not judged |

#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot go on has nothing to measure")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is its purpose")]

#[path = "counting/allocations.rs"]
mod allocations;
#[path = "counting/baseline.rs"]
mod baseline;
mod work;

use baseline::{Baseline, Change, Cost, TOLERANCE, share};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use work::{Allocations, ROWS, Row, Work};

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

/// Enough that tables are larger than a page; what they cost does not show in instructions.
const USERS: u32 = 500;

/// Units before the first that counts: tables and buffers have grown by then.
const WARM_UP: usize = 64;

/// Units that count.
const UNITS: usize = 256;

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    arguments.retain(|argument| argument != "--bench"); // cargo says so to every bench
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ended = match words[..] {
        [] => compare(false),
        ["--accept"] => compare(true),
        ["--unit", name] => unit(name),
        _ => Err("usage: benches/count [--accept]".to_owned()),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("count: {reason}");
            ExitCode::from(2)
        }
    }
}

/// The function whose instructions are counted, found by its name.
#[inline(never)]
fn one_unit(work: &mut dyn Work) {
    work.run();
}

/// Does the units of one row and prints how much most of them allocated.
fn unit(name: &str) -> Result<bool, String> {
    let row = ROWS.iter().find(|row| row.name == name).ok_or("no such row")?;
    let mut work = (row.make)(USERS);
    for _ in 0..WARM_UP {
        work.prepare();
        work.run();
    }
    let mut often = BTreeMap::new();
    for _ in 0..UNITS {
        work.prepare();
        let before = allocations::count();
        one_unit(&mut *work);
        *often.entry(allocations::count() - before).or_insert(0) += 1;
    }
    // A buffer that is used up now and then makes an allocation more.
    let (allocations, units) = often.into_iter().max_by_key(|(_, units)| *units).unwrap_or_default();
    if units < UNITS * 3 / 4 {
        return Err(format!("{name}: the units differ in their allocations"));
    }
    println!("allocations {allocations}");
    Ok(true)
}

/// Counts all rows, shows them beside the baseline, and judges or accepts them.
fn compare(accept: bool) -> Result<bool, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/baseline.toml");
    let before = Baseline::read(&path)?;
    let tools = tools()?;
    let comparable = before.tools == tools;
    if !comparable && !accept {
        println!("The baseline is of {}, here is {tools}: instructions are not judged.\n", before.tools);
    }
    let now = count_all()?;
    println!(
        "{:<24} {:>12} {:>12} {:>8} {:>12}",
        "unit", "instructions", "baseline", "change", "allocations"
    );
    let (mut failures, mut better) = (Vec::new(), Vec::new());
    for (row, cost) in ROWS.iter().zip(&now) {
        show(row, *cost, before.row.get(row.name), comparable);
        match row.allocations {
            Allocations::AtMost(most) if cost.allocations > most => {
                failures.push(format!("{}: {} allocations, promised are {most}", row.name, cost.allocations));
            }
            _ => {}
        }
        match before.row.get(row.name).map(|before| Change::of(*before, *cost, comparable)) {
            _ if accept => {}
            None => failures.push(format!("{}: not in the baseline", row.name)),
            Some(Change::Instructions) => {
                failures.push(format!("{}: over {:.0} % more instructions", row.name, TOLERANCE * 100.0));
            }
            Some(Change::Allocations) => failures.push(format!("{}: more allocations", row.name)),
            Some(Change::Better) => better.push(row.name),
            Some(Change::Same) => {}
        }
    }
    for name in before.row.keys().filter(|name| !accept && ROWS.iter().all(|row| row.name != **name)) {
        failures.push(format!("{name}: in the baseline, but there is no such row"));
    }
    println!();
    failures.iter().for_each(|failure| println!("FAILED  {failure}"));
    if !better.is_empty() {
        println!("better: {}; keep it with `benches/count --accept`", better.join(", "));
    }
    if accept && failures.is_empty() {
        let row = ROWS.iter().zip(now).map(|(row, cost)| (row.name.to_owned(), cost)).collect();
        Baseline { tools, row }.write(&path)?;
        println!("written: benches/baseline.toml");
    }
    Ok(failures.is_empty())
}

fn show(row: &Row, cost: Cost, before: Option<&Cost>, comparable: bool) {
    let (baseline, change) = match before {
        Some(before) => (before.instructions.to_string(), format!("{:+.1} %", share(*before, cost) * 100.0)),
        None => ("none".to_owned(), String::new()),
    };
    let change = if comparable { change } else { format!("({change})") };
    let promise = match row.allocations {
        Allocations::AtMost(most) => format!("{} (≤ {most})", cost.allocations),
        Allocations::AsCounted => cost.allocations.to_string(),
    };
    println!("{:<24} {:>12} {baseline:>12} {change:>8} {promise:>12}", row.name, cost.instructions);
}

/// Counts each row in a process of its own, as many at a time as there are processors.
fn count_all() -> Result<Vec<Cost>, String> {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let count_some = || {
        while let Some(row) = ROWS.get(next.fetch_add(1, Ordering::Relaxed)) {
            let cost = count(row.name);
            found.lock().unwrap().insert(row.name, cost);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(count_some);
        }
    });
    let mut found = found.into_inner().unwrap();
    ROWS.iter().map(|row| found.remove(row.name).unwrap()).collect()
}

/// Counts one row under callgrind.
fn count(name: &str) -> Result<Cost, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .args(["--toggle-collect=*one_unit*"])
        .arg(program)
        .args(["--unit", name])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX2,-AVX,-ERMS,-FSRM")
        .output()
        .map_err(|error| format!("valgrind: {error} (Debian's package valgrind has it)"))?;
    let (out, said) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    let number = |text: &str, label: &str| {
        let line = text.lines().find_map(|line| line.split_once(label))?;
        line.1.trim().parse::<u64>().ok()
    };
    let total = number(&said, "Collected :").filter(|_| run.status.success());
    match (total, number(&out, "allocations ")) {
        (Some(total), Some(allocations)) => {
            Ok(Cost { instructions: (total + UNITS as u64 / 2) / UNITS as u64, allocations })
        }
        _ => Err(format!("{name}: {}\n{out}{said}", run.status)),
    }
}

/// What instructions depend on besides the code.
fn tools() -> Result<String, String> {
    let first_line = |program: &str, argument: &str| {
        let run =
            Command::new(program).arg(argument).output().map_err(|error| format!("{program}: {error}"))?;
        let text = String::from_utf8_lossy(&run.stdout).into_owned();
        Ok::<_, String>(
            text.lines().next().unwrap_or_default().split(" (").next().unwrap_or_default().to_owned(),
        )
    };
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let all = [
        first_line(&rustc, "--version")?,
        first_line("getconf", "GNU_LIBC_VERSION")?,
        first_line("valgrind", "--version")
            .map_err(|error| format!("{error} (Debian's package valgrind has it)"))?,
        processor().to_owned(),
    ];
    Ok(all.join(", "))
}

/// Which instructions are taken where the program asks the processor: memchr does.
#[cfg(target_arch = "x86_64")]
fn processor() -> &'static str {
    if std::is_x86_feature_detected!("avx2") { "x86_64 with AVX2" } else { "x86_64 without AVX2" }
}

#[cfg(not(target_arch = "x86_64"))]
fn processor() -> &'static str {
    std::env::consts::ARCH
}
