//! An HTTP/2 client in clear text, by prior knowledge, that shows how each stream ended.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{SendRequest, handshake};
use h2::{Reason, RecvStream};
use http::Request;
use serde_json::Value;
use tokio::task::JoinHandle;

/// Runs `work` to its end; a failure after twenty seconds says that it never came.
pub fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), work).await.expect("it never came to its end") })
}

/// One connection.
pub struct H2Client {
    pub sender: SendRequest<Bytes>,
    /// Drives the connection; ends when it does.
    pub connection: JoinHandle<Result<(), h2::Error>>,
}

impl H2Client {
    pub async fn open(address: SocketAddr) -> Self {
        let (sender, connection) = handshake(Self::connect(address).await).await.expect("a connection");
        Self { sender, connection: tokio::spawn(connection) }
    }

    /// A connection on which each stream may bring `window` bytes before the client takes some.
    pub async fn open_narrow(address: SocketAddr, window: u32) -> Self {
        let mut builder = h2::client::Builder::new();
        let socket = Self::connect(address).await;
        let (sender, connection) = builder.initial_window_size(window).handshake(socket).await.expect("a connection");
        Self { sender, connection: tokio::spawn(connection) }
    }

    async fn connect(address: SocketAddr) -> tokio::net::TcpStream {
        let socket = tokio::net::TcpStream::connect(address).await.expect("the server listens");
        socket.set_nodelay(true).expect("no delay");
        socket
    }

    /// Sends a chat request and waits for the head of its answer.
    pub async fn chat(&mut self, body: &Value) -> Result<http::Response<RecvStream>, h2::Error> {
        self.begin(body).await?.await
    }

    /// Sends a chat request.
    pub async fn begin(&mut self, body: &Value) -> Result<h2::client::ResponseFuture, h2::Error> {
        self.begin_with(body, &[]).await
    }

    /// Sends a chat request with headers.
    pub async fn begin_with(&mut self, body: &Value, headers: &[(&str, &str)]) -> Result<h2::client::ResponseFuture, h2::Error> {
        std::future::poll_fn(|context| self.sender.poll_ready(context)).await?;
        let request = Request::post("http://localhost/v1/chat/completions").header("content-type", "application/json");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let (response, mut stream) = self.sender.send_request(request.body(()).expect("a request"), false)?;
        stream.send_data(Bytes::from(body.to_string()), true)?;
        Ok(response)
    }
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// As it should.
    Complete,
    /// By RST_STREAM with this reason.
    Reset(Reason),
}

/// Reads a body, which is text, up to the stream's end.
pub async fn read_out(body: RecvStream) -> (String, StreamEnd) {
    let (bytes, end) = read_bytes(body).await;
    (String::from_utf8(bytes).expect("UTF-8"), end)
}

/// Reads a body up to the stream's end.
pub async fn read_bytes(mut body: RecvStream) -> (Vec<u8>, StreamEnd) {
    let mut bytes = Vec::new();
    let end = loop {
        match body.data().await {
            None => break StreamEnd::Complete,
            Some(Ok(data)) => {
                bytes.extend_from_slice(&data);
                body.flow_control().release_capacity(data.len()).expect("taken");
            }
            Some(Err(error)) => break reset_of(&error),
        }
    };
    (bytes, end)
}

/// The reset that `error` stands for. Panics if it is anything else.
pub fn reset_of(error: &h2::Error) -> StreamEnd {
    assert!(error.is_reset() && error.is_remote(), "no reset by the server: {error:?}");
    StreamEnd::Reset(error.reason().expect("a reason"))
}
