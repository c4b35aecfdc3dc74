//! Lines byte for byte, and an output that is stuck.

use super::*;
use crate::base::clock::ClockText;
use http::{Method, Version};
use prometheus::IntCounter;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, UNIX_EPOCH};

fn clock() -> ClockText {
    ClockText::at(UNIX_EPOCH + Duration::from_millis(1_760_104_536_123))
}

fn attempt(addr: &str, length: Option<u64>, millis: u64, status: Option<u16>) -> Attempt {
    let response_time = Duration::from_millis(millis);
    Attempt { addr: addr.parse().unwrap(), response_length: length, response_time, status }
}

/// A request without anything that may be absent.
fn bare(time: &ClockText) -> Record<'_> {
    Record {
        remote_addr: "192.0.2.7".parse().unwrap(),
        remote_port: 4711,
        remote_user: None,
        time,
        request: None,
        uri: b"",
        args: None,
        host: "_",
        scheme: "http",
        status: 400,
        body_bytes_sent: 150,
        bytes_sent: 300,
        referer: None,
        user_agent: None,
        x_forwarded_for: None,
        request_length: 0,
        request_time: Duration::ZERO,
        upstream_name: None,
        alternative_upstream_name: Some(""),
        attempts: &[],
        req_id: "3a1f",
        namespace: None,
        ingress: None,
        service: None,
        service_port: None,
        location_path: None,
    }
}

fn full<'a>(time: &'a ClockText, attempts: &'a [Attempt]) -> Record<'a> {
    Record {
        remote_user: Some(b"ann"),
        request: Some(RequestLine { method: &Method::GET, target: b"/a%20b?x=\"1\"", version: Version::HTTP_2 }),
        uri: b"/a b",
        args: Some(b"x=\"1\""),
        host: "shop.example",
        scheme: "https",
        status: 200,
        referer: Some(b"https://ref.example/\\"),
        user_agent: Some(b"curl/8 \xc3\xa9\x01\xff"),
        x_forwarded_for: Some(b"198.51.100.1, 192.0.2.7"),
        request_length: 412,
        request_time: Duration::from_micros(5_900),
        upstream_name: Some("shop-web-80"),
        alternative_upstream_name: Some("shop-next-80"),
        attempts,
        namespace: Some("shop"),
        ingress: Some("web"),
        service: Some("web"),
        service_port: Some("80"),
        location_path: Some("/"),
        ..bare(time)
    }
}

fn check(format: Format, record: &Record<'_>, expected: &str) {
    let mut out = Vec::new();
    format.write(record, &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn upstreaminfo_lines() {
    let time = clock();
    check(
        Format::Upstreaminfo,
        &bare(&time),
        r#"192.0.2.7 - - [10/Oct/2025:13:55:36 +0000] "-" 400 150 "-" "-" 0 0.000 [-] [] - - - - 3a1f"#,
    );
    let once = [attempt("10.0.0.2:80", Some(12), 4, Some(200))];
    check(
        Format::Upstreaminfo,
        &full(&time, &once),
        concat!(
            r#"192.0.2.7 - ann [10/Oct/2025:13:55:36 +0000] "GET /a%20b?x=\x221\x22 HTTP/2.0" 200 150 "#,
            r#""https://ref.example/\x5C" "curl/8 \xC3\xA9\x01\xFF" 412 0.005 [shop-web-80] [shop-next-80] "#,
            r#"10.0.0.2:80 12 0.004 200 3a1f"#
        ),
    );
    let retried = [attempt("10.0.0.1:80", None, 1, Some(502)), attempt("[2001:db8::2]:80", Some(12), 1004, None)];
    let record = Record { alternative_upstream_name: Some(""), ..full(&time, &retried) };
    let mut out = Vec::new();
    Format::Upstreaminfo.write(&record, &mut out);
    let line = String::from_utf8(out).unwrap();
    let end = "[shop-web-80] [] 10.0.0.1:80, [2001:db8::2]:80 0, 12 0.001, 1.004 502, - 3a1f";
    assert!(line.ends_with(end), "{line}");
}

#[test]
fn json_lines() {
    let time = clock();
    let retried = [attempt("10.0.0.1:80", None, 1, Some(502)), attempt("10.0.0.2:80", Some(12), 4, Some(200))];
    check(
        Format::Json,
        &full(&time, &retried),
        concat!(
            r#"{"time":"2025-10-10T13:55:36+00:00","remote_addr":"192.0.2.7","#,
            r#""x_forwarded_for":"198.51.100.1, 192.0.2.7","request_id":"3a1f","remote_user":"ann","#,
            r#""bytes_sent":300,"body_bytes_sent":150,"request_time":0.005,"status":200,"vhost":"shop.example","#,
            r#""request_proto":"HTTP/2.0","scheme":"https","path":"/a b","request_query":"x=\"1\"","#,
            r#""request_length":412,"duration":0.005,"method":"GET","http_referrer":"https://ref.example/\\","#,
            "\"http_user_agent\":\"curl/8 é\\u0001\u{fffd}\",",
            r#""proxy_upstream_name":"shop-web-80","proxy_alternative_upstream_name":"shop-next-80","#,
            r#""upstream_addr":"10.0.0.1:80, 10.0.0.2:80","upstream_response_length":"0, 12","#,
            r#""upstream_response_time":"0.001, 0.004","upstream_status":"502, 200","namespace":"shop","#,
            r#""ingress_name":"web","service_name":"web","service_port":"80"}"#
        ),
    );
    let mut out = Vec::new();
    Format::Json.write(&bare(&time), &mut out);
    let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(
        (&value["remote_user"], &value["upstream_addr"], &value["method"]),
        (&"".into(), &"".into(), &"".into())
    );
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reports each write, then waits until it is let go, and fails when told to.
struct Gate(mpsc::Sender<usize>, mpsc::Receiver<io::Result<()>>);

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes.len()).unwrap();
        self.1.recv().unwrap()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn counter() -> IntCounter {
    IntCounter::new("dropped", "help").unwrap()
}

#[test]
fn lines_of_all_workers_arrive_before_close_returns() {
    let (output, dropped, time) = (Shared::default(), counter(), clock());
    let log = AccessLog::start(Box::new(output.clone()), dropped.clone()).unwrap();
    let workers = [log.ends().worker(), log.ends().worker()];
    for _ in 0..3000 {
        workers.iter().for_each(|worker| worker.log(&Format::Upstreaminfo, &bare(&time)));
    }
    workers.iter().for_each(WorkerLog::flush);
    assert!(log.close());
    assert_eq!(output.0.lock().unwrap().iter().filter(|byte| **byte == b'\n').count(), 6000);
    assert_eq!(dropped.get(), 0);

    workers[0].log(&Format::Upstreaminfo, &bare(&time));
    workers[0].flush();
    assert_eq!(dropped.get(), 1);
}

#[test]
fn a_full_queue_and_a_failed_write_drop_lines() {
    let (wrote, writes) = mpsc::channel();
    let (go, gate) = mpsc::channel();
    let (dropped, time) = (counter(), clock());
    let log = AccessLog::with_queue(Box::new(Gate(wrote, gate)), dropped.clone(), 1).unwrap();
    let worker = log.ends().worker();
    let hand_on = |lines| {
        (0..lines).for_each(|_| worker.log(&Format::Upstreaminfo, &bare(&time)));
        worker.flush();
    };
    hand_on(1);
    writes.recv().unwrap();
    hand_on(1);
    hand_on(3);
    assert_eq!(dropped.get(), 3);
    go.send(Err(io::ErrorKind::BrokenPipe.into())).unwrap();
    writes.recv().unwrap();
    assert_eq!(dropped.get(), 4);
    go.send(Ok(())).unwrap();
    assert!(log.close());
    assert_eq!(dropped.get(), 4);
}
