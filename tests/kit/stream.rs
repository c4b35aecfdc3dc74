//! Backends and clients of TCP and UDP services, on threads of their own, and the manifests of such a service.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{DEADLINE, Manifests, eventually};

/// Where the ConfigMaps of services are.
pub const TCP_MAP: &str = "--tcp-services-configmap=default/tcp";
pub const UDP_MAP: &str = "--udp-services-configmap=default/udp";

/// Says its name and a line end to every connection, then everything that it is sent, then ends.
pub struct TcpBackend {
    addr: SocketAddr,
    stopped: Arc<AtomicBool>,
}

impl TcpBackend {
    pub fn start(name: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a backend");
        let addr = listener.local_addr().expect("an address");
        let stopped = Arc::new(AtomicBool::new(false));
        let (greeting, ends) = (format!("{name}\n"), Arc::clone(&stopped));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let greeting = greeting.clone();
                std::thread::spawn(move || echo(stream, greeting.as_bytes()));
            }
        });
        Self { addr, stopped }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for TcpBackend {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.addr);
    }
}

fn echo(mut stream: TcpStream, greeting: &[u8]) {
    let mut buffer = vec![0; 64 * 1024];
    let mut out = stream.write_all(greeting);
    while let (Ok(()), Ok(read @ 1..)) = (&out, stream.read(&mut buffer)) {
        out = stream.write_all(&buffer[..read]);
    }
    let _ = stream.shutdown(Shutdown::Write);
}

/// Answers each datagram with its name, a colon and the datagram; `silent…` is not answered, `twice…` is twice.
pub fn udp_backend(name: &'static str) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a backend");
    let addr = socket.local_addr().expect("an address");
    std::thread::spawn(move || {
        let mut buffer = [0; 65_535];
        while let Ok((length, client)) = socket.recv_from(&mut buffer) {
            let datagram = &buffer[..length];
            let answer = [name.as_bytes(), b":", datagram].concat();
            let times =
                if datagram.starts_with(b"silent") { 0 } else { 1 + usize::from(datagram.starts_with(b"twice")) };
            (0..times).for_each(|_| drop(socket.send_to(&answer, client)));
        }
    });
    addr
}

/// A client of a UDP service: asks until an answer comes, since datagrams are lost while a port opens.
pub struct UdpClient(UdpSocket);

impl UdpClient {
    pub fn connect(port: u16) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a client");
        socket.connect((Ipv4Addr::LOCALHOST, port)).expect("connecting sends nothing");
        socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
        Self(socket)
    }

    pub fn send(&self, text: &str) {
        let _ = self.0.send(text.as_bytes());
    }

    pub fn receive(&self) -> Option<String> {
        let mut buffer = [0; 65_535];
        let length = self.0.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    pub fn ask(&self, text: &str) -> String {
        eventually(DEADLINE, || {
            self.send(text);
            self.receive()
        })
        .unwrap_or_else(|| panic!("no answer to {text:?}"))
    }
}

/// A port that nobody has, TCP and UDP.
pub fn free_port() -> u16 {
    let port = |_| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
        let port = listener.local_addr().ok()?.port();
        UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok().map(|_| port)
    };
    (0..100).find_map(port).expect("a free port")
}

/// Connects once the port is open.
pub fn connect(port: u16) -> TcpStream {
    let stream = eventually(DEADLINE, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
    let stream = stream.unwrap_or_else(|| panic!("port {port} stays closed"));
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream
}

/// Waits until nobody listens there.
pub fn wait_closed(port: u16) {
    let closed = eventually(DEADLINE, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err().then_some(()));
    closed.unwrap_or_else(|| panic!("port {port} stays open"));
}

/// Reads up to the end of a line, byte by byte, so that nothing is read ahead.
pub fn line(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.last() != Some(&b'\n') {
        match stream.read(&mut byte) {
            Ok(1) => line.push(byte[0]),
            end => panic!("{end:?} after {:?}", String::from_utf8_lossy(&line)),
        }
    }
    String::from_utf8_lossy(&line).trim_end().to_owned()
}

/// Sends `text` and its end, and reads everything.
pub fn exchange(mut stream: TcpStream, text: &[u8]) -> Vec<u8> {
    stream.write_all(text).expect("writing");
    stream.shutdown(Shutdown::Write).expect("ending");
    let mut all = Vec::new();
    stream.read_to_end(&mut all).expect("reading to the end");
    all
}

/// A Service of one port of that protocol, number 7, name `seven`, with these endpoints.
pub fn service(manifests: &Manifests, name: &str, protocol: &str, addrs: &[SocketAddr]) {
    let mut text = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n\
         spec: {{ports: [{{name: seven, port: 7, targetPort: seven, protocol: {protocol}}}]}}\n"
    );
    for addr in addrs {
        text.push_str(&format!(
            "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
             metadata: {{name: {name}-{}, labels: {{kubernetes.io/service-name: {name}}}}}\n\
             ports: [{{name: seven, port: {}, protocol: {protocol}}}]\nendpoints: [{{addresses: [{}]}}]\n",
            addr.port(),
            addr.port(),
            addr.ip(),
        ));
    }
    manifests.write(&format!("stream-{name}.yaml"), &text);
}

/// The ConfigMap of TCP or UDP services, `tcp` or `udp`.
pub fn ports(manifests: &Manifests, map: &str, entries: &[(u16, &str)]) {
    let entries: Vec<(String, &str)> = entries.iter().map(|(port, value)| (port.to_string(), *value)).collect();
    let entries: Vec<(&str, &str)> = entries.iter().map(|(port, value)| (port.as_str(), *value)).collect();
    manifests.config_map("default", map, &entries);
}

/// An address that answers no connect: its listener's queue is full.
pub struct Deaf {
    pub addr: SocketAddr,
    _listener: socket2::Socket,
    _queued: Vec<std::io::Result<TcpStream>>,
}

impl Deaf {
    pub fn listen() -> Self {
        let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let addr = listener.local_addr().unwrap().as_socket().unwrap();
        // Those that fill the queue: what comes after them waits.
        let queued = (0..4).map(|_| TcpStream::connect_timeout(&addr, Duration::from_millis(200))).collect();
        Self { addr, _listener: listener, _queued: queued }
    }
}
