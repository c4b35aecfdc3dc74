"""Tables and docs from results."""

from . import chart, goals, paths, scenarios
from .install import loudly, say
from .report_text import mebibytes, number, table

# What the ratios refer to.
REFERENCE = "nginx"
OWN = ("portcullis", "portcullis-defaults")
# More of the machine than this in other hands, and figures are noise.
NOISE = 0.1


def brief(record):
    """One line about a run."""
    if "failed" in record:
        return "FAILED"
    if "cpu_us" in record:
        noise = f"  NOISE {record['other']:.0%}" if record["other"] > NOISE else ""
        return (f"{record['cpu_us']:8.2f} µs ({record['user_us']:.2f} user)  {record['rate']:9.0f}/s  p99 {record['p99']:6} µs"
                f"  pss {record['pss'] / 2**20:6.1f} MiB{noise}")
    if "per_connection" in record:
        return f"{record['per_connection']:8.0f} bytes a connection, {record['connections']} connections"
    return f"in force after {number(record['effective_ms'])} ms, {record['errors']} errors, {record['unanswered']} unanswered, p99.9 {record['p999']} µs"


def best_peer(summary, name):
    """Whoever needs least, other than Portcullis itself."""
    others = {peer: row[name] for peer, row in summary.items() if peer not in OWN and row.get(name) is not None}
    return min(others, key=others.get) if others else None


def ordered(summary, name):
    return sorted(summary.items(), key=lambda item: (item[1].get(name) is None, item[1].get(name)))


def ratio(scenario, results, summary, peer, to):
    """The median ratio within rounds, and that of the best rounds."""
    if to not in summary:
        return "–"
    least = summary[peer]["cpu_us_min"] / summary[to]["cpu_us_min"]
    return f"{number(results.ratio(scenario.name, 'cpu_us', peer, to))} ({number(least)})"


def with_best(row, name, best="min"):
    """A median, and what the best round had."""
    return f"{number(row[name])} ({number(row[f'{name}_{best}'])})"


def load_table(scenario, results, summary):
    best = best_peer(summary, "cpu_us")
    head = ["", f"CPU µs a {scenario.unit}", "of these user", "× nginx", f"× {best}, the best peer", f"{scenario.unit}s/s",
            "p50 µs", "p99 µs", "p99.9 µs", "system calls", "PSS MiB", "RSS MiB", "rounds"]
    rows = []
    for peer, row in ordered(summary, "cpu_us"):
        calls = sum(row["syscalls"].values()) if row["syscalls"] else None
        rows.append([peer, f"**{number(row['cpu_us'])}** ({number(row['cpu_us_min'])})", with_best(row, "user_us"),
                     ratio(scenario, results, summary, peer, REFERENCE), ratio(scenario, results, summary, peer, best),
                     with_best(row, "rate", "max"), with_best(row, "p50"), with_best(row, "p99"), with_best(row, "p999"),
                     number(calls), number(mebibytes(row["pss"])), number(mebibytes(row["rss"])), row["rounds"]])
    return table(head, rows)


def idle_table(scenario, results, summary):
    head = ["", "bytes a connection", "least", "PSS MiB before", "with them", "2 s after", "rounds"]
    return table(head, [[peer, f"**{number(row['per_connection'])}**", number(row["per_connection_min"]),
                         number(mebibytes(row["before"])), number(mebibytes(row["during"])), number(mebibytes(row["after"])),
                         row["rounds"]] for peer, row in ordered(summary, "per_connection")])


def change_table(scenario, results, summary):
    head = ["", "in force after ms", "most", "not within the load", "errors (most)", "unanswered", "p99.9 µs", "max µs",
            "CPU ms of the change", "PSS MiB before", "after", "rounds"]
    return table(head, [[peer, f"**{number(row.get('effective_ms'))}**", number(row.get("effective_ms_max")), row["missed"],
                         f"{number(row['errors'])} ({number(row['errors_max'])})", number(row.get("unanswered")), number(row["p999"]), number(row["max"]),
                         number(row["change_cpu_ms"]), number(mebibytes(row["before"])), number(mebibytes(row["after"])),
                         row["rounds"]] for peer, row in ordered(summary, "effective_ms")])


def noise_of(summary):
    """The largest share of the machine that other work had, as a median of one peer's rounds."""
    return max((row.get("other", 0) for row in summary.values()), default=0)


def section(scenario, results):
    summary = results.summary(scenario.name)
    if not summary:
        return []
    draw = {"load": load_table, "idle": idle_table, "change": change_table}[scenario.kind]
    lines = [f"### {scenario.title} (`{scenario.name}`)", "", *draw(scenario, results, summary), ""]
    noise = noise_of(summary)
    if noise > NOISE:
        lines += [f"Other work used up to {noise:.0%} of the machine (median of a peer's rounds): these figures are noisy.", ""]
    failures = {peer: text for peer, text in results.failures(scenario.name).items() if peer not in summary}
    lines += [f"- {peer} failed: {text.splitlines()[0][:200]}" for peer, text in failures.items()]
    return lines + ([""] if failures else [])


def peers_table(results):
    return table(["", "version", "package"],
                 [[name, row["version"], row["note"] or "this tree"] for name, row in results.data["peers"].items()])


def document(results, charts):
    machine = results.data["machine"]
    text = (paths.CONFIGS / "performance.md").read_text()
    days = [run["at"][:10] for run in results.data["runs"]]
    parts = {
        "MACHINE": f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, Linux {machine['kernel']}, "
                   f"{machine['system']}, TCP {machine['congestion']}, {machine['descriptors']} descriptors",
        "DATES": " to ".join(dict.fromkeys([min(days), max(days)])),
        "PEERS": "\n".join(peers_table(results)),
        "CHARTS": "\n\n".join(f"![{title}](performance/{name})" for name, title in charts),
        "GOALS": "\n".join(goals.lines(results)),
        "TABLES": "\n".join(line for scenario in scenarios.ALL for line in section(scenario, results)).rstrip(),
    }
    for name, value in parts.items():
        text = text.replace(f"@@{name}@@", value)
    return text


def everything(results, write_docs):
    """Prints the tables; with `write_docs` also writes them, and the charts, below docs/, unless they are noise."""
    if not results.data["runs"]:
        say("no results yet")
        return 1
    for scenario in scenarios.ALL:
        for line in section(scenario, results):
            say(line)
    for line in goals.lines(results):
        say(line)
    noisy = [scenario.name for scenario in scenarios.ALL if noise_of(results.summary(scenario.name)) > NOISE]
    if write_docs and noisy:
        loudly(f"docs/ is left as it is: other work disturbed {', '.join(noisy)} (run them --again on a quiet machine)")
        write_docs = False
    folder = paths.ROOT / "docs" if write_docs else paths.CACHE / "report"
    (folder / "performance").mkdir(parents=True, exist_ok=True)
    charts = chart.everything(results, folder / "performance")
    (folder / "performance.md").write_text(document(results, charts))
    say(f"written: {folder / 'performance.md'}")
    return 0
