//! What the comparison needs and no package has: a small fast upstream, and clients for open-loop load, handshakes,
//! WebSockets and idle connections. Each client prints one line of JSON. One thread each; the caller pins it.

mod client;
mod grpc;
mod handshake;
mod idle;
mod open;
mod outcome;
mod upstream;
mod websocket;

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};

const USAGE: &str = "usage: peers-tools COMMAND --NAME=VALUE …
  upstream  --address --grpc             serves until its standard input ends
  open      --to --host --path --connections --seconds --rate [--tls=1]
  handshake --to --host --path --connections --seconds [--resume=1]
  websocket --to --host --path --connections --seconds --size
  idle      --to --host --path --connections [--tls=1]   holds them until its standard input ends";

/// The `--name=value` arguments of a command.
pub struct Options(HashMap<String, String>);

impl Options {
    fn parse(arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let pair = |argument: String| {
            let pair = argument.strip_prefix("--").and_then(|rest| rest.split_once('='));
            pair.map(|(name, value)| (name.to_owned(), value.to_owned()))
                .with_context(|| format!("not --name=value: {argument}"))
        };
        arguments.map(pair).collect::<anyhow::Result<_>>().map(Self)
    }

    pub fn text(&self, name: &str) -> anyhow::Result<&str> {
        self.0.get(name).map(String::as_str).with_context(|| format!("--{name} is missing"))
    }

    pub fn number(&self, name: &str) -> anyhow::Result<usize> {
        self.text(name)?.parse().with_context(|| format!("--{name} is no number"))
    }

    pub fn address(&self, name: &str) -> anyhow::Result<SocketAddr> {
        self.text(name)?.parse().with_context(|| format!("--{name} is no address"))
    }

    pub fn seconds(&self) -> anyhow::Result<Duration> {
        Ok(Duration::from_secs_f64(self.text("seconds")?.parse().context("--seconds is no number")?))
    }

    pub fn flag(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

fn on_this_thread(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().context(USAGE)?;
    let options = Options::parse(arguments)?;
    match command.as_str() {
        "upstream" => on_this_thread(upstream::serve(options)),
        "open" => on_this_thread(open::run(options)),
        "handshake" => on_this_thread(handshake::run(options)),
        "websocket" => on_this_thread(websocket::run(options)),
        "idle" => on_this_thread(idle::run(options)),
        other => bail!("no command {other}\n{USAGE}"),
    }
}
