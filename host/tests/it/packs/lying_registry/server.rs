//! The registry that lies on command: a loop over sockets, because libraries for servers refuse to send what it sends.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request that it saw.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
    /// How many requests with this method and path came before.
    pub before: usize,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What it sends.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Body,
}

/// How it sends a body.
#[derive(Debug, Clone)]
pub enum Body {
    /// As it should.
    Whole(Vec<u8>),
    /// Announced as a whole, and only so many bytes of it.
    Cut(Vec<u8>, usize),
    /// In chunks, and properly ended.
    Chunked(Vec<u8>),
    /// A byte, a pause, a byte.
    Drip(Vec<u8>, Duration),
    /// Zeros without an end.
    Endless,
    /// Nothing at all, not even a head.
    Silence,
    /// A head of so many bytes.
    LargeHead(usize),
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: Body::Whole(body.into()) }
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn body(mut self, body: impl FnOnce(Vec<u8>) -> Body) -> Self {
        if let Body::Whole(bytes) = self.body {
            self.body = body(bytes);
        }
        self
    }
}

type Answer = dyn Fn(&Seen) -> Reply + Send + Sync;

/// A registry on a port of its own, until it is dropped.
pub struct LyingRegistry {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    stopped: Arc<AtomicBool>,
}

impl LyingRegistry {
    pub fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let stopped: Arc<AtomicBool> = Arc::default();
        let answer: Arc<Answer> = Arc::new(answer);
        let (log, stop) = (Arc::clone(&seen), Arc::clone(&stopped));
        std::thread::spawn(move || {
            for stream in listener.incoming().take_while(|_| !stop.load(Ordering::SeqCst)).flatten() {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                std::thread::spawn(move || serve(stream, &*answer, &log));
            }
        });
        Self { address, seen, stopped }
    }

    /// Everything that was asked so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }
}

impl Drop for LyingRegistry {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: TcpStream, answer: &Answer, log: &Mutex<Vec<Seen>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    let mut stream = stream;
    while let Some(mut seen) = read(&mut reader) {
        {
            let mut log = log.lock().expect("no panic");
            seen.before = log.iter().filter(|other| other.method == seen.method && other.path == seen.path).count();
            log.push(seen.clone());
        }
        let reply = answer(&seen);
        if send(&mut stream, &mut reader, &seen, reply).is_none() {
            let _ = stream.shutdown(Shutdown::Both);
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().expect("a length"));
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Seen { method, path, headers, before: 0 })
}

/// Sends a reply; nothing if the connection cannot be used again.
fn send(stream: &mut TcpStream, reader: &mut BufReader<TcpStream>, seen: &Seen, reply: Reply) -> Option<()> {
    let mut head = format!("HTTP/1.1 {} x\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let has_length = reply.headers.iter().any(|(name, _)| name == "content-length");
    let mut announce = |stream: &mut TcpStream, length: usize| {
        if !has_length {
            head.push_str(&format!("content-length: {length}\r\n"));
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).ok()
    };
    match reply.body {
        Body::Whole(bytes) => {
            announce(stream, bytes.len())?;
            if seen.method != "HEAD" {
                stream.write_all(&bytes).ok()?;
            }
            // A length that is a lie leaves the connection in no state that anybody knows.
            (!has_length || seen.method == "HEAD").then_some(())
        }
        Body::Cut(bytes, sent) => {
            announce(stream, bytes.len())?;
            stream.write_all(&bytes[..sent]).ok()?;
            None
        }
        Body::Chunked(bytes) => {
            head.push_str("transfer-encoding: chunked\r\n\r\n");
            stream.write_all(head.as_bytes()).ok()?;
            stream.write_all(format!("{:x}\r\n", bytes.len()).as_bytes()).ok()?;
            stream.write_all(&bytes).ok()?;
            stream.write_all(b"\r\n0\r\n\r\n").ok()
        }
        Body::Drip(bytes, pause) => {
            announce(stream, bytes.len())?;
            stream.set_read_timeout(Some(pause)).ok()?;
            for byte in bytes {
                stream.write_all(&[byte]).ok()?;
                // The pause ends early when the client has gone.
                if reader.read(&mut [0]).is_ok() {
                    return None;
                }
            }
            None
        }
        Body::Endless => {
            stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
            while stream.write_all(&[0; 65_536]).is_ok() {}
            None
        }
        Body::Silence => {
            // Until the client has gone.
            let _ = reader.read(&mut [0]);
            None
        }
        Body::LargeHead(size) => {
            stream.write_all(head.as_bytes()).ok()?;
            let line = format!("x-filler: {}\r\n", "a".repeat(8_000));
            for _ in 0..size / line.len() {
                stream.write_all(line.as_bytes()).ok()?;
            }
            None
        }
    }
}
