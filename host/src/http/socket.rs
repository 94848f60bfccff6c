//! Realtime sessions: a connection that becomes a WebSocket, and what listens to it and plays responses on it.
//!
//! What is said is the dialect's business ([`Session`]), what leaves when is the playback's ([`Turn`]). The connection's own task drives
//! the session once the HTTP layer has let go of the socket, so that its wire, its deadlines and its draining are those of any other.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, Stream};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::behavior::fault::Cut;
use crate::clock::{Clock, Nanos};
use crate::dialect::Inbound;
use crate::dialect::openai::realtime::{Heard, Session};
use crate::engine::pacer::Sleep;
use crate::http::body::{InFlight, ReplyBody};
use crate::http::handler::{Door, Visit};
use crate::http::turn::{Opening, Past, Played, Turn};
use crate::http::wire::WireState;
use crate::random::Key;
use crate::types::api_error::ApiError;
use crate::types::credentials;
use crate::types::limits::{
    REALTIME_BYTES_MAX, REALTIME_GOODBYE_S, REALTIME_IDLE_S, REALTIME_MESSAGE_BYTES_MAX, REALTIME_RETRY_AFTER_MS,
    REALTIME_SESSION_S, REALTIME_SESSIONS_MAX,
};

/// The subprotocol of sessions, one of several that clients offer.
const SUBPROTOCOL: &str = "realtime";
/// What a socket's buffers hold: a sleeping session shall cost little.
const BUFFER_BYTES: usize = 4 * 1024;
const S: Nanos = 1_000_000_000;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

impl Visit {
    /// Answers a request for a session with the model that `query` names. The session begins when the answer has left.
    pub fn converse(self, query: &str, mut request: Request<Incoming>) -> Response<ReplyBody> {
        let accept = match self.admit(query, &request) {
            Ok(accept) => accept,
            Err(error) => return self.error(&error),
        };
        let Some(place) = Place::take(&self.door) else {
            let full = ApiError::of_status(429, "Too many realtime sessions are open. Close some and try again.");
            return self.error(&ApiError { retry_after_ms: Some(REALTIME_RETRY_AFTER_MS), ..full });
        };
        let mut response = self.json(Bytes::new(), self.door.engine.running().generation.number);
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.remove(http::header::CONTENT_TYPE);
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.extend(HeaderValue::from_str(&accept.key).ok().map(|key| (SEC_WEBSOCKET_ACCEPT, key)));
        if words_of(request.headers(), &SEC_WEBSOCKET_PROTOCOL).any(|offered| offered == SUBPROTOCOL) {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        }
        let upgrade = hyper::upgrade::on(&mut request);
        let engine = &self.door.engine;
        let now = engine.clock().now();
        let manners = engine.running().generation.scenario.api;
        let id = Key::of_seed(now).named("realtime").bits();
        let talk = Talk {
            session: Session::new(id, &accept.model, engine.unix_s(now), manners.is_strict),
            sleep: Sleep::on(Arc::clone(&self.door.pacer)),
            ends: now + REALTIME_SESSION_S * S,
            heard: now,
            turn: None,
            out: BytesMut::new(),
            headers: std::mem::take(request.headers_mut()),
            target: format!("?{}", credentials::without(query)),
            _connection: InFlight::begin(Arc::clone(&self.wire)),
            place,
            wire: Arc::clone(&self.wire),
            door: self.door,
        };
        self.wire.becomes(Box::pin(talk.run(upgrade)));
        response
    }

    /// May this request become a session?
    fn admit(&self, query: &str, request: &Request<Incoming>) -> Result<Accept, ApiError> {
        let headers = request.headers();
        let has = |name: HeaderName, word: &str| words_of(headers, &name).any(|found| found.eq_ignore_ascii_case(word));
        let key = headers.get(SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24);
        let is_upgrade = request.version() == http::Version::HTTP_11 && has(CONNECTION, "upgrade") && has(UPGRADE, "websocket");
        let (true, Some(key)) = (is_upgrade && has(SEC_WEBSOCKET_VERSION, "13"), key) else {
            let message = "A realtime session is a WebSocket (version 13, over HTTP/1.1): ask for an upgrade to 'websocket'.";
            return Err(ApiError::of_status(400, message));
        };
        let model = Session::model_of(query).ok_or_else(Session::no_model)?;
        if self.door.engine.running().generation.scenario.find(&model).is_none() {
            return Err(ApiError::unknown_model(&model));
        }
        Ok(Accept { key: derive_accept_key(key.as_bytes()), model })
    }
}

/// What a handshake comes to.
struct Accept {
    key: String,
    model: String,
}

/// The words of the header `name`, which are separated by commas.
fn words_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
}

/// A place among the sessions of a worker.
struct Place {
    door: Arc<Door>,
    /// What its session keeps, in bytes.
    bytes: usize,
}

impl Place {
    fn take(door: &Arc<Door>) -> Option<Self> {
        let open: &AtomicUsize = &door.sessions;
        let taken =
            open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| (open < REALTIME_SESSIONS_MAX).then_some(open + 1));
        taken.is_ok().then(|| Self { door: Arc::clone(door), bytes: 0 })
    }

    /// What its session may keep, in bytes: what others leave of the room that all have.
    fn most(&self) -> usize {
        let others = self.door.session_bytes.load(Ordering::Relaxed).saturating_sub(self.bytes);
        REALTIME_BYTES_MAX.saturating_sub(others)
    }

    /// Its session keeps `bytes` bytes.
    fn keeps(&mut self, bytes: usize) {
        self.door.session_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.door.session_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.keeps(0);
        self.door.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A session under way.
struct Talk {
    session: Session,
    /// Until the client has been silent for too long, or the session has lasted for too long.
    sleep: Sleep,
    ends: Nanos,
    /// When the client was heard last.
    heard: Nanos,
    turn: Option<Box<Turn>>,
    /// Lines that are to be sent.
    out: BytesMut,
    headers: HeaderMap,
    target: String,
    wire: Arc<WireState>,
    door: Arc<Door>,
    _connection: InFlight,
    place: Place,
}

/// What happens next.
enum Step {
    /// The client says something, or nothing any more.
    Heard(Option<Result<Message, Error>>),
    /// The response says something.
    Played(Played),
    /// It is time to end.
    Ends(CloseCode, &'static str),
}

/// Why a session ends.
enum Over {
    /// The connection is gone, or will be.
    Gone,
    /// The server ends it, for a reason.
    Closed(CloseCode, &'static str),
    /// A fault ends it.
    Cut(Cut),
}

impl Talk {
    async fn run(mut self, upgrade: OnUpgrade) {
        let upgraded = match upgrade.await {
            Ok(upgraded) => upgraded,
            Err(error) => return tracing::debug!(%error, "a realtime session ended before it began"),
        };
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(BUFFER_BYTES)
            .max_message_size(Some(REALTIME_MESSAGE_BYTES_MAX))
            .max_frame_size(Some(REALTIME_MESSAGE_BYTES_MAX));
        let mut socket = Socket::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        let mut out = BytesMut::new();
        self.session.greet(&mut out);
        self.out = out;
        let over = self.talk(&mut socket).await;
        // Whoever is played for no longer is not waited for.
        self.turn = None;
        match over {
            Over::Gone => {}
            Over::Closed(code, reason) => goodbye(&mut socket, code, reason).await,
            Over::Cut(Cut::End) => goodbye(&mut socket, CloseCode::Normal, "").await,
            Over::Cut(cut) => {
                // The wire cuts when everything before has been sent, and says so with an error.
                self.wire.cut(cut);
                let _ = socket.flush().await;
            }
        }
    }

    async fn talk(&mut self, socket: &mut Socket) -> Over {
        loop {
            if let Err(error) = self.send(socket).await {
                return ended(&error);
            }
            let step = std::future::poll_fn(|context| self.poll_step(socket, context)).await;
            let over = match step {
                Step::Heard(None) => Some(Over::Gone),
                Step::Heard(Some(Err(error))) => Some(ended(&error)),
                Step::Heard(Some(Ok(message))) => {
                    self.heard = self.door.engine.clock().now();
                    self.hear(message).await
                }
                Step::Played(Played::Lines) => None,
                Step::Played(Played::Done) => {
                    if let Some(turn) = self.turn.take() {
                        self.send_typed(socket, turn.is_mistyped()).await.err().map_or_else(
                            || {
                                self.conclude(turn.into_past());
                                None
                            },
                            |error| Some(ended(&error)),
                        )
                    } else {
                        None
                    }
                }
                Step::Played(Played::Cut(cut)) => Some(match self.send(socket).await {
                    Ok(()) => Over::Cut(cut),
                    Err(error) => ended(&error),
                }),
                Step::Ends(code, reason) => Some(Over::Closed(code, reason)),
            };
            if let Some(over) = over {
                return over;
            }
        }
    }

    /// What happens next: the client is listened to before a response goes on, so that it can end it.
    fn poll_step(&mut self, socket: &mut Socket, context: &mut Context<'_>) -> Poll<Step> {
        if let Poll::Ready(message) = Pin::new(socket).poll_next(context) {
            return Poll::Ready(Step::Heard(message));
        }
        if let Some(turn) = &mut self.turn {
            return turn.poll(&mut self.out, context).map(Step::Played);
        }
        if self.wire.is_leaving() {
            return Poll::Ready(Step::Ends(CloseCode::Away, "the server is going away"));
        }
        let now = self.door.engine.clock().now();
        let silent = self.heard + REALTIME_IDLE_S * S;
        match self.sleep.poll_until(self.ends.min(silent), now, context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) if self.ends <= silent => {
                Poll::Ready(Step::Ends(CloseCode::Away, "the session has lasted for too long"))
            }
            Poll::Ready(()) => Poll::Ready(Step::Ends(CloseCode::Away, "the client was silent for too long")),
        }
    }

    /// Does what the client says. Gives why the session is over, if it is.
    async fn hear(&mut self, message: Message) -> Option<Over> {
        let said = match message {
            Message::Text(text) => Bytes::from(text),
            // Some clients send their JSON as bytes.
            Message::Binary(bytes) => bytes,
            // Pings are answered below; a close is answered there, too, and after it nothing comes.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => return None,
        };
        let playing = self.turn.as_ref().map(|turn| turn.id());
        self.session.may_keep(self.place.most());
        let heard = self.session.hear(&said, playing, &mut self.out);
        self.place.keeps(self.session.bytes());
        match heard {
            Heard::Nothing => None,
            Heard::Cancel => {
                if let Some(mut turn) = self.turn.take() {
                    turn.cancel(&mut self.out);
                    self.conclude(turn.into_past());
                }
                None
            }
            Heard::Ask(ask) => {
                let like = Inbound { target: &self.target, headers: self.headers.clone(), ..Inbound::default() };
                match Turn::open(&self.door, &self.wire, &ask, like, &mut self.out).await {
                    Opening::Turn(turn) => self.turn = Some(turn),
                    Opening::Failed(past) => self.conclude(past),
                    Opening::Refused(error) => self.session.refuse(&error, ask.event_id.as_deref(), &mut self.out),
                    Opening::Cut(cut) => return Some(Over::Cut(cut)),
                }
                None
            }
        }
    }

    /// What comes after a response. From now on it is the client's turn to speak.
    fn conclude(&mut self, past: Past) {
        self.heard = self.door.engine.clock().now();
        self.session.tell_limits(&past.allowance, &mut self.out);
        self.session.may_keep(self.place.most());
        self.session.remember(past.output);
        self.place.keeps(self.session.bytes());
    }

    /// Sends every line, each as a message.
    async fn send(&mut self, socket: &mut Socket) -> Result<(), Error> {
        let is_mistyped = self.turn.as_ref().is_some_and(|turn| turn.is_mistyped());
        self.send_typed(socket, is_mistyped).await
    }

    async fn send_typed(&mut self, socket: &mut Socket, is_mistyped: bool) -> Result<(), Error> {
        if self.out.is_empty() {
            return Ok(());
        }
        let opcode = OpCode::Data(if is_mistyped { Data::Binary } else { Data::Text });
        let mut lines = self.out.split().freeze();
        while !lines.is_empty() {
            // A line that a fault has cut off has no end, and is all that is left.
            let end = memchr::memchr(b'\n', &lines);
            let line = lines.split_to(end.unwrap_or(lines.len()));
            lines = lines.split_off(usize::from(end.is_some()));
            socket.feed(Message::Frame(Frame::message(line, opcode, true))).await?;
        }
        socket.flush().await
    }
}

/// What a session comes to when its socket fails with `error`.
fn ended(error: &Error) -> Over {
    match error {
        Error::Capacity(_) => Over::Closed(CloseCode::Size, "the message is too large"),
        Error::Utf8(_) => Over::Closed(CloseCode::Invalid, "the message is no UTF-8"),
        Error::Protocol(_) => Over::Closed(CloseCode::Protocol, "this is no WebSocket"),
        _ => Over::Gone,
    }
}

/// Ends a session, and waits a moment for the client to do so, too: else what it has not read yet could be lost.
async fn goodbye(socket: &mut Socket, code: CloseCode, reason: &'static str) {
    let frame = CloseFrame { code, reason: reason.into() };
    let closed = async {
        if socket.close(Some(frame)).await.is_err() {
            return;
        }
        while let Some(said) = std::future::poll_fn(|context| Pin::new(&mut *socket).poll_next(context)).await {
            if said.is_err() {
                break;
            }
        }
        // A client that spoke no WebSocket is read out; nothing of that is looked at.
        let (raw, mut buffer) = (socket.get_mut(), [0; BUFFER_BYTES]);
        if raw.shutdown().await.is_ok() {
            while raw.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(REALTIME_GOODBYE_S), closed).await;
}
