"""What was measured, in one JSON file that runs add to. A round is one pass over the peers of a scenario; only values of one
round are divided by each other, because the machine's speed changes between rounds."""

import json
import statistics

from . import paths

# Fields of a record that tables show, and that have a median.
VALUES = ["cpu_us", "user_us", "system_us", "rate", "p50", "p99", "p999", "max", "pss", "rss", "errors", "unanswered", "upstream_us",
          "other", "utilisation", "per_connection", "before", "during", "after", "effective_ms", "change_cpu_ms"]


class Results:
    def __init__(self, path=paths.RESULTS):
        self.path = path
        self.data = json.loads(path.read_text()) if path.exists() else {"machine": {}, "peers": {}, "runs": []}

    def save(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self.path.with_suffix(".new")
        scratch.write_text(json.dumps(self.data, indent=1))
        scratch.rename(self.path)

    def add(self, record):
        self.data["runs"].append(record)
        self.save()

    def drop(self, scenarios):
        self.data["runs"] = [run for run in self.data["runs"] if run["scenario"] not in scenarios]

    def rounds(self, scenario, peers):
        """How many rounds have all of these peers."""
        return sum(set(peers) <= set(found) for found in self.by_round(scenario).values())

    def next_round(self, scenario):
        return max((run["round"] for run in self.data["runs"] if run["scenario"] == scenario), default=-1) + 1

    def by_round(self, scenario):
        """Records by round and peer."""
        found = {}
        for run in self.data["runs"]:
            if run["scenario"] == scenario and "failed" not in run:
                found.setdefault(run["round"], {})[run["peer"]] = run
        return found

    def peers(self, scenario):
        return list(dict.fromkeys(run["peer"] for run in self.data["runs"] if run["scenario"] == scenario))

    def failures(self, scenario):
        return {run["peer"]: run["failed"] for run in self.data["runs"] if run["scenario"] == scenario and "failed" in run}

    def summary(self, scenario):
        """By peer: medians and minima of what was measured, and the number of rounds."""
        found = {}
        for peer in self.peers(scenario):
            runs = [run[peer] for run in self.by_round(scenario).values() if peer in run]
            if not runs:
                continue
            row = {"rounds": len(runs), "syscalls": next((run["syscalls"] for run in runs if run.get("syscalls")), None)}
            for name in VALUES:
                values = [run[name] for run in runs if run.get(name) is not None]
                if values:
                    row[name], row[f"{name}_min"], row[f"{name}_max"] = statistics.median(values), min(values), max(values)
            row["missed"] = sum("effective_ms" in run and run["effective_ms"] is None for run in runs)
            found[peer] = row
        return found

    def ratio(self, scenario, name, peer, to):
        """The median over rounds of one peer's value divided by another's in the same round; None without a common round."""
        pairs = [(round_[peer].get(name), round_[to].get(name))
                 for round_ in self.by_round(scenario).values() if peer in round_ and to in round_]
        ratios = [a / b for a, b in pairs if a is not None and b]
        return statistics.median(ratios) if ratios else None
