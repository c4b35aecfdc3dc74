//! From the workers' buffers to the output, by one thread that may wait for it.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use prometheus::IntCounter;

use super::target::Outputs;
use crate::policy::logs::LogTarget;

/// Bytes that a worker gathers before it hands them on, if its tick does not come first.
const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks between the workers and the output: 16 MiB, at most.
const QUEUE_CHUNKS: usize = 256;
/// Buffers on their way back to one worker; more than these are freed.
const SPARE_BUFFERS: usize = 4;
/// How long [`AccessLog::close`] waits for an output that takes no more.
const CLOSE_WAIT: Duration = Duration::from_secs(5);
const CLOSE_POLL: Duration = Duration::from_millis(10);

/// Lines on their way to the output.
struct Chunk {
    target: LogTarget,
    bytes: Vec<u8>,
    lines: u64,
    /// Where the buffer goes back to.
    home: SyncSender<Vec<u8>>,
}

enum Message {
    Chunk(Chunk),
    Close,
}

/// The output's thread, and what makes its workers' ends.
#[derive(Debug)]
pub struct AccessLog {
    queue: SyncSender<Message>,
    /// Disconnected when the thread ends.
    done: Receiver<()>,
    thread: thread::JoinHandle<()>,
    dropped: IntCounter,
}

impl AccessLog {
    /// Starts the thread that owns `output`; lines that cannot be written are counted in `dropped`. Errors if the
    /// system gives no thread.
    pub fn start(output: Box<dyn Write + Send>, dropped: IntCounter) -> io::Result<Self> {
        Self::with_queue(output, dropped, QUEUE_CHUNKS)
    }

    pub(super) fn with_queue(output: Box<dyn Write + Send>, dropped: IntCounter, chunks: usize) -> io::Result<Self> {
        let (queue, messages) = sync_channel(chunks);
        let (alive, done) = sync_channel(0);
        let failed = dropped.clone();
        let thread = thread::Builder::new().name("access-log".into()).spawn(move || {
            let _alive = alive;
            write_all(output, &messages, &failed);
        })?;
        Ok(Self { queue, done, thread, dropped })
    }

    /// What makes the workers' ends; it may be shared by threads.
    pub fn ends(&self) -> LogEnds {
        LogEnds { queue: self.queue.clone(), dropped: self.dropped.clone() }
    }

    /// Writes what was handed on before, and ends the thread. The workers flush first; what they hand on later is
    /// counted as dropped. False if the output took nothing for 5 seconds, and the thread is left behind.
    pub fn close(self) -> bool {
        let deadline = Instant::now() + CLOSE_WAIT;
        let mut message = Message::Close;
        while let Err(TrySendError::Full(back)) = self.queue.try_send(message) {
            if Instant::now() >= deadline {
                return false;
            }
            message = back;
            thread::sleep(CLOSE_POLL);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        self.done.recv_timeout(left) == Err(RecvTimeoutError::Disconnected) && self.thread.join().is_ok()
    }
}

/// Makes the ends through which workers log.
#[derive(Clone, Debug)]
pub struct LogEnds {
    queue: SyncSender<Message>,
    dropped: IntCounter,
}

impl LogEnds {
    /// The logging end for one worker's thread.
    pub fn worker(&self) -> WorkerLog {
        let (home, returned) = sync_channel(SPARE_BUFFERS);
        let buffer = Buffer { bytes: Vec::with_capacity(CHUNK_BYTES), ..Buffer::default() };
        WorkerLog {
            queue: self.queue.clone(),
            home,
            returned,
            buffers: RefCell::new([buffer, Buffer::default()]),
            dropped: self.dropped.clone(),
        }
    }
}

fn write_all(output: Box<dyn Write + Send>, messages: &Receiver<Message>, failed: &IntCounter) {
    let mut outputs = Outputs::new(output);
    while let Ok(Message::Chunk(Chunk { target, mut bytes, lines, home })) = messages.recv() {
        failed.inc_by(outputs.write(&target, &bytes, lines));
        bytes.clear();
        let _ = home.try_send(bytes);
    }
}

#[derive(Debug, Default)]
struct Buffer {
    target: LogTarget,
    bytes: Vec<u8>,
    lines: u64,
}

/// One worker's end. It may move to its thread and be shared by that thread's tasks; it is not `Sync`.
#[derive(Debug)]
pub struct WorkerLog {
    queue: SyncSender<Message>,
    home: SyncSender<Vec<u8>>,
    returned: Receiver<Vec<u8>>,
    /// Two: lines of requests and of streams may go to different targets.
    buffers: RefCell<[Buffer; 2]>,
    dropped: IntCounter,
}

impl WorkerLog {
    /// Appends a line that `write` writes without its end; never waits.
    pub fn line(&self, target: &LogTarget, write: impl FnOnce(&mut Vec<u8>)) {
        let [first, second] = &mut *self.buffers.borrow_mut();
        let buffer =
            if first.target == *target || (first.lines == 0 && second.target != *target) { first } else { second };
        if buffer.target != *target {
            self.hand_on(buffer);
            buffer.target = target.clone();
        }
        write(&mut buffer.bytes);
        buffer.bytes.push(b'\n');
        buffer.lines += 1;
        if buffer.bytes.len() >= CHUNK_BYTES {
            self.hand_on(buffer);
        }
    }

    /// Hands on what was gathered; drops and counts it when the queue is full. For the worker's tick and its end.
    pub fn flush(&self) {
        self.buffers.borrow_mut().iter_mut().for_each(|buffer| self.hand_on(buffer));
    }

    fn hand_on(&self, buffer: &mut Buffer) {
        if buffer.lines == 0 {
            return;
        }
        let lines = std::mem::take(&mut buffer.lines);
        let spare = self.returned.try_recv();
        let bytes = std::mem::replace(&mut buffer.bytes, spare.unwrap_or_default());
        let chunk = Chunk { target: buffer.target.clone(), bytes, lines, home: self.home.clone() };
        if let Err(TrySendError::Full(refused) | TrySendError::Disconnected(refused)) =
            self.queue.try_send(Message::Chunk(chunk))
        {
            self.dropped.inc_by(lines);
            if let Message::Chunk(Chunk { mut bytes, .. }) = refused {
                bytes.clear();
                buffer.bytes = bytes;
            }
        }
    }
}

impl Drop for WorkerLog {
    fn drop(&mut self) {
        self.flush();
    }
}
