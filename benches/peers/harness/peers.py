"""The peers: how each is configured, started, changed, and asked for its version."""

import base64
import http.client
import json
import os
import re
import signal
import subprocess

from . import install
from .setup import GRPC, WEB


class Peer:
    """One proxy. `needs` names the binary; `base` is the first of its ports."""

    needs = None
    # Arguments that make it tell its version.
    version_arguments = ["--version"]
    # What it cannot do, by scenario, with the reason.
    cannot = {}

    def __init__(self, name, base, note=""):
        self.name, self.base, self.note = name, base, note

    def binary(self):
        return install.binary(self.needs or self.name)

    def environment(self, setup):
        return install.environment() if str(self.binary()).startswith(str(install.DEBIAN)) else dict(os.environ)

    def version(self):
        command = [str(self.binary()), *self.version_arguments]
        result = subprocess.run(command, capture_output=True, text=True, env=self.environment(None), timeout=20)
        found = re.search(r"\d+\.\d+(\.\d+)?[\w.+~-]*", result.stdout + result.stderr)
        return found[0] if found else "?"

    def configure(self, setup):
        """Writes its configuration."""
        raise NotImplementedError

    def command(self, setup):
        raise NotImplementedError

    def change(self, setup, process):
        """Makes the routes of the setup (which has one more) the ones in force, the way its users do."""
        raise NotImplementedError


class Nginx(Peer):
    version_arguments = ["-v"]

    def __init__(self, name, base, note="", template="nginx.conf", needs=None):
        super().__init__(name, base, note)
        self.template, self.needs = template, needs or name

    def configure(self, setup):
        # `http2 on` came with 1.25.1; before it `listen` said so.
        new = self.needs == "nginx-new"
        # An option of a listening socket is said once for all servers that share it.
        first = {"LISTEN": " reuseport backlog=4096" if self.template == "nginx-ingress.conf" else " backlog=4096"}
        rest = {"LISTEN": "", "HTTP2_LISTEN": "" if new else " http2"}
        hosts = [("_", "return 404"), (WEB, "proxy_pass http://web"), (GRPC, "grpc_pass grpc://grpc")]
        hosts += [(host, "proxy_pass http://web") for host in setup.hosts()]
        servers = [setup.render("nginx.server.conf", HOST=host, PASS=target, **(rest | (first if index == 0 else {})))
                   for index, (host, target) in enumerate(hosts)]
        setup.write("nginx.conf", setup.render(
            self.template, SERVERS="".join(servers), HTTP2_GLOBAL="http2 on;" if new else "",
            LOG=f"{setup.log} full" if setup.observed else "off"))

    def command(self, setup):
        return [self.binary(), "-p", setup.folder, "-e", setup.folder / "error.log", "-c", setup.folder / "nginx.conf"]

    def change(self, setup, process):
        self.configure(setup)
        process.send_signal(signal.SIGHUP)


class Haproxy(Peer):
    version_arguments = ["-v"]

    def configure(self, setup):
        seen = setup.observed
        setup.write("pair.pem", setup.cert.read_text() + setup.key.read_text())
        hosts = [(WEB, "web"), (GRPC, "grpc")] + [(host, "web") for host in setup.hosts()]
        setup.write("hosts.map", "".join(f"{host} {backend}\n" for host, backend in hosts))
        setup.write("haproxy.cfg", setup.render(
            "haproxy.cfg", LOG_GLOBAL="log stdout format raw local0" if seen else "",
            LOG_DEFAULTS="log global\n    option httplog" if seen else "",
            METRICS="http-request use-service prometheus-exporter if { path /metrics }" if seen else "http-request deny"))

    def command(self, setup):
        return [self.binary(), "-W", "-db", "-f", setup.folder / "haproxy.cfg"]

    def change(self, setup, process):
        self.configure(setup)
        process.send_signal(signal.SIGUSR2)


class Envoy(Peer):
    def configure(self, setup):
        hosts = [(WEB, "web"), (GRPC, "grpc")] + [(host, "web") for host in setup.hosts()]
        route = {"@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration", "name": "routes",
                 "virtual_hosts": [{"name": host, "domains": [host],
                                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": cluster, "timeout": "0s"}}]}
                                   for host, cluster in hosts]}
        setup.write("routes.json", json.dumps({"version_info": str(setup.routes), "resources": [route]}))
        log = ('access_log: [{name: envoy.access_loggers.file, typed_config: {"@type": type.googleapis.com/'
               f'envoy.extensions.access_loggers.file.v3.FileAccessLog, path: {setup.log}}}}}],')
        setup.write("envoy.yaml", setup.render("envoy.yaml", LOG=log if setup.observed else ""))

    def command(self, setup):
        return [self.binary(), "-c", setup.folder / "envoy.yaml", "--concurrency", setup.workers, "--log-level", "error",
                "--disable-hot-restart"]

    def change(self, setup, process):
        # It watches for the file that is moved into place.
        self.configure(setup)


class Go(Peer):
    """What Go's runtime takes: as many threads at once as workers."""

    def environment(self, setup):
        return dict(super().environment(setup), GOMAXPROCS=str(setup.workers if setup else 1))


class Traefik(Go):
    version_arguments = ["version"]

    def configure(self, setup):
        hosts = [("web", WEB), ("grpc", GRPC)] + [("web", host) for host in setup.hosts()]
        routers = {f"r{index}{kind}": {"rule": f"Host(`{host}`)", "service": service, "entryPoints": [entry], **tls}
                   for index, (service, host) in enumerate(hosts)
                   for kind, entry, tls in (("p", "web", {}), ("s", "websecure", {"tls": {}}))}
        values = setup.values()
        servers = {"web": f"http://127.0.0.1:{values['UPSTREAM']}", "grpc": f"h2c://127.0.0.1:{values['GRPC']}"}
        pair = {"certFile": str(setup.cert), "keyFile": str(setup.key)}
        setup.write("routes.yaml", json.dumps({
            "http": {"routers": routers, "services": {
                name: {"loadBalancer": {"servers": [{"url": url}]}} for name, url in servers.items()}},
            "tls": {"certificates": [pair], "stores": {"default": {"defaultCertificate": pair}}}}))
        log = f"accessLog: {{filePath: {setup.log}}}\nmetrics: {{prometheus: {{}}}}" if setup.observed else ""
        setup.write("traefik.yaml", setup.render("traefik.yaml", LOG=log))

    def command(self, setup):
        return [self.binary(), f"--configfile={setup.folder / 'traefik.yaml'}"]

    def change(self, setup, process):
        self.configure(setup)


class Caddy(Go):
    version_arguments = ["version"]

    def configure(self, setup):
        def route(host, upstream, **transport):
            # Its default keeps 32 connections to an upstream.
            kept = {"protocol": "http", "keep_alive": {"enabled": True, "max_idle_conns_per_host": 1000}, **transport}
            return {"match": [{"host": [host]}], "terminal": True, "handle": [{
                "handler": "reverse_proxy", "transport": kept, "upstreams": [{"dial": f"127.0.0.1:{upstream}"}]}]}

        values = setup.values()
        routes = [route(WEB, values["UPSTREAM"]), route(GRPC, values["GRPC"], versions=["h2c", "2"])]
        routes += [route(host, values["UPSTREAM"]) for host in setup.hosts()]
        log = f', "access": {{"include": ["http.log.access"], "writer": {{"output": "file", "filename": "{setup.log}", "roll": false}}}}'
        setup.write("caddy.json", setup.render(
            "caddy.json", ROUTES=json.dumps(routes), LOG=log if setup.observed else "",
            LOG_SERVER='"logs": {},' if setup.observed else "", METRICS='"metrics": {},' if setup.observed else ""))

    def command(self, setup):
        return [self.binary(), "run", "--config", setup.folder / "caddy.json"]

    def environment(self, setup):
        home = {"HOME": str(setup.folder), "XDG_CONFIG_HOME": str(setup.folder), "XDG_DATA_HOME": str(setup.folder)} if setup else {}
        return dict(super().environment(setup), **home)

    def change(self, setup, process):
        self.configure(setup)
        admin = http.client.HTTPConnection("127.0.0.1", setup.admin, timeout=60)
        admin.request("POST", "/load", (setup.folder / "caddy.json").read_bytes(), {"Content-Type": "application/json"})
        answer = admin.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"caddy answered {answer.status}: {answer.read()[:300]}")


class Portcullis(Peer):
    needs = "portcullis"
    # As in the other configurations: connections of unlimited requests, and bodies that stream.
    tuned = ('keep-alive: "300"\n  keep-alive-requests: "1000000000"\n  upstream-keepalive-requests: "1000000000"\n'
             '  proxy-request-buffering: "off"\n  proxy-body-size: "0"')

    def __init__(self, name, base, note="", defaults=False):
        super().__init__(name, base, note)
        self.defaults = defaults

    def configure(self, setup):
        settings = [] if self.defaults else [self.tuned]
        settings.append(f'access-log-path: "{setup.log}"' if setup.observed else 'disable-access-log: "true"')
        encoded = {f"{name}64": base64.b64encode(path.read_bytes()).decode()
                   for name, path in (("CERT", setup.cert), ("KEY", setup.key))}
        setup.write("manifests/base.yaml", setup.render("portcullis.yaml", SETTINGS="\n  ".join(settings), **encoded))
        # A file for each hundred, so that a change is one of a small file, as it is one of one object in a cluster.
        hosts = setup.hosts()
        for start in range(0, len(hosts), 100):
            texts = [setup.render("portcullis.route.yaml", NAME=host.split(".")[0], HOST=host)
                     for host in hosts[start:start + 100]]
            setup.write(f"manifests/routes-{start:05}.yaml", "".join(texts))

    def command(self, setup):
        return [self.binary(), "run", "--manifests", setup.folder / "manifests", "--http-address=127.0.0.1",
                "--https-address=127.0.0.1", "--healthz-host=127.0.0.1", "--http-port", setup.http, "--https-port", setup.https,
                "--healthz-port", setup.admin, f"--workers={setup.workers}", "--configmap=default/settings",
                "--default-ssl-certificate=default/pair", f"--enable-metrics={str(setup.observed).lower()}"]

    def change(self, setup, process):
        host = setup.hosts()[-1]
        text = setup.render("portcullis.route.yaml", NAME=host.split(".")[0], HOST=host)
        setup.write("manifests/one-more.yaml", text)


class Pingora(Peer):
    needs = "pingora"
    cannot = {"routes-10k": "its routes are the program's", "change-1k": "its routes are the program's",
              "change-10k": "its routes are the program's", "h1-64-observed": "its logs and metrics are the program's"}

    def configure(self, setup):
        pass

    def command(self, setup):
        values = setup.values()
        return [self.binary(), *(str(values[name]) for name in ("HTTP", "HTTPS", "UPSTREAM", "GRPC", "WORKERS", "CERT", "KEY"))]

    def version(self):
        lock = (install.paths.HERE / "pingora/Cargo.lock").read_text()
        return re.search(r'name = "pingora"\nversion = "([^"]+)"', lock)[1]


ALL = [
    Portcullis("portcullis", 18000),
    Portcullis("portcullis-defaults", 18010, "ingress-nginx's defaults, log off", defaults=True),
    Nginx("nginx", 18020, "Debian"),
    Nginx("nginx-new", 18030, "PyPI wheel: static, musl"),
    Nginx("nginx-ingress", 18040, "Debian, ingress-nginx's defaults, no Lua", "nginx-ingress.conf", "nginx"),
    Haproxy("haproxy", 18050, "Debian"),
    Haproxy("haproxy-new", 18060, "PyPI wheel"),
    Envoy("envoy", 18070, "PyPI wheel"),
    Traefik("traefik", 18080, "PyPI wheel"),
    Caddy("caddy", 18090, "PyPI wheel"),
    Pingora("pingora", 18100, "a proxy of sixty lines on the library"),
]
