//! A connection for each request: TCP, TLS 1.3, one GET, close. `--resume=1` resumes the session of the one before.

use std::rc::Rc;
use std::time::Instant;

use anyhow::ensure;
use rustls::HandshakeKind;
use tokio::task::spawn_local;

use crate::Options;
use crate::client;
use crate::outcome::Outcome;

pub async fn run(options: Options) -> anyhow::Result<()> {
    let options = Rc::new(options);
    let started = Instant::now();
    let mut clients = Vec::new();
    for _ in 0..options.number("connections")? {
        clients.push(spawn_local(one(options.clone(), started)));
    }
    let mut all = Outcome::default();
    for client in clients {
        all.absorb(client.await??);
    }
    all.print(started);
    Ok(())
}

/// One connection after the other. Each client has sessions of its own, as a browser has.
async fn one(options: Rc<Options>, started: Instant) -> anyhow::Result<Outcome> {
    let (to, host, resume) = (options.address("to")?, options.text("host")?, options.flag("resume"));
    let (request, limit) = (client::get(host, options.text("path")?, "close"), options.seconds()?);
    let config = client::config(resume)?;
    let mut outcome = Outcome::default();
    let mut buffer = Vec::with_capacity(4096);
    while started.elapsed() < limit {
        let begun = Instant::now();
        let done = async {
            let mut stream = client::tls(to, host, &config).await?;
            let kind = stream.get_ref().1.handshake_kind();
            client::exchange(&mut stream, &request, &mut buffer).await?;
            anyhow::Ok(kind)
        };
        match done.await {
            Ok(kind) => {
                outcome.took(begun.elapsed());
                outcome.resumed += u64::from(kind == Some(HandshakeKind::Resumed));
            }
            Err(error) => {
                outcome.errors += 1;
                ensure!(outcome.errors < 1000, "too many errors, the last one: {error:#}");
            }
        }
    }
    Ok(outcome)
}
