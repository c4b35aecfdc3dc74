"""One run of one scenario against one peer: starts it, warms it up, asks, and says what it cost."""

import json
import os
import resource
import subprocess
import threading
import time

from . import install, load, measure
from .process import ask, end, pinned, running
from .scenarios import idle_connections, setup_for

# Seconds that opening all idle connections may take.
PATIENCE = 180


def children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def one(scenario, peer, upstream, *, seconds, proxy_cores, load_cores, syscalls):
    """A record of measured values, without the names of scenario and peer."""
    setup = setup_for(scenario, peer, proxy_cores)
    kind = {"load": loaded, "idle": idle, "change": changed}[scenario.kind]
    with running(peer, setup) as process:
        return kind(scenario, peer, setup, process, upstream, seconds, pinned(load_cores), syscalls)


def loaded(scenario, peer, setup, process, upstream, seconds, pin, syscalls):
    warm = (scenario.warm or scenario.load)(setup, pin, 1, None)
    before = (time.monotonic(), measure.busy(), children(), measure.cpu(upstream.pid)["total"], measure.cpu(process.pid))
    result = scenario.load(setup, pin, seconds, warm)
    after = (time.monotonic(), measure.busy(), children(), measure.cpu(upstream.pid)["total"], measure.cpu(process.pid))
    took, busy, generator, served = (b - a for a, b in zip(before[:4], after[:4]))
    used = {name: after[4][name] - before[4][name] for name in before[4]}
    count = result["requests"] * scenario.per
    ticks = max(used["user"] + used["system"], 1e-9)
    record = {
        "count": count, "seconds": result["seconds"], "rate": count / result["seconds"], "errors": result["errors"],
        "p50": result["p50"], "p99": result["p99"], "p999": result["p999"],
        "cpu_us": used["total"] / count * 1e6,
        "user_us": used["total"] * used["user"] / ticks / count * 1e6,
        "system_us": used["total"] * used["system"] / ticks / count * 1e6,
        "utilisation": used["total"] / took, "upstream_us": served / count * 1e6,
        # What neither proxy, load nor upstream used of the machine: noise.
        "other": max(0.0, busy - generator - served - used["total"]) / took / os.cpu_count(),
    } | measure.memory(process.pid)
    if syscalls and install.binary("strace"):
        record["syscalls"] = counted(scenario, setup, process, pin, warm)
    return record


def counted(scenario, setup, process, pin, warm):
    """System calls for each unit, by name: those that matter."""
    watch = measure.Syscalls(process.pid, setup.folder)
    try:
        result = scenario.load(setup, pin, 1, warm)
    except load.LoadError:
        result = None
    calls = watch.stop()
    if not calls or not result:
        return None
    count = result["requests"] * scenario.per
    return {name: round(calls[name] / count, 3) for name in sorted(calls, key=calls.get, reverse=True)
            if calls[name] / count >= 0.005}


def idle(scenario, peer, setup, process, upstream, seconds, pin, syscalls):
    """Memory before, with, and after so many connections that asked once."""
    tls = scenario.options.get("tls", False)
    wanted = idle_connections()
    load.wrk(setup, pin, 2, tls=tls)
    time.sleep(1)
    before = measure.memory(process.pid)
    command = [*pin, str(install.binary("tools")), "idle", f"--to=127.0.0.1:{setup.https if tls else setup.http}",
               f"--host={load.HOST}", "--path=/64", f"--connections={wanted}", *(["--tls=1"] if tls else [])]
    client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              start_new_session=True)
    watchdog = threading.Timer(PATIENCE, client.kill)
    watchdog.start()
    try:
        line = client.stdout.readline()
        if not line:
            said = client.stderr.read().decode(errors="replace").strip()[-300:]
            raise load.LoadError(f"idle: {said or f'not all connections were open after {PATIENCE} s'}")
        held = json.loads(line)["connections"]
        time.sleep(3)
        during = measure.memory(process.pid)
        client.stdin.close()
        client.wait(20)
    finally:
        watchdog.cancel()
        end(client)
    time.sleep(2)
    after = measure.memory(process.pid)
    return {"connections": held, "before": before["pss"], "during": during["pss"], "after": after["pss"],
            "rss": during["rss"], "per_connection": (during["pss"] - before["pss"]) / held}


def changed(scenario, peer, setup, process, upstream, seconds, pin, syscalls):
    """Adds a route in the midst of steady load, and asks for it without pause until it is served."""
    seconds = scenario.options["seconds"]
    result, failed = {}, []

    def steady():
        try:
            result.update(load.own(setup, pin, seconds, "open", rate=2000, connections=64, tolerant=True))
        except load.LoadError as error:
            failed.append(error)

    before = measure.memory(process.pid)
    thread = threading.Thread(target=steady)
    started = time.monotonic()
    thread.start()
    time.sleep(1)
    first = measure.cpu(process.pid)["total"]
    time.sleep(1)
    setup.routes += 1
    begun, used = time.monotonic(), measure.cpu(process.pid)["total"]
    # The change itself may take its time, as Caddy's answer does: nobody waits for it to ask.
    change = threading.Thread(target=peer.change, args=(setup, process))
    change.start()
    effective = until_served(setup, begun, started + seconds - 0.5)
    change.join()
    thread.join()
    at_end = measure.cpu(process.pid)["total"]
    after = measure.memory(process.pid)
    if failed:
        raise failed[0]
    window = time.monotonic() - begun
    return {
        "effective_ms": effective, "errors": result["errors"], "unanswered": result["unanswered"],
        "count": result["requests"], "p50": result["p50"],
        "p99": result["p99"], "p999": result["p999"], "max": result["max"],
        "change_cpu_ms": max(0.0, at_end - used - (used - first) * min(window, seconds - 2)) * 1000,
        "before": before["pss"], "after": after["pss"], "rss": after["rss"],
    }


def until_served(setup, begun, deadline):
    """Milliseconds until the new route is served and stays so, or None. Old workers may still take connections: ten
    answers in a row are wanted, and the first of them counts."""
    host, row, first = setup.hosts()[-1], 0, None
    while time.monotonic() < deadline:
        if ask(setup.http, host) == 200:
            first = time.monotonic() if row == 0 else first
            row += 1
            if row == 10:
                return (first - begun) * 1000
        else:
            row = 0
        time.sleep(0.001)
    return None
