"""The load generators, each as a function that runs for some seconds and returns what it counted:
requests, seconds, errors, and latencies in microseconds (p50, p99, p999)."""

import json
import os
import re
import subprocess
import tempfile

from . import install, paths

HOST = "bench.test"
GRPC_HOST = "grpc.test"


class LoadError(Exception):
    """A load generator failed, or what it asked was not answered as it should be."""


def execute(command, pin, seconds):
    """Runs a generator on its cores; its time is bounded."""
    command = [str(part) for part in pin + command]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, env=install.environment())
    except subprocess.TimeoutExpired as error:
        raise LoadError(f"{command[len(pin)]} did not end") from error
    if result.returncode != 0:
        raise LoadError(f"{' '.join(command)}: {(result.stderr or result.stdout).strip()[-500:]}")
    return result.stdout


def checked(result, name):
    if result["requests"] == 0:
        raise LoadError(f"{name}: not one request was answered")
    if result["errors"] > max(2, result["requests"] * 0.001) and not result.pop("errors_are_a_result", False):
        raise LoadError(f"{name}: {result['errors']} errors in {result['requests']} requests")
    return result


def wrk(setup, pin, seconds, *, tls=False, path="/64", connections=64, threads=1, post=0, hosts=None):
    """Closed loop over HTTP/1.1: the next request leaves when the last was answered."""
    scheme, port = ("https", setup.https) if tls else ("http", setup.http)
    command = [install.binary("wrk"), "--threads", threads, "--connections", connections, "--timeout", "10s",
               "--duration", f"{max(1, round(seconds))}s", "--script", paths.SCRIPTS / "wrk.lua",
               "--header", f"Host: {HOST}", f"{scheme}://127.0.0.1:{port}{path}", "--", post, hosts or ""]
    output = execute(command, pin, seconds)
    line = next((line for line in output.splitlines() if line.startswith("{")), None)
    if line is None:
        raise LoadError(f"wrk said no result: {output[-300:]}")
    return checked(json.loads(line), "wrk")


def h2load(setup, pin, seconds, *, path="/64", connections=4, streams=25, host=HOST, grpc=None):
    """Closed loop over HTTP/2 with TLS. `grpc`: the bytes of messages that each answer must have."""
    with tempfile.TemporaryDirectory(dir=setup.folder) as scratch:
        log = os.path.join(scratch, "requests")
        command = [install.binary("h2load"), "--threads", 1, "--clients", connections,
                   "--max-concurrent-streams", streams, "--duration", max(1, round(seconds)), "--log-file", log,
                   "--connect-to", f"127.0.0.1:{setup.https}", f"https://{host}{path}"]
        if grpc:
            message = os.path.join(scratch, "message")
            with open(message, "wb") as file:
                file.write(bytes([0, 0, 0, 0, 64]) + b"x" * 64)
            command += ["--data", message, "--header", "content-type: application/grpc", "--header", "te: trailers"]
        output = execute(command, pin, seconds)
        with open(log, encoding="ascii") as file:
            times = sorted(int(line.split()[2]) for line in file)
    found = re.search(r"finished in ([\d.]+)(ms|s|us)", output)
    counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output)
    classes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", output)
    data = re.search(r"\((\d+)\) data", output)
    if not (found and counts and classes and data and times):
        raise LoadError(f"h2load's output was not understood: {output[-500:]}")
    # Those that were answered to the end; a status alone is counted for those that the end of the run cut off.
    requests = int(counts[1])
    if grpc and int(data[1]) < requests * grpc * 0.99:
        raise LoadError(f"gRPC answers without messages: {int(data[1]) / max(1, requests):.0f} bytes each")
    errors = sum(int(count) for count in counts.groups()[1:]) + sum(int(count) for count in classes.groups()[1:])
    unit = {"s": 1, "ms": 1e-3, "us": 1e-6}[found[2]]
    return checked({"requests": requests, "seconds": float(found[1]) * unit, "errors": errors} | percentiles(times), "h2load")


def percentiles(times):
    at = lambda share: times[min(len(times) - 1, round((len(times) - 1) * share))]  # noqa: E731
    return {"p50": at(0.5), "p99": at(0.99), "p999": at(0.999)}


def own(setup, pin, seconds, command, *, tls=False, tolerant=False, **options):
    """A client of ours: `open`, `handshake` or `websocket`."""
    port = setup.https if tls or command == "handshake" else setup.http
    options = {"to": f"127.0.0.1:{port}", "host": HOST, "path": "/64", "connections": 64, "seconds": seconds} | options
    arguments = [f"--{name}={value}" for name, value in options.items()] + (["--tls=1"] if tls else [])
    result = json.loads(execute([install.binary("tools"), command, *arguments], pin, seconds))
    if options.get("resume") and result["resumed"] < result["requests"] * 0.9:
        raise LoadError(f"only {result['resumed']} of {result['requests']} handshakes resumed a session")
    if not tolerant:
        result["errors"] += result["unanswered"]
    return checked(result | {"errors_are_a_result": tolerant}, command)
