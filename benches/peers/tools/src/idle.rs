//! Connections that asked once and then rest: says `{"connections":N}` once all are open, and holds them until its
//! standard input ends.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;

use crate::Options;
use crate::client;

pub async fn run(options: Options) -> anyhow::Result<()> {
    let (to, host) = (options.address("to")?, options.text("host")?);
    let request = client::get(host, options.text("path")?, "keep-alive");
    let config = if options.flag("tls") { Some(client::config(false)?) } else { None };
    let mut held = Vec::new();
    let mut buffer = Vec::with_capacity(4096);
    for index in 0..options.number("connections")? {
        let mut stream = client::connect(to, host, config.as_ref()).await?;
        client::exchange(&mut *stream, &request, &mut buffer).await?;
        held.push(stream);
        // A breath now and then: no listener's queue is what this is about.
        if index % 64 == 63 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    println!(r#"{{"connections":{}}}"#, held.len());
    let mut rest = [0; 64];
    while tokio::io::stdin().read(&mut rest).await? > 0 {}
    Ok(())
}
