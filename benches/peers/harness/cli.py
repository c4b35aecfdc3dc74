"""The command line: what to run, and how often."""

import argparse
import contextlib
import datetime
import fcntl
import time

from . import install, machine, paths, peers, report, runs, scenarios
from .install import loudly, say
from .load import LoadError
from .process import StartError, prefer, upstream
from .results import Results

# What a smoke run does unless it is told: a scenario of each load generator.
SMOKE = "h1-64,tls-64,h2-64,grpc-unary,handshake,websocket,open-5k"


def arguments(argv):
    names = [scenario.name for scenario in scenarios.ALL]
    parser = argparse.ArgumentParser(prog="benches/peers/run", description="Compares Portcullis with its peers.")
    parser.add_argument("--rounds", type=int, default=10, help="rounds wanted in all; those that are there count (10)")
    parser.add_argument("--seconds", type=int, default=3, help="seconds of a measured run (3)")
    parser.add_argument("--only", default="", metavar="A,B", help=f"scenarios: {', '.join(names)}")
    parser.add_argument("--peers", default="", metavar="A,B", help=f"peers: {', '.join(peer.name for peer in peers.ALL)}")
    parser.add_argument("--again", action="store_true", help="forget what is there of these scenarios")
    parser.add_argument("--smoke", action="store_true", help="one short round of some scenarios with what is installed and built; its results are not kept")
    parser.add_argument("--no-install", action="store_true", help="installs and builds nothing")
    parser.add_argument("--report", action="store_true", help="runs nothing, shows the tables")
    parser.add_argument("--write-docs", action="store_true", help="also writes docs/performance.md and its charts")
    parser.add_argument("--proxy-cores", default="0", help="where the proxy runs (0)")
    parser.add_argument("--load-cores", default="1", help="where load and upstream run (1)")
    parser.add_argument("--nice", type=int, default=0, help="priority of everything measured, such as -15; wants root (0)")
    parser.add_argument("--portcullis", metavar="PATH", help="another binary than target/release/portcullis")
    parser.add_argument("--list", action="store_true", help="says which scenarios and peers there are")
    return parser.parse_args(argv)


def chosen(text, rows, what):
    by_name = {row.name: row for row in rows}
    wanted = [name for name in text.split(",") if name]
    unknown = [name for name in wanted if name not in by_name]
    if unknown:
        raise SystemExit(f"no {what} {', '.join(unknown)}: there are {', '.join(by_name)}")
    return [by_name[name] for name in wanted] if wanted else list(rows)


def installed(rows):
    """The peers that are there; the others are said."""
    found = []
    for peer in rows:
        if peer.binary():
            found.append(peer)
        else:
            loudly(f"{peer.name} is left out: it is not installed")
    return found


@contextlib.contextmanager
def alone():
    """Two runs at once would measure each other, and share ports."""
    paths.CACHE.mkdir(parents=True, exist_ok=True)
    with open(paths.CACHE / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SystemExit("another run is under way") from error
        yield


def run_scenario(scenario, rows, results, options):
    """All missing rounds of a scenario: every peer once, in order, then the next round."""
    rows = [peer for peer in rows if not any(scenario.name == name for name in peer.cannot)]
    names = [peer.name for peer in rows]
    proxy_cores, load_cores = scenarios.cores(scenario, options.proxy_cores, options.load_cores)
    tries = 0
    with upstream(load_cores) as process:
        while results.rounds(scenario.name, names) < options.rounds and tries < options.rounds:
            number = results.next_round(scenario.name)
            tries += 1
            # Each round begins with another peer, so that nobody always comes after the same one.
            for peer in rows[number % len(rows):] + rows[:number % len(rows)]:
                record = {"scenario": scenario.name, "peer": peer.name, "round": number,
                          "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")}
                try:
                    record |= runs.one(scenario, peer, process, seconds=options.seconds, proxy_cores=proxy_cores,
                                       load_cores=load_cores, syscalls=tries == 1 and not options.smoke)
                except (LoadError, StartError, OSError) as error:
                    record["failed"] = str(error)
                    loudly(f"{scenario.name}, {peer.name}: {error}")
                results.add(record)
                say(f"{scenario.name:15} round {number:2} {peer.name:20} {report.brief(record)}")


def listing():
    for row in scenarios.ALL:
        say(f"{row.name:15} {row.title}")
    for peer in peers.ALL:
        say(f"{peer.name:20} {peer.version() if peer.binary() else 'not installed':14} {peer.note}")
    return 0


def prepared(options):
    """Scenarios, peers that are there, and results; None where the load generators are missing."""
    if options.smoke:
        options.only = options.only or SMOKE
        options.peers = options.peers or "portcullis,nginx,haproxy"
        options.rounds = options.seconds = 1
        options.no_install = True
        debug = paths.TARGET / "debug/portcullis"
        if not install.binary("portcullis") and debug.exists():
            install.OVERRIDES["portcullis"] = debug
    rows, wanted = chosen(options.peers, peers.ALL, "peer"), chosen(options.only, scenarios.ALL, "scenario")
    if not options.no_install:
        install.everything([peer.name for peer in rows])
    missing = [tool for tool in ("tools", "wrk", "h2load") if not install.binary(tool)]
    if missing:
        loudly(f"nothing can be measured without {', '.join(missing)}")
        return None
    rows = installed(rows)
    results = Results(paths.CACHE / "smoke.json" if options.smoke else paths.RESULTS)
    if options.again or options.smoke:
        results.drop({scenario.name for scenario in wanted})
    results.data["machine"] = machine.describe()
    results.data["peers"] |= {peer.name: {"version": peer.version(), "note": peer.note} for peer in rows}
    return wanted, rows, results


def main(argv):
    options = arguments(argv)
    if options.portcullis:
        install.OVERRIDES["portcullis"] = options.portcullis
    if options.list:
        return listing()
    if options.report:
        return report.everything(Results(), options.write_docs)
    with alone():
        parts = prepared(options)
        if parts is None:
            # A smoke run takes what is there; that can be nothing.
            return 0 if options.smoke else 1
        wanted, rows, results = parts
        prefer(options.nice)
        started = time.monotonic()
        for scenario in wanted:
            run_scenario(scenario, rows, results, options)
    say(f"{(time.monotonic() - started) / 60:.1f} minutes; results in {results.path}")
    failed = [run for run in results.data["runs"] if "failed" in run and run["peer"].startswith("portcullis")]
    if options.smoke:
        return 1 if failed else 0
    return report.everything(results, options.write_docs)
