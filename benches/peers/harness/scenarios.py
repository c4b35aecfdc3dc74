"""The scenarios, one row each. A row says what the peer has to serve and what is asked; nothing here is a peer's."""

import os
import resource
from dataclasses import dataclass, field
from typing import Callable

from . import load
from .setup import Setup, route_host


@dataclass(frozen=True)
class Scenario:
    """`load(setup, pin, seconds, warm)` asks for some seconds; `warm` is what the warm-up counted. `per`: what one answer
    counts as, in `unit`s."""

    name: str
    title: str
    load: Callable | None = None
    kind: str = "load"
    unit: str = "request"
    per: int = 1
    serve: dict = field(default_factory=dict)
    # Proxy, load and upstream share all cores.
    shared: bool = False
    warm: Callable | None = None
    # For other kinds than "load".
    options: dict = field(default_factory=dict)


def wrk(**options):
    return lambda setup, pin, seconds, warm: load.wrk(setup, pin, seconds, **options)


def h2(**options):
    return lambda setup, pin, seconds, warm: load.h2load(setup, pin, seconds, **options)


def own(command, **options):
    return lambda setup, pin, seconds, warm: load.own(setup, pin, seconds, command, **options)


def half(setup, pin, seconds, warm):
    """Half of what the warm-up's closed loop reached, so each peer has its own rate: about half of its core is busy."""
    rate = max(1, round(warm["requests"] / warm["seconds"] / 2))
    return load.own(setup, pin, seconds, "open", rate=rate, connections=128)


def many_hosts(setup, pin, seconds, warm):
    """4,000 requests that were made before, in an order without a pattern; with one route, all are for its host."""
    names = setup.folder / "wanted-hosts"
    if not names.exists():
        # A fixed stride that has no common factor with the number of routes visits them all.
        hosts = [route_host(index * 7919 % setup.routes) for index in range(4000)]
        names.write_text("".join(f"{host}\n" for host in hosts))
    return load.wrk(setup, pin, seconds, hosts=names)


def closed(setup, pin, seconds, warm):
    return load.wrk(setup, pin, seconds)


def idle_connections():
    """A descriptor for each side of a connection, and some to spare: HAProxy counts two for each connection."""
    return min(10_000, (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 2000) // 2)


ALL = [
    Scenario("h1-64", "HTTP/1.1, 64 B", wrk()),
    Scenario("h1-1k", "HTTP/1.1, 1 KiB", wrk(path="/1k")),
    Scenario("h1-100k", "HTTP/1.1, 100 KiB", wrk(path="/100k")),
    Scenario("post-64k", "HTTP/1.1, POST of 64 KiB", wrk(post=65536)),
    Scenario("tls-64", "TLS 1.3, HTTP/1.1, 64 B", wrk(tls=True)),
    Scenario("tls-100k", "TLS 1.3, HTTP/1.1, 100 KiB", wrk(tls=True, path="/100k")),
    Scenario("h2-64", "TLS 1.3, HTTP/2, 64 B, 4 connections of 25 streams", h2()),
    Scenario("grpc-unary", "gRPC, one message each way", h2(host=load.GRPC_HOST, path="/bench.Echo/Unary", grpc=69)),
    Scenario("grpc-stream", "gRPC, an answer of 100 messages", h2(host=load.GRPC_HOST, path="/bench.Echo/Stream", grpc=6900),
             unit="message", per=100),
    Scenario("handshake", "TLS 1.3, a full handshake and one request", own("handshake", connections=16), unit="handshake"),
    Scenario("resumption", "TLS 1.3, a resumed session and one request", own("handshake", connections=16, resume=1),
             unit="handshake"),
    Scenario("websocket", "WebSocket, echo of 64 B", own("websocket", path="/ws", size=64), unit="message"),
    Scenario("routes-1", "One route among two, by 4,000 prepared requests", many_hosts, serve={"routes": 1}),
    Scenario("routes-10k", "10,000 routes, by 4,000 prepared requests", many_hosts, serve={"routes": 10_000}),
    Scenario("open-half", "Open loop at half of each peer's closed-loop rate", half, warm=closed),
    Scenario("open-5k", "Open loop, 5,000 requests a second", own("open", rate=5000, connections=128)),
    Scenario("h1-64-observed", "HTTP/1.1, 64 B, with access log and metrics", wrk(), serve={"observed": True}),
    Scenario("two-cores", "Two workers on two shared cores, 64 connections", wrk(), serve={"workers": 2}, shared=True),
    Scenario("two-cores-6", "Two workers on two shared cores, 6 connections", wrk(connections=6), serve={"workers": 2}, shared=True),
    Scenario("idle-plain", "Idle connections", kind="idle"),
    Scenario("idle-tls", "Idle TLS connections", kind="idle", options={"tls": True}),
    Scenario("change-1k", "A route is added to 1,000 under load", kind="change", serve={"routes": 1000}, options={"seconds": 8}),
    Scenario("change-10k", "A route is added to 10,000 under load", kind="change", serve={"routes": 10_000}, options={"seconds": 24}),
]


def cores(scenario, proxy, others):
    """Where the proxy runs, and where load and upstream do."""
    everywhere = f"0-{(os.cpu_count() or 1) - 1}"
    return (everywhere, everywhere) if scenario.shared else (proxy, others)


def setup_for(scenario, peer, proxy_cores):
    return Setup(peer.name, peer.base, cores=proxy_cores, **scenario.serve)
