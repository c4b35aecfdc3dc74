"""One setting of a peer: ports, folders, routes, workers, log; and the rendering of templates with it."""

import re
import shutil
import subprocess

from . import paths

WEB = "bench.test"
GRPC = "grpc.test"
UPSTREAM = 19000
GRPC_UPSTREAM = 19001


def route_host(index):
    return f"r{index:05}.bench.test"


def certificate():
    """A P-256 key and a certificate for all hosts of the comparison; made once."""
    folder = paths.CACHE / "certificate"
    cert, key = folder / "cert.pem", folder / "key.pem"
    if not (cert.exists() and key.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        names = "subjectAltName=DNS:bench.test,DNS:*.bench.test,DNS:grpc.test,IP:127.0.0.1"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                   "-days", "3650", "-subj", "/CN=bench.test", "-addext", names, "-keyout", key, "-out", cert]
        subprocess.run([str(part) for part in command], check=True, capture_output=True)
    return cert, key


class Setup:
    """Where a peer listens and what it is to serve. `routes` hosts of one path each come on top of the two hosts."""

    def __init__(self, peer, base, *, workers=1, routes=0, observed=False, cores="0"):
        self.folder = paths.RUNS / peer
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.http, self.https, self.admin = base, base + 1, base + 2
        self.workers, self.routes, self.observed, self.cores = workers, routes, observed, cores
        self.cert, self.key = certificate()
        self.log = self.folder / "access.log"

    def hosts(self):
        """The hosts of the routes beyond the two that are always there."""
        return [route_host(index) for index in range(self.routes)]

    def values(self):
        return {
            "DIR": self.folder, "HTTP": self.http, "HTTPS": self.https, "ADMIN": self.admin, "UPSTREAM": UPSTREAM,
            "GRPC": GRPC_UPSTREAM, "WORKERS": self.workers, "CERT": self.cert, "KEY": self.key,
        }

    def render(self, template, **more):
        """A template of configs/ with its @@NAMES@@ filled in; a name without a value is an error."""
        values = self.values() | more
        text = (paths.CONFIGS / template).read_text()
        return re.sub(r"@@([A-Z0-9_]+)@@", lambda found: str(values[found[1]]), text)

    def write(self, name, text):
        """Writes a file of the peer at once, as whoever watches it must see it."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{path.name}.new")
        scratch.write_text(text)
        scratch.rename(path)
        return path
