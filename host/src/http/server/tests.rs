//! Connections to a server whose seconds pass by hand.

use bytes::Bytes;
use h2::Ping;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::*;
use crate::clock::real::RealClock;
use crate::plan::build::testing::generation;
use crate::types::limits::{HEADER_READ_S, KEEP_ALIVE_IDLE_S};

const SCENARIO: &str = "simwright: 1\nmodels: [{ match: m, latency: { constant: {} } }]\n";

fn engine() -> Arc<Engine> {
    let generation = Arc::into_inner(generation(SCENARIO, |_| {})).expect("nobody else has it");
    Arc::new(Engine::new(generation, RealClock::start()))
}

/// A new connection: the client's end, and the server's as the accepting worker hands it on.
async fn connection() -> (TcpStream, std::net::TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let client = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connected");
    let (socket, _) = listener.accept().await.expect("accepted");
    (client, socket.into_std().expect("a socket"))
}

/// A connection, seen from both ends.
struct Ends {
    client: TcpStream,
    state: Arc<WireState>,
    served: JoinHandle<()>,
    _stop: watch::Sender<Stop>,
}

impl Ends {
    async fn open() -> Self {
        let engine = engine();
        let pacer = Pacer::start(*engine.clock()).expect("a pacer");
        tokio::spawn(Arc::clone(&pacer).run());
        let state = WireState::new(*engine.clock());
        let (replies, bulks) = (keeping::replies(), Bulks::new());
        let (sessions, session_bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let door = Arc::new(Door { engine, pacer, replies, bulks, sessions, session_bytes });
        let (client, socket) = connection().await;
        let (stop, stopped) = watch::channel(Stop::No);
        let served = tokio::spawn(serve(socket, Arc::clone(&state), door, stopped));
        Self { client, state, served, _stop: stop }
    }

    fn pass(&self, seconds: u64) {
        (0..seconds).for_each(|_| self.state.second_passed());
    }

    async fn say(&mut self, text: &str) {
        self.client.write_all(text.as_bytes()).await.expect("taken");
    }

    /// The next answer, to the last byte; empty if the connection ends.
    async fn hear(&mut self) -> String {
        let mut heard = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&heard).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
                if body.len() >= length.unwrap_or(0) {
                    return text;
                }
            }
            if self.client.read_buf(&mut heard).await.unwrap_or(0) == 0 {
                return text;
            }
        }
    }
}

#[tokio::test]
async fn who_was_accepted_just_before_a_drain_is_let_go_and_the_drain_ends() {
    let (mut client, socket) = connection().await;
    let (sender, queue) = mpsc::unbounded_channel();
    sender.send(socket).expect("queued");
    let (_stop, stopped) = watch::channel(Stop::Drain);
    let (begun, _told) = std::sync::mpsc::channel();
    let (open, connections) = (Arc::new(AtomicUsize::new(1)), names::gauge(names::CONNECTIONS, &[]));
    let (replies, bulks) = (keeping::replies(), Bulks::new());
    let worker = Worker { engine: engine(), replies, bulks, queue, open: Arc::clone(&open), stopped, connections, begun };
    let worked = tokio::time::timeout(Duration::from_secs(20), worker.work(None)).await;
    assert!(worked.expect("it ends").is_ok());
    assert_eq!(open.load(Ordering::Relaxed), 0);
    let mut heard = String::new();
    assert_eq!(client.read_to_string(&mut heard).await.expect("an end"), 0);
}

#[tokio::test]
async fn a_client_that_asks_no_model_is_idle_between_its_requests_and_not_slow() {
    for path in
        ["/v1/models", "/v1/models/m", "/health", "/version", "/v1/nothing", "/v1/responses/x", "/v1/files", "/api/version"]
    {
        let mut ends = Ends::open().await;
        for _ in 0..2 {
            ends.say(&format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
            assert!(ends.hear().await.starts_with("HTTP/1.1 "), "{path}");
            ends.pass(KEEP_ALIVE_IDLE_S - 1);
            tokio::task::yield_now().await;
        }
        ends.pass(2);
        assert_eq!(ends.hear().await, "", "{path}");
        ends.served.await.expect("it has ended");
    }
}

#[tokio::test]
async fn a_body_that_still_comes_is_waited_for() {
    let mut ends = Ends::open().await;
    let body = r#"{"prompt":"one two three"}"#;
    ends.say(&format!("POST /tokenize HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len())).await;
    for part in body.as_bytes().chunks(9) {
        ends.say(&String::from_utf8_lossy(part)).await;
        // Until the server has taken it.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        ends.pass(HEADER_READ_S);
    }
    let heard = ends.hear().await;
    assert!(heard.starts_with("HTTP/1.1 200 "), "{heard}");
}

#[tokio::test]
async fn a_head_that_does_not_end_is_not_waited_for() {
    let mut ends = Ends::open().await;
    ends.say("GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(ends.hear().await.starts_with("HTTP/1.1 200 "));
    ends.say("GET /v1/models HTTP/1.1\r\nho").await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    ends.pass(HEADER_READ_S + 1);
    assert_eq!(ends.hear().await, "");
}

/// The status of `GET path`, when its body has come.
async fn get(sender: &mut h2::client::SendRequest<Bytes>, path: &str) -> u16 {
    let request = http::Request::get(format!("http://x{path}")).body(()).expect("a request");
    let (response, _) = sender.send_request(request, true).expect("sent");
    let response = response.await.expect("an answer");
    let status = response.status().as_u16();
    let mut body = response.into_body();
    while let Some(part) = body.data().await {
        body.flow_control().release_capacity(part.expect("a part").len()).expect("released");
    }
    status
}

#[tokio::test]
async fn an_idle_http_2_connection_may_ping_and_is_told_when_it_ends() {
    let ends = Ends::open().await;
    let (mut sender, mut connection) = h2::client::handshake(ends.client).await.expect("HTTP/2");
    let mut pings = connection.ping_pong().expect("nobody else pings");
    let ended = tokio::spawn(connection);
    let pass = |seconds: u64| (0..seconds).for_each(|_| ends.state.second_passed());
    for _ in 0..2 {
        assert_eq!(get(&mut sender, "/v1/models").await, 200);
        pings.ping(Ping::opaque()).await.expect("a pong");
        pass(HEADER_READ_S + 1);
        pings.ping(Ping::opaque()).await.expect("a pong");
    }
    pass(KEEP_ALIVE_IDLE_S - HEADER_READ_S);
    let told = ended.await.expect("no panic");
    assert!(told.is_ok(), "{told:?}");
    ends.served.await.expect("it has ended");
}

#[tokio::test]
async fn every_answer_is_marked_and_a_405_says_what_is_allowed() {
    let mut ends = Ends::open().await;
    let long = format!("/v1/chat/completions/{}", "x".repeat(5_000));
    for (method, path, status, allow) in [
        ("GET", "/health", 200, None),
        ("GET", "/metrics", 404, None),
        ("GET", "/v1/models", 200, None),
        ("PUT", "/v1/models", 405, Some("GET, HEAD")),
        ("PATCH", "/v1/responses/x", 405, Some("DELETE, GET, HEAD")),
        ("GET", "/v1/chat/completions", 405, Some("POST")),
        ("GET", &*long, 404, None),
        ("PUT", &*long.replace("chat/completions", "files"), 405, Some("DELETE, GET, HEAD")),
    ] {
        ends.say(&format!("{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        let heard = ends.hear().await;
        let value = |name: &str| heard.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        assert!(heard.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {path}: {heard}");
        assert_eq!((value("x-simwright-generation"), value("allow")), (Some("1"), allow), "{method} {path}");
        assert!(heard.len() < 2_000, "{method} {path}: {heard}");
    }
}
