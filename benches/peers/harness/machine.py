"""What the results were measured on."""

import os
import platform
import re
import resource
from pathlib import Path


def describe():
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    system = re.search(r'PRETTY_NAME="([^"]+)"', Path("/etc/os-release").read_text())
    congestion = Path("/proc/sys/net/ipv4/tcp_congestion_control")
    return {
        "cpu": cpu[1].strip() if cpu else platform.machine(), "cores": os.cpu_count(), "kernel": platform.release(),
        "memory_gib": round(int(memory[1]) / 2**20) if memory else None, "system": system[1] if system else "?",
        "congestion": congestion.read_text().strip() if congestion.exists() else "?",
        "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
    }
