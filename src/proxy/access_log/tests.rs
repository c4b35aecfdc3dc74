//! An output that many write to, and one that is stuck.

use super::*;
use crate::policy::logs::LogTarget;
use prometheus::IntCounter;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, mpsc};

fn log_line(worker: &WorkerLog) {
    worker.line(&LogTarget::Stdout, |out| out.extend_from_slice(b"192.0.2.7 - -"));
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
    let (output, dropped) = (Shared::default(), counter());
    let log = AccessLog::start(Box::new(output.clone()), dropped.clone()).unwrap();
    let workers = [log.ends().worker(), log.ends().worker()];
    for _ in 0..3000 {
        workers.iter().for_each(log_line);
    }
    workers.iter().for_each(WorkerLog::flush);
    assert!(log.close());
    assert_eq!(output.0.lock().unwrap().iter().filter(|byte| **byte == b'\n').count(), 6000);
    assert_eq!(dropped.get(), 0);

    log_line(&workers[0]);
    workers[0].flush();
    assert_eq!(dropped.get(), 1);
}

#[test]
fn a_full_queue_and_a_failed_write_drop_lines() {
    let (wrote, writes) = mpsc::channel();
    let (go, gate) = mpsc::channel();
    let dropped = counter();
    let log = AccessLog::with_queue(Box::new(Gate(wrote, gate)), dropped.clone(), 1).unwrap();
    let worker = log.ends().worker();
    let hand_on = |lines| {
        (0..lines).for_each(|_| log_line(&worker));
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

#[test]
fn two_targets_do_not_mix() {
    let (output, dropped) = (Shared::default(), counter());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("streams.log");
    let file = LogTarget::File(path.to_str().unwrap().into());
    let log = AccessLog::start(Box::new(output.clone()), dropped).unwrap();
    let worker = log.ends().worker();
    for _ in 0..3 {
        worker.line(&LogTarget::Stdout, |out| out.extend_from_slice(b"http"));
        worker.line(&file, |out| out.extend_from_slice(b"stream"));
    }
    // A third one, after a change of settings, sends the first on its way.
    worker.line(&LogTarget::File("/dev/null".into()), |out| out.extend_from_slice(b"later"));
    worker.flush();
    assert!(log.close());
    assert_eq!(*output.0.lock().unwrap(), b"http\nhttp\nhttp\n");
    assert_eq!(std::fs::read(&path).unwrap(), b"stream\nstream\nstream\n");
}
