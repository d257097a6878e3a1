"""The figures as lines and tables."""

import statistics

UNITS = {"register": "REGISTER cycle", "refresh": "refresh", "call": "call", "floor": "packet pair"}


def latency(figures):
    """p50 and p99 in milliseconds of the latency that the row is about."""
    found = figures["latency_ms"]
    first = found.get("cycle") or found.get("setup") or next(iter(found.values()), {})
    return first.get("p50"), first.get("p99")


def line(figures):
    """One run, as it ends."""
    p50, p99 = latency(figures)
    busy = others(figures)
    print(
        f"{figures['series']:<17} run {figures['run']}  {figures['server_name']:<14} {figures['per_second']:>9.0f}/s "
        f"{figures['server']['us_per_unit']:>8.2f} µs  p50 {p50:.2f} ms  p99 {p99:.2f} ms"
        + (f"  (others: {busy:.1f} cores)" if busy > 0.2 else ""),
        flush=True,
    )


def others(figures):
    """How many cores something else kept busy."""
    busy = figures["machine"]["busy_cpu_s"] - figures["server"]["total_s"] - figures["sipload_cpu"]["total_s"]
    return max(0.0, busy / max(figures["seconds"], 1e-9))


class Found:
    """All runs, by series and server."""

    def __init__(self, runs):
        self.runs = {}
        for figures in runs:
            if figures["series"] != "warm-up":
                self.runs.setdefault((figures["series"], figures["server_name"]), []).append(figures)

    def values(self, series, server, of):
        return [of(figures) for figures in self.runs.get((series, server), [])]

    def median(self, series, server, of):
        values = self.values(series, server, of)
        return statistics.median(values) if values else None


def cpu(figures):
    return figures["server"]["us_per_unit"]


def report(runs, extension, sign_ins):
    found = Found(runs)
    parts = [medians(found) if runs else "", goals(found, extension, sign_ins)]
    return "\n\n".join(part for part in parts if part)


def medians(found):
    lines = [
        "| row | server | runs | per s | p50 ms | p99 ms | µs CPU | (least – most) | sipload µs | others' cores | failures |",
        "|---|---|" + "---:|" * 9,
    ]
    for (series, server), runs in found.runs.items():
        middle = lambda of: statistics.median(map(of, runs))  # noqa: E731
        costs = [cpu(run) for run in runs]
        lines.append(
            f"| {series} | {server} | {len(runs)} | {middle(lambda run: run['per_second']):.0f} "
            f"| {middle(lambda run: latency(run)[0]):.2f} | {middle(lambda run: latency(run)[1]):.2f} "
            f"| {middle(cpu):.2f} | {min(costs):.2f} – {max(costs):.2f} "
            f"| {middle(lambda run: run['sipload_cpu']['us_per_unit']):.2f} | {middle(others):.2f} "
            f"| {sum(run['failed'] for run in runs)} |"
        )
    return "\n".join(lines)


def goals(found, extension, sign_ins):
    """What is to be reached, and what was."""
    lines = ["| work | reach | found |", "|---|---|---|"]

    def row(work, reach, value, within, text="{:.2f}"):
        if value is not None:
            lines.append(f"| {work} | {reach} | {text.format(value)}{'' if within else ' — **not reached**'} |")

    def ratio(series, a="stationmaster", b="kamailio"):
        pair = found.median(series, a, cpu), found.median(series, b, cpu)
        return pair[0] / pair[1] if None not in pair else None

    def at_most(work, reach, value, most, text="{:.2f}"):
        row(work, reach, value, value is not None and value <= most, text)

    at_most("REGISTER cycle, 10,000 users", "≤ 0.35 of Kamailio's CPU", ratio("register"), 0.35)
    pair, cycle = found.median("floor", "echo", cpu), found.median("register", "stationmaster", cpu)
    if pair and cycle:
        at_most("REGISTER cycle, two packets each way", "≤ 2 times the bare echo's", cycle / (2 * pair), 2.0)
    at_most("refresh with a reused nonce", "≤ 0.35 of Kamailio's", ratio("refresh"), 0.35)
    users = f"{extension['users']:,}" if extension else "many"
    at_most(f"REGISTER cycle, {users} users against 10,000", "≤ 1.2 times", ratio("many", "many", "few"), 1.2)
    at_most("call with digest, against proxying it", "≤ 0.5 of Kamailio's", ratio("call"), 0.5)
    if extension:
        each = lambda name: extension[name] / extension["users"]  # noqa: E731
        work = f"memory of each of {users} registered extensions"
        at_most(work, "≤ 1.5 KiB", each("registered"), 1.5, "{:.2f} KiB")
        row("— after a restart", "", each("restarted"), True, "{:.2f} KiB")
        row("— imported, not yet registered", "", each("imported"), True, "{:.2f} KiB")
        at_most("— on disk", "≤ 3 KiB", each("disk"), 3.0, "{:.2f} KiB")
        at_most(f"import of {users} extensions, each 100,000", "< 20 s", each("import_s") * 100_000, 20.0, "{:.1f} s")
        at_most(f"start with {users} registered extensions", "< 10 s", extension["start_s"], 10.0, "{:.1f} s")
    for server in ["stationmaster", "kamailio"]:
        added = found.median("memory", server, lambda run: run["added_kib"] / 1024)
        row(f"memory that 100,000 registrations add, {server}", "", added, True, "{:.1f} MiB")
    for series in ["register", "call"]:
        value = ratio(f"shards-{series}", "two shards", "one shard")
        at_most(f"two shards against one, {series}", "≤ 1.15 times", value, 1.15)
    alone, beside = (found.median(f"people-{who}", "stationmaster", lambda run: latency(run)[1]) for who in ["none", "some"])
    if alone and beside:
        value = beside / alone
        at_most("p99 of REGISTER while 16 people a second sign in, against none", "≤ 2 times", value, 2.0)
    if sign_ins:
        middle = lambda name: statistics.median(run[name] for run in sign_ins)  # noqa: E731
        value = middle("busy")
        work = f"people sign in without a pause ({middle('per_s'):.0f}/s, {middle('ms'):.0f} ms of Argon2 each): how busy its threads are"
        row(work, "≥ 0.95", value, value >= 0.95, "{:.2f}")
        row("— its part of the server's CPU", "", middle("share"), True, "{:.2f}")
    for series in ["register", "call"]:
        for server in ["stationmaster", "kamailio"]:
            p99 = found.median(f"latency-{series}", server, lambda run: latency(run)[1])
            rate = found.median(f"latency-{series}", server, lambda run: run["per_second"])
            if p99 is not None:
                work = f"p99 at half of the most, {series}, {server} ({rate:.0f}/s)"
                row(work, "< 5 ms" if server == "stationmaster" else "", p99, p99 < 5 or server == "kamailio", "{:.2f} ms")
    return "\n".join(lines) if len(lines) > 2 else ""
