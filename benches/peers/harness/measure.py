"""What a process costs: processor time, memory, system calls. A peer is a process and everything below it."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

from . import install

TICK = os.sysconf("SC_CLK_TCK")


def stat(pid):
    """The fields of /proc/PID/stat from the third on; the second may have spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def tree(root):
    """A process and its descendants."""
    children = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                children.setdefault(int(stat(entry.name)[1]), []).append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
    found, queue = [], [root]
    while queue:
        pid = queue.pop()
        found.append(pid)
        queue.extend(children.get(pid, []))
    return found


def clock(pid):
    """Processor seconds of all threads of a process, in nanoseconds' resolution: the clock of CPUCLOCK_SCHED."""
    return time.clock_gettime((~pid << 3) | 2)


def cpu(root):
    """Processor time of a tree: total seconds (exact; ended children in ticks), user and system seconds (ticks)."""
    total = user = system = 0.0
    for pid in tree(root):
        try:
            fields = stat(pid)
            seconds = clock(pid)
        except (OSError, ProcessLookupError):
            continue
        utime, stime, cutime, cstime = (int(field) / TICK for field in fields[11:15])
        total += seconds + cutime + cstime
        user += utime + cutime
        system += stime + cstime
    return {"total": total, "user": user, "system": system}


def busy():
    """Seconds that all processors of the machine worked for processes, or for other machines. Without interrupts: where the
    kernel counts them by themselves, no process has them on its clock."""
    user, nice, system, _, _, _, _, steal = (int(f) for f in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9])
    return (user + nice + system + steal) / TICK


def memory(root):
    """Bytes of a tree: proportional (shared pages count once) and resident (they count for each process)."""
    pss = rss = 0
    for pid in tree(root):
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        pss += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1]) * 1024
        rss += int(re.search(r"^Rss:\s+(\d+)", text, re.M)[1]) * 1024
    return {"pss": pss, "rss": rss}


class Syscalls:
    """Counts the system calls of a tree between `start` and `stop`, with strace. It slows what it watches: a run of its
    own, whose times nobody looks at."""

    def __init__(self, root, folder):
        self.output = Path(folder) / "strace.txt"
        self.binary = install.binary("strace")
        command = [str(self.binary), "--follow-forks", "--summary-only", "--output", str(self.output)]
        for pid in tree(root):
            command += ["--attach", str(pid)]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and not self.attached(root):
            time.sleep(0.02)

    @staticmethod
    def attached(root):
        return all("TracerPid:\t0" not in Path(f"/proc/{pid}/status").read_text() for pid in tree(root))

    def stop(self):
        """Calls by name, or None where strace may not attach."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None
        calls = {}
        for line in self.output.read_text().splitlines() if self.output.exists() else []:
            fields = line.split()
            # time, seconds, microseconds a call, calls, (errors,) name
            if len(fields) >= 5 and fields[3].isdigit() and fields[-1] != "total":
                calls[fields[-1]] = int(fields[3])
        return calls or None
