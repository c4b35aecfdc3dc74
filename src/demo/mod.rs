//! The demo: a few backends on loopback and the manifests in `config/demo`, so that one command shows the proxy at
//! work without a cluster. Nothing else in the package depends on it.

pub mod backend;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::net::TcpListener;

use crate::controller::run::Addresses;

/// The manifests, compiled in, so that the binary shows them anywhere.
const MANIFESTS: [(&str, &str); 10] = [
    ("00-class.yaml", include_str!("../../config/demo/00-class.yaml")),
    ("10-backends.yaml", include_str!("../../config/demo/10-backends.yaml")),
    ("20-shop.yaml", include_str!("../../config/demo/20-shop.yaml")),
    ("30-blog.yaml", include_str!("../../config/demo/30-blog.yaml")),
    ("40-api.yaml", include_str!("../../config/demo/40-api.yaml")),
    ("50-search.yaml", include_str!("../../config/demo/50-search.yaml")),
    ("60-apps.yaml", include_str!("../../config/demo/60-apps.yaml")),
    ("70-canary.yaml", include_str!("../../config/demo/70-canary.yaml")),
    ("80-admin.yaml", include_str!("../../config/demo/80-admin.yaml")),
    ("90-web.yaml", include_str!("../../config/demo/90-web.yaml")),
];

/// The backends that the manifests name.
const BACKENDS: [(&str, u16); 3] = [("shop", 18081), ("blog", 18082), ("api", 18083)];

/// The directory to serve: the one of the source tree when the demo runs in it, so that a change to a file there is
/// seen at once; else a copy in a temporary directory.
pub fn manifests() -> io::Result<PathBuf> {
    let tree = Path::new("config/demo");
    if tree.join("00-class.yaml").is_file() {
        return Ok(tree.to_owned());
    }
    let copy = std::env::temp_dir().join(format!("portcullis-demo-{}", std::process::id()));
    std::fs::create_dir_all(&copy)?;
    for (name, text) in MANIFESTS {
        std::fs::write(copy.join(name), text)?;
    }
    Ok(copy)
}

/// Starts the backends on a thread of their own. Errors name the address that is taken.
pub fn start_backends() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut listeners = Vec::new();
    for (name, port) in BACKENDS {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let listener = runtime.block_on(TcpListener::bind(address)).map_err(|error| {
            io::Error::new(error.kind(), format!("the demo's backend {name} needs {address}: {error}"))
        })?;
        listeners.push((name, listener));
    }
    std::thread::Builder::new().name("demo-backends".into()).spawn(move || {
        runtime.block_on(async {
            for (name, listener) in listeners {
                tokio::spawn(backend::serve(name, listener));
            }
            std::future::pending::<()>().await;
        });
    })?;
    Ok(())
}

/// What to try, with the ports that are really open.
pub fn invitation(addresses: &Addresses, manifests: &Path) -> String {
    let port = |list: &[SocketAddr]| list.first().map_or(0, SocketAddr::port);
    let (http, https, health) =
        (port(&addresses.http), port(&addresses.https), format!("localhost:{}", port(&addresses.health)));
    let plain = |host: &str, path: &str| format!("curl -i http://{host}.demo.localhost:{http}{path}");
    let tls = |host: &str, path: &str| format!("curl -ik https://{host}.demo.localhost:{https}{path}");
    let rows = [
        (plain("api", "/v1/orders"), "a prefix path"),
        (format!("{} -H 'X-Canary: always'", plain("api", "/v1/orders")), "a canary, for those who ask for it"),
        (plain("api", "/v1/status"), "an exact path, of another Service"),
        (plain("blog", "/posts/2026/hello"), "rewrite-target: the backend sees /2026/hello"),
        (plain("search", "/ITEMS/42"), "a regex, case-insensitive as in ingress-nginx"),
        (plain("shop", "/basket"), "ssl-redirect: 308 to https"),
        (tls("shop", "/basket"), "TLS, HTTP/2, HSTS"),
        (tls("shop", "/"), "app-root"),
        (
            format!("{} --data-binary @/bin/sh", plain("shop", "/basket")),
            "over proxy-body-size: 413, before the redirect",
        ),
        (plain("any.apps", "/"), "a wildcard host, forced to https"),
        (plain("admin", "/"), "basic authentication: 401"),
        (format!("{} --user demo:demo", plain("admin", "/")), "with the password; more than two a second end in 503"),
        (
            format!("{} -H 'Origin: https://app.example.com'", plain("web", "/")),
            "CORS, and a cookie that keeps the backend",
        ),
        (plain("www.web", "/x"), "from-to-www-redirect: 308 to the bare name"),
        (plain("web", "/old"), "permanent-redirect: 301"),
        (plain("nobody", "/"), "an unknown host: 404"),
        (format!("curl -s http://{health}/debug/table"), "the routing table"),
        (format!("curl -s http://{health}/metrics | grep _requests"), "its counters"),
    ];
    let mut text =
        format!("\nPortcullis serves {} on ports {http} and {https}. In another terminal:\n\n", manifests.display());
    for (command, what) in rows {
        text.push_str(&format!("  # {what}\n  {command}\n"));
    }
    text.push_str("\nChange one of the files and ask again: no reload, no dropped connection. Ctrl-C ends the demo.\n");
    text
}
