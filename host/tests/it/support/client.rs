//! An HTTP/1.1 client that shows every byte: a blocking socket and a parser of a hundred lines.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// A whole response.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// The body without its transfer coding.
    pub body: Vec<u8>,
    /// Did the body end as its framing says it should?
    pub complete: bool,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// Sends one request on a connection of its own and reads until the server closes it.
pub fn send(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let mut socket = open(address);
    socket.write_all(&request(method, path, headers, body)).expect("the request is taken");
    let mut bytes = Vec::new();
    // A reset is a way to end, too; what came before it counts.
    let _ = socket.read_to_end(&mut bytes);
    parse(&bytes)
}

/// The same for what may wait for a compiler: it gives up after five minutes of silence.
pub fn send_patiently(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let mut socket = open(address);
    socket.set_read_timeout(Some(Duration::from_secs(300))).expect("a timeout");
    socket.write_all(&request(method, path, headers, body)).expect("the request is taken");
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).unwrap_or_else(|error| panic!("{error} after {} bytes", bytes.len()));
    parse(&bytes)
}

/// A connection that is kept for one request after the other.
pub struct Connection(TcpStream);

impl Connection {
    pub fn open(address: SocketAddr) -> Self {
        Self(open(address))
    }

    /// Sends one request and reads its whole response. Panics if the connection ends before that.
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.0.write_all(&request_that(method, path, "keep-alive", headers, body)).expect("the request is taken");
        let (mut bytes, mut buffer) = (Vec::new(), [0; 16 * 1024]);
        loop {
            let count = self.0.read(&mut buffer).unwrap_or_else(|error| panic!("{error} after {} bytes", bytes.len()));
            assert!(count > 0, "the connection ended after {} bytes", bytes.len());
            bytes.extend_from_slice(&buffer[..count]);
            if bytes.windows(4).any(|window| window == b"\r\n\r\n") {
                let reply = parse(&bytes);
                if reply.complete {
                    return reply;
                }
            }
        }
    }
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By FIN.
    Closed,
    /// By RST.
    Reset,
}

/// Reads everything up to the end of the connection.
pub fn read_out(socket: &mut TcpStream) -> (Vec<u8>, Ended) {
    let mut bytes = Vec::new();
    match socket.read_to_end(&mut bytes) {
        Ok(_) => (bytes, Ended::Closed),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => (bytes, Ended::Reset),
        Err(error) => panic!("{error} after {} bytes", bytes.len()),
    }
}

/// A socket to the server that gives up after ten seconds of silence.
pub fn open(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).expect("the server listens");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    socket.set_nodelay(true).expect("no delay");
    socket
}

/// The bytes of a request that asks for the connection to close after it.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    request_that(method, path, "close", headers, body)
}

fn request_that(method: &str, path: &str, connection: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: {connection}\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if !body.is_empty() {
        if headers.iter().all(|(name, _)| !name.eq_ignore_ascii_case("content-type")) {
            bytes.extend_from_slice(b"content-type: application/json\r\n");
        }
        bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// Reads a response out of all that came. Panics if there is no head: a test that expects none looks at the socket itself.
pub fn parse(bytes: &[u8]) -> Reply {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no head in {:?}", String::from_utf8_lossy(bytes)));
    let head = std::str::from_utf8(&bytes[..end]).expect("an ASCII head");
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok()).expect("a status");
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let rest = &bytes[end + 4..];
    let header = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let (body, complete) = if header("transfer-encoding") == Some("chunked") {
        dechunk(rest)
    } else {
        let length = header("content-length").and_then(|length| length.parse::<usize>().ok());
        (rest.to_vec(), length.is_none_or(|length| length == rest.len()))
    };
    Reply { status, headers, body, complete }
}

fn dechunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(line) = rest.windows(2).position(|window| window == b"\r\n") else { return (body, false) };
        let size = std::str::from_utf8(&rest[..line]).ok().and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        let Some(size) = size else { return (body, false) };
        rest = &rest[line + 2..];
        if size == 0 {
            return (body, rest == b"\r\n");
        }
        body.extend_from_slice(&rest[..size.min(rest.len())]);
        if rest.len() < size + 2 {
            return (body, false);
        }
        rest = &rest[size + 2..];
    }
}
