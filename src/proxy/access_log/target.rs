//! What the lines of a chunk are written to.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

use crate::base::clock::ClockText;
use crate::policy::logs::LogTarget;

/// How long the address of a syslog host is used before its name is asked for again.
const ADDRESS_AGE: Duration = Duration::from_secs(60);
/// A datagram's most bytes; nginx cuts a line there, too.
const MAX_DATAGRAM: usize = 2048;
/// `local7.info`, nginx's defaults.
const PRIORITY: u8 = 190;

/// The name of this machine, as nginx's `$hostname` has it.
pub static HOSTNAME: LazyLock<String> =
    LazyLock::new(|| rustix::system::uname().nodename().to_string_lossy().into_owned());

/// The writing ends of all targets, of which the standard output is given.
pub struct Outputs {
    stdout: Box<dyn Write + Send>,
    syslog: Option<Syslog>,
}

impl Outputs {
    pub fn new(stdout: Box<dyn Write + Send>) -> Self {
        Self { stdout, syslog: None }
    }

    /// Writes whole lines; the number of lines that were lost.
    pub fn write(&mut self, target: &LogTarget, bytes: &[u8], lines: u64) -> u64 {
        let written = match target {
            LogTarget::Stdout => self.stdout.write_all(bytes).and_then(|()| self.stdout.flush()),
            LogTarget::Stderr => io::stderr().write_all(bytes),
            LogTarget::File(path) => append(path, bytes),
            LogTarget::Syslog(host, port) => return self.syslog(host, *port, bytes),
        };
        // An output that fails now may work again, as a pipe whose reader was replaced; the log goes on without a word
        // to a standard error that is likely no better.
        if written.is_err() { lines } else { 0 }
    }

    fn syslog(&mut self, host: &str, port: u16, bytes: &[u8]) -> u64 {
        let known = self.syslog.take().filter(|s| s.host == host && s.port == port && s.since.elapsed() < ADDRESS_AGE);
        self.syslog = known.or_else(|| Syslog::resolve(host, port).ok());
        let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        match &self.syslog {
            Some(syslog) => lines.filter(|line| syslog.send(line).is_err()).count() as u64,
            None => lines.count() as u64,
        }
    }
}

/// A file is opened for each chunk, at most some times a second: one that was renamed or removed is begun anew.
fn append(path: &str, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().append(true).create(true).open(path)?.write_all(bytes)
}

#[derive(Debug)]
struct Syslog {
    host: String,
    port: u16,
    since: Instant,
    socket: UdpSocket,
}

impl Syslog {
    fn resolve(host: &str, port: u16) -> io::Result<Self> {
        let address = (host, port).to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
        let own: SocketAddr = if address.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = UdpSocket::bind(own)?;
        socket.connect(address)?;
        // A datagram that does not fit the socket's buffer is lost, not waited for.
        socket.set_nonblocking(true)?;
        Ok(Self { host: host.to_owned(), port, since: Instant::now(), socket })
    }

    fn send(&self, line: &[u8]) -> io::Result<usize> {
        let mut datagram = header(SystemTime::now());
        datagram.extend_from_slice(line);
        datagram.truncate(MAX_DATAGRAM);
        self.socket.send(&datagram)
    }
}

/// `<190>Oct 10 13:55:36 host nginx: ` (RFC 3164 section 4.1).
fn header(now: SystemTime) -> Vec<u8> {
    let clock = ClockText::at(now);
    // "10/Oct/2025:13:55:36 +0000": day, month, year, time.
    let mut parts = clock.time_local().split(['/', ':', ' ']);
    let (day, month, _) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next());
    let time = [parts.next(), parts.next(), parts.next()].map(Option::unwrap_or_default).join(":");
    let day = day.strip_prefix('0').map_or_else(|| day.to_owned(), |day| format!(" {day}"));
    format!("<{PRIORITY}>{month} {day} {time} {} nginx: ", *HOSTNAME).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn headers_of_syslog() {
        let rows = [(1_760_104_536, "Oct 10 13:55:36"), (1_764_547_200, "Dec  1 00:00:00")];
        for (second, expected) in rows {
            let text = String::from_utf8(header(UNIX_EPOCH + Duration::from_secs(second))).unwrap();
            assert_eq!(text, format!("<190>{expected} {} nginx: ", *HOSTNAME));
        }
    }

    #[test]
    fn lines_reach_files_and_syslog() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let mut outputs = Outputs::new(Box::new(io::sink()));
        let file = LogTarget::File(path.to_str().unwrap().into());
        assert_eq!(outputs.write(&file, b"a\n", 1), 0);
        std::fs::rename(&path, directory.path().join("old")).unwrap();
        assert_eq!(outputs.write(&file, b"b\nc\n", 2), 0);
        assert_eq!(std::fs::read(&path).unwrap(), b"b\nc\n");
        let nowhere = LogTarget::File("/nonexistent/a".into());
        assert_eq!(outputs.write(&nowhere, b"a\nb\n", 2), 2);

        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let syslog = LogTarget::Syslog("127.0.0.1".into(), server.local_addr().unwrap().port());
        assert_eq!(outputs.write(&syslog, b"one\ntwo\n", 2), 0);
        let mut datagram = [0; 256];
        for expected in ["one", "two"] {
            let length = server.recv(&mut datagram).unwrap();
            let text = std::str::from_utf8(&datagram[..length]).unwrap();
            assert!(text.starts_with("<190>") && text.ends_with(&format!(" nginx: {expected}")), "{text}");
        }
    }
}
