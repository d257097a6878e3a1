//! SIP load generator; `sipload --help` tells how to use it.

mod args;
mod call;
mod digest;
mod drive;
mod link;
mod net;
mod ping;
mod procfs;
mod register;
mod report;
mod sip;
mod stats;
mod storm;
mod text;

use args::{Command, HELP, Options};
use call::Calls;
use drive::{Core, Outcome, Plan, drive};
use net::Net;
use ping::Ping;
use register::{Identity, Register};
use report::Report;
use std::io;
use std::process::ExitCode;
use storm::Storm;

fn main() -> ExitCode {
    let options = match Options::parse(lexopt::Parser::from_env()) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprintln!("sipload: {why}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("sipload: {why}");
            ExitCode::from(2)
        }
    }
}

/// Runs the command; `false` means that something failed that should have worked.
fn run(options: &Options) -> io::Result<bool> {
    if options.command == Command::Echo {
        net::echo(options.listen, options.batch, options.seconds)?;
        return Ok(true);
    }
    if !options.server_pids.is_empty() && procfs::Sample::of_trees(&options.server_pids).is_empty() {
        return Err(io::Error::other("none of the server processes is there"));
    }
    if options.command == Command::Storm {
        let (text, json, good) = Storm::new(options)?.run()?;
        print!("{text}");
        if let Some(path) = &options.json {
            std::fs::write(path, json)?;
        }
        return Ok(good);
    }
    let net = Net::open(options.target, options.local, options.local_port, options.sockets)?;
    let mut core = Core::new(net);
    let plan =
        Plan { window: options.window, rate: options.rate, seconds: options.seconds, count: options.count };
    let identity = Identity {
        domain: options.domain.clone(),
        password_pattern: options.password_pattern.clone(),
        first_user: options.first_user,
        user_suffix: options.user_suffix.clone(),
        users: if options.command == Command::Call { 2 * options.users } else { options.users },
        devices: options.devices,
        algorithm: options.algorithm,
        sockets: core.net.sockets(),
    };
    match options.command {
        Command::Register => register(options, core, identity, &plan),
        Command::Call => call(options, core, identity, &plan),
        _ => {
            let outcome = drive(&mut core, &mut Ping::new(identity), &plan, &options.server_pids)?;
            finish(options, &outcome, "ping", "packet pair", String::new(), Vec::new())
        }
    }
}

fn register(options: &Options, mut core: Core, identity: Identity, plan: &Plan) -> io::Result<bool> {
    let mut register =
        Register::new(identity, options.expires, options.instance_ids, options.reuse_nonce, &mut core);
    if options.prefill && !register_all(&mut core, &mut register, options)? {
        return Ok(false);
    }
    let outcome = drive(&mut core, &mut register, plan, &options.server_pids)?;
    let setup = format!(
        "{} users with {} each, {}, {}",
        options.users,
        if options.devices == 1 { "1 device".to_owned() } else { format!("{} devices", options.devices) },
        options.algorithm.name(),
        if options.reuse_nonce { "nonces kept" } else { "challenged every time" },
    );
    finish(options, &outcome, "register", "register cycle", setup, Vec::new())
}

fn call(options: &Options, mut core: Core, identity: Identity, plan: &Plan) -> io::Result<bool> {
    if !options.no_register {
        let mut register =
            Register::new(identity.clone(), options.expires, options.instance_ids, false, &mut core);
        if !register_all(&mut core, &mut register, options)? {
            return Ok(false);
        }
    }
    let mut calls = Calls::new(identity, options.hold_ms, options.auth, &mut core);
    let outcome = drive(&mut core, &mut calls, plan, &options.server_pids)?;
    let mut extra = Vec::new();
    if calls.callees_left() > 0 {
        extra.push(("callees that were never hung up on".to_owned(), calls.callees_left() as u64));
    }
    let setup = format!(
        "{} callers and callees, held {} ms, {}",
        options.users,
        options.hold_ms,
        if options.auth { "INVITEs must be challenged" } else { "INVITEs may be challenged" },
    );
    finish(options, &outcome, "call", "call", setup, extra)
}

/// Registers every device once; says on the standard error what went wrong, if anything did.
fn register_all(core: &mut Core, register: &mut Register, options: &Options) -> io::Result<bool> {
    let devices = register.identity.device_count();
    let plan = Plan {
        window: options.window.clamp(1, 256).min(devices),
        rate: None,
        seconds: None,
        count: Some(devices as u64),
    };
    let outcome = drive(core, register, &plan, &[])?;
    for (kind, count) in &outcome.stats.failures {
        eprintln!("sipload: while registering all devices first: {kind}: {count} of {devices}");
    }
    Ok(outcome.stats.failed() == 0 && outcome.unfinished == 0)
}

fn finish(
    options: &Options,
    outcome: &Outcome,
    command: &'static str,
    unit: &'static str,
    setup: String,
    mut extra_failures: Vec<(String, u64)>,
) -> io::Result<bool> {
    if outcome.unfinished > 0 {
        extra_failures.push(("still under way at the end".to_owned(), outcome.unfinished as u64));
    }
    let load = match options.rate {
        Some(rate) => format!("open loop, {rate}/s, at most {} at once", options.window),
        None => format!("closed loop, {} at once", options.window),
    };
    let separator = if setup.is_empty() { "" } else { "; " };
    let setup =
        format!("{setup}{separator}{load}; UDP from {} sockets to {}", options.sockets, options.target);
    let report = Report { command, unit, setup, outcome, extra_failures };
    print!("{}", report.text());
    if let Some(path) = &options.json {
        std::fs::write(path, report.json())?;
    }
    Ok(report.failed() == 0)
}
