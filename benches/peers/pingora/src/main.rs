//! A proxy on Pingora with the routes of the comparison: bench.test to HTTP/1.1, grpc.test to HTTP/2 without TLS.
//!
//! Arguments: HTTP port, HTTPS port, upstream's port, gRPC upstream's port, threads, certificate, key.

use std::time::Duration;

use async_trait::async_trait;
use pingora::http::RequestHeader;
use pingora::listeners::tls::TlsSettings;
use pingora::prelude::*;
use pingora::protocols::ALPN;
use pingora::server::configuration::ServerConf;

struct Routes {
    web: String,
    grpc: String,
}

#[async_trait]
impl ProxyHttp for Routes {
    type CTX = ();
    fn new_ctx(&self) {}

    async fn upstream_peer(&self, session: &mut Session, _: &mut ()) -> Result<Box<HttpPeer>> {
        let head = session.req_header();
        let host = head.headers.get("host").and_then(|host| host.to_str().ok()).or(head.uri.host()).unwrap_or_default();
        let grpc = host.starts_with("grpc.test");
        let mut peer = HttpPeer::new(if grpc { &self.grpc } else { &self.web }, false, String::new());
        peer.options.idle_timeout = Some(Duration::from_secs(300));
        if grpc {
            peer.options.alpn = ALPN::H2;
        }
        Ok(Box::new(peer))
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        _: &mut (),
    ) -> Result<()> {
        if let Some(address) = session.client_addr().and_then(|address| address.as_inet()) {
            request.insert_header("x-forwarded-for", address.ip().to_string())?;
        }
        Ok(())
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [http, https, web, grpc, threads, cert, key] = arguments.as_slice() else {
        panic!("seven arguments are wanted: two ports, two upstream ports, threads, certificate, key")
    };
    let at = |port: &str| format!("127.0.0.1:{port}");
    let mut server = Server::new_with_opt_and_conf(
        None,
        ServerConf {
            threads: threads.parse().expect("a number of threads"),
            upstream_keepalive_pool_size: 1000,
            grace_period_seconds: Some(0),
            graceful_shutdown_timeout_seconds: Some(1),
            ..ServerConf::default()
        },
    );
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Routes { web: at(web), grpc: at(grpc) });
    service.add_tcp(&at(http));
    let mut tls = TlsSettings::intermediate(cert, key).expect("a certificate and its key");
    tls.enable_h2();
    service.add_tls_with_settings(&at(https), None, tls);
    server.add_service(service);
    server.run_forever();
}
