"""Starts and ends the processes of a run. Only what was started here is ended, by its own process group."""

import contextlib
import http.client
import os
import signal
import subprocess
import time

from . import install
from .setup import GRPC_UPSTREAM, UPSTREAM, WEB


class StartError(Exception):
    """A process did not come up."""


def pinned(cores):
    return ["taskset", "--cpu-list", cores] if cores else []


def prefer(nice, pid=0):
    """Lets this process and what it starts go before other work; the kernel also groups processes by session, so each
    session wants it said. Without the right to it, things stay as they are."""
    if nice:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, pid, nice)
        with contextlib.suppress(OSError), open(f"/proc/{pid or 'self'}/autogroup", "w", encoding="ascii") as group:
            group.write(str(nice))


def end(process, patience=5):
    """Asks a process to end, then makes it and its group."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            break


def ask(port, host=WEB, path="/64", timeout=2):
    """The status of a plain GET on a connection of its own, or 0 where there was none. Caddy answers a host that it does not
    know with an empty 200, so the upstream's body is wanted, too."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status if len(answer.read()) == 64 else 0
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


@contextlib.contextmanager
def upstream(cores):
    """The upstream, for as long as the block lasts: it ends when its standard input does, too."""
    command = [*pinned(cores), str(install.binary("tools")), "upstream", f"--address=127.0.0.1:{UPSTREAM}",
               f"--grpc=127.0.0.1:{GRPC_UPSTREAM}"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    prefer(os.getpriority(os.PRIO_PROCESS, 0), process.pid)
    try:
        if process.stdout.readline() != b"ready\n":
            raise StartError("the upstream did not start")
        yield process
    finally:
        process.stdin.close()
        end(process)


@contextlib.contextmanager
def running(peer, setup, patience=60):
    """A configured peer that answers, for as long as the block lasts."""
    peer.configure(setup)
    command = [str(part) for part in pinned(setup.cores) + peer.command(setup)]
    output = setup.folder / "output.log"
    with open(output, "wb") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
                                   env=peer.environment(setup), start_new_session=True)
    prefer(os.getpriority(os.PRIO_PROCESS, 0), process.pid)
    try:
        deadline = time.monotonic() + patience
        hosts = setup.hosts()
        while ask(setup.http, hosts[-1] if hosts else WEB) != 200:
            if process.poll() is not None or time.monotonic() > deadline:
                raise StartError(f"{peer.name} did not start: {output.read_text(errors='replace')[-800:]}")
            time.sleep(0.02)
        yield process
        if process.poll() is not None:
            raise StartError(f"{peer.name} ended by itself ({process.returncode}): {output.read_text(errors='replace')[-800:]}")
    finally:
        end(process)
