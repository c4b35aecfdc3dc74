"""What Portcullis aims at, as ratios to a peer in one round, or as absolute values of its own."""

from .report_text import number, table

# Scenario, value, peer it is divided by (None: absolute), goal.
GOALS = [
    ("h1-64", "cpu_us", "nginx", 0.95),
    ("h1-64", "cpu_us", "haproxy", 0.95),
    ("h1-64", "cpu_us", "envoy", 0.45),
    ("h1-64", "cpu_us", "traefik", 0.27),
    ("h1-64", "calls", None, 4.1),
    ("h1-64-observed", "cpu_us", "nginx", 0.85),
    ("h1-64-observed", "cpu_us", "envoy", 0.45),
    ("h1-64-observed", "cpu_us", "traefik", 0.20),
    ("h1-100k", "cpu_us", "nginx", 0.98),
    ("h1-100k", "cpu_us", "nginx-ingress", 0.20),
    ("tls-64", "cpu_us", "nginx", 0.85),
    ("tls-64", "cpu_us", "haproxy", 0.85),
    ("tls-100k", "cpu_us", "nginx", 0.62),
    ("h2-64", "cpu_us", "nginx", 0.72),
    ("h2-64", "cpu_us", "haproxy", 1.02),
    ("handshake", "cpu_us", "nginx", 0.70),
    ("handshake", "cpu_us", "envoy", 0.78),
    ("post-64k", "cpu_us", "nginx", 0.42),
    ("post-64k", "cpu_us", "nginx-ingress", 0.20),
    ("routes-10k", "cpu_us", "routes-1", 1.05),
    ("routes-10k", "pss", None, 60 * 2**20),
    ("change-10k", "effective_ms", None, 50),
    ("change-10k", "errors", None, 0),
    ("idle-plain", "per_connection", None, 4_096),
    ("idle-tls", "per_connection", None, 14_336),
]
NAMES = {"cpu_us": "CPU", "calls": "system calls a request", "pss": "PSS", "effective_ms": "ms until in force",
         "errors": "errors", "per_connection": "bytes a connection"}


def value(results, scenario, name, to):
    """What was measured: a ratio in rounds, or a median; and the same of the best rounds."""
    own = results.summary(scenario).get("portcullis")
    if not own:
        return None, None
    if name == "calls":
        return (sum(own["syscalls"].values()), None) if own["syscalls"] else (None, None)
    if to is None:
        return own.get(name), own.get(f"{name}_min")
    if to == "routes-1":
        # Another scenario, so other rounds: medians are divided.
        other = results.summary(to).get("portcullis")
    else:
        other = results.summary(scenario).get(to)
    if not other or not other.get(name):
        return None, None
    least = own[f"{name}_min"] / other[f"{name}_min"]
    ratio = own[name] / other[name] if to == "routes-1" else results.ratio(scenario, name, "portcullis", to)
    return ratio, least


def lines(results):
    """The table of goals that there are measurements for."""
    rows = []
    for scenario, name, to, goal in GOALS:
        median, least = value(results, scenario, name, to)
        if median is None:
            continue
        scale = 2**20 if name == "pss" else 1
        what = f"{NAMES[name]} against {to}" if to else NAMES[name] + (", MiB" if name == "pss" else "")
        rows.append([f"`{scenario}`", what, number(goal / scale), number(median / scale),
                     number(least / scale if least is not None else None), "met" if median <= goal else "**not met**"])
    return table(["", "", "at most", "median", "of the best rounds", ""], rows) if rows else []
