//! What a request that uses no feature pays for features that other paths of its host use: processor time of the whole
//! proxy for a request, without any annotation and with thirty of them on another path.
//!
//! `cargo bench --bench features` measures in alternation and prints medians and their ratio; `-- --test` runs it once,
//! small. `docs/benchmarks.md` has the figures.

#![allow(clippy::print_stdout, reason = "the figures are what a bench is for")]

#[path = "../tests/kit/mod.rs"]
mod kit;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Context as _;
use kit::{Ingress, Manifests, Proxy, Upstream};

/// Annotations of the other path: one of each kind that a location can have.
const ELSEWHERE: [(&str, &str); 30] = [
    ("allowlist-source-range", "10.0.0.0/8,192.168.0.0/16"),
    ("denylist-source-range", "203.0.113.0/24"),
    ("auth-type", "basic"),
    ("auth-secret", "users"),
    ("auth-realm", "Restricted"),
    ("satisfy", "any"),
    ("enable-cors", "true"),
    ("cors-allow-origin", "https://*.example.com"),
    ("limit-rps", "100"),
    ("limit-rpm", "1000"),
    ("limit-connections", "20"),
    ("limit-rate", "100"),
    ("proxy-buffering", "on"),
    ("proxy-body-size", "8m"),
    ("proxy-read-timeout", "3600"),
    ("proxy-send-timeout", "3600"),
    ("proxy-connect-timeout", "10"),
    ("proxy-next-upstream", "error timeout http_503"),
    ("proxy-next-upstream-tries", "2"),
    ("proxy-request-buffering", "off"),
    ("proxy-cookie-path", "/ /app/"),
    ("proxy-cookie-domain", "inner.example.com example.com"),
    ("proxy-redirect-from", "http://inner.example.com/"),
    ("proxy-redirect-to", "/"),
    ("upstream-vhost", "inner.example.com"),
    ("custom-http-errors", "404,503"),
    ("mirror-target", "http://127.0.0.1:9/$request_uri"),
    ("auth-url", "http://127.0.0.1:9/auth"),
    ("auth-response-headers", "X-User"),
    ("enable-opentelemetry", "false"),
];

struct Side {
    proxy: Proxy,
    client: TcpStream,
    _manifests: Manifests,
}

impl Side {
    fn start(upstream: &Upstream, elsewhere: &[(&str, &str)]) -> anyhow::Result<Self> {
        let manifests = Manifests::new();
        let settings = [("disable-access-log", "true"), ("keep-alive-requests", "1000000000")];
        manifests.upstream(upstream).config_map("ingress", "settings", &settings);
        manifests.secret("users", &[("auth", "me:{PLAIN}secret")]);
        manifests.ingress(&Ingress::new("plain").rule("a.test", "/plain", upstream.name()));
        let other = Ingress::new("other").rule("a.test", "/other", upstream.name());
        manifests.ingress(&elsewhere.iter().fold(other, |other, (key, value)| other.nginx(key, value)));
        let proxy = Proxy::start(&manifests, &["--configmap=ingress/settings", "--workers=1"]);
        let client = TcpStream::connect(proxy.http())?;
        client.set_nodelay(true)?;
        Ok(Self { proxy, client, _manifests: manifests })
    }

    /// Nanoseconds of a processor for each of so many requests.
    fn round(&mut self, requests: u32) -> anyhow::Result<f64> {
        let before = cpu(self.proxy.pid())?;
        let mut answer = vec![0; 16 * 1024];
        for _ in 0..requests {
            self.client.write_all(b"GET /plain HTTP/1.1\r\nHost: a.test\r\nx-test-body: ok\r\n\r\n")?;
            let mut length = 0;
            // The upstream's body is two bytes after the head.
            while !answer.get(..length).unwrap_or_default().ends_with(b"\r\n\r\nok") {
                let read = self.client.read(answer.get_mut(length..).unwrap_or_default())?;
                anyhow::ensure!(read > 0, "{}", String::from_utf8_lossy(answer.get(..length).unwrap_or_default()));
                length += read;
            }
            anyhow::ensure!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        }
        Ok((cpu(self.proxy.pid())? - before).as_secs_f64() * 1e9 / f64::from(requests))
    }
}

/// Of all threads of a process, by the scheduler's own clock.
fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let mut all = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        all += text.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).context("schedstat")?;
    }
    Ok(Duration::from_nanos(all))
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

fn main() -> anyhow::Result<()> {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let is_test = std::env::args().any(|argument| argument == "--test");
    let (rounds, requests) = if is_bench && !is_test { (11, 2_000) } else { (3, 100) };
    let upstream = Upstream::start("one");
    let mut sides = [Side::start(&upstream, &[])?, Side::start(&upstream, &ELSEWHERE)?];
    let mut samples = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (side, samples) in sides.iter_mut().zip(&mut samples) {
            samples.push(side.round(requests)?);
        }
    }
    let [none, thirty] = samples.map(median);
    println!(
        "CPU for a request: {none:.0} ns with no annotation, {thirty:.0} ns with {} on another path of the host",
        ELSEWHERE.len()
    );
    println!("ratio {:.3}", thirty / none);
    Ok(())
}
