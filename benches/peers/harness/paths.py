"""Where things are. Everything that is made lies below the target directory; docs/ is written on request alone."""

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
CACHE = TARGET / "peers"
CONFIGS = HERE / "configs"
SCRIPTS = HERE / "load"
RESULTS = CACHE / "results.json"
# Logs, maps and sockets of what runs now; one folder a peer.
RUNS = CACHE / "runs"
