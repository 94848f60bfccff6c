//! Many paced streams over HTTP/2 without TLS: a few connections, many streams in each, on a current-thread runtime.
//!
//! [`run`] plays paced streams to their end and notes when each token arrives. [`hold`] opens streams that sleep, and keeps them
//! open until it is told to stop: that is how memory per stream is measured.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use crate::clock;
use crate::load::request::Chat;
use crate::load::sse::{Splitter, TokenEvents};
use crate::load::streams_h1::Streams;
use crate::load::timeline::Timeline;

/// Streams in one connection, unless the server allows fewer.
pub const STREAMS_PER_CONNECTION: usize = 250;
/// What a client lets the server send unread: never the limit here.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 28;

type Connection = SendRequest<Bytes>;

/// Plays the streams to their end and calls `opened` when the connections are there; see [`Streams`].
pub fn run(plan: &Streams, opened: impl FnOnce()) -> Result<Timeline> {
    let timeline = Rc::new(RefCell::new(Timeline::new(plan.count, plan.between_ns)));
    let shared = Rc::clone(&timeline);
    runtime(async move {
        let connections = connect(plan.to, plan.count).await?;
        opened();
        let start_ns = clock::now_ns();
        let tokens = Rc::new(TokenEvents::default());
        let mut running = Vec::with_capacity(plan.count);
        for index in 0..plan.count {
            let begin_ns = start_ns + plan.ramp_ns * index as u64 / plan.count as u64;
            let connection = connections[index % connections.len()].clone();
            let (to, chat, timeline, tokens) = (plan.to, plan.chat.clone(), Rc::clone(&shared), Rc::clone(&tokens));
            running.push(tokio::task::spawn_local(async move {
                tokio::time::sleep_until(clock::instant(begin_ns).into()).await;
                match follow(to, connection, &chat, index, &timeline, &tokens).await {
                    Ok(()) => timeline.borrow_mut().end(index),
                    Err(_) => timeline.borrow_mut().fail(),
                }
            }));
        }
        let all = async {
            for stream in running {
                stream.await?;
            }
            Ok(())
        };
        let give_up = Duration::from_nanos(plan.give_up_ns);
        tokio::time::timeout(give_up, all).await.unwrap_or(Ok(()))
    })?;
    let mut timeline = Rc::into_inner(timeline).context("a stream outlived its runtime")?.into_inner();
    for _ in timeline.finished() + timeline.failed()..plan.count as u64 {
        timeline.fail();
    }
    Ok(timeline)
}

/// Opens `count` streams, calls `opened` when the last is sent, and keeps them open until `stop` is sent or dropped.
pub fn hold(to: SocketAddr, chat: &Chat, count: usize, opened: impl FnOnce(), stop: oneshot::Receiver<()>) -> Result<()> {
    runtime(async move {
        let open = async {
            let connections = connect(to, count).await?;
            for index in 0..count {
                let connection = connections[index % connections.len()].clone();
                let response = send(to, connection, chat, index).await?;
                // The task keeps the response, and with it the stream, until the runtime goes.
                tokio::task::spawn_local(async move {
                    if let Ok(mut response) = response.await {
                        while response.body_mut().data().await.is_some() {}
                    }
                });
            }
            opened();
            std::future::pending::<Result<()>>().await
        };
        // A dropped sender is the same wish to stop.
        tokio::select! {
            failed = open => failed,
            _ = stop => Ok(()),
        }
    })
}

fn runtime<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, work)
}

/// Opens enough connections for `count` streams. The first one learns how many streams the server allows in each.
async fn connect(to: SocketAddr, count: usize) -> Result<Vec<Connection>> {
    let first = handshake(to).await?;
    let allowed = first.current_max_send_streams().clamp(1, STREAMS_PER_CONNECTION);
    let mut connections = vec![first];
    while connections.len() * allowed < count {
        connections.push(handshake(to).await?);
    }
    Ok(connections)
}

async fn handshake(to: SocketAddr) -> Result<Connection> {
    let socket = TcpStream::connect(to).await.with_context(|| format!("cannot connect to `{to}`"))?;
    socket.set_nodelay(true)?;
    let (sender, mut connection) = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .handshake(socket)
        .await
        .context("the server does not speak HTTP/2 without TLS")?;
    let mut ping = connection.ping_pong().context("the connection gives no ping")?;
    tokio::task::spawn_local(async move {
        // A connection that fails fails its streams, which are counted there.
        let _ = connection.await;
    });
    // The answer to a ping comes after the server's settings, which hold the number of streams it allows.
    ping.ping(h2::Ping::opaque()).await.context("the server does not answer an HTTP/2 ping")?;
    Ok(sender)
}

async fn send(to: SocketAddr, connection: Connection, chat: &Chat, number: usize) -> Result<h2::client::ResponseFuture> {
    let mut connection = connection.ready().await?;
    let request = Request::post(format!("http://{to}/v1/chat/completions"))
        .header("content-type", "application/json")
        .header("authorization", "Bearer sk-bench-0000000000000000")
        .body(())?;
    let (response, mut body) = connection.send_request(request, false)?;
    body.send_data(chat.body(number).into(), true)?;
    Ok(response)
}

async fn follow(
    to: SocketAddr,
    connection: Connection,
    chat: &Chat,
    index: usize,
    timeline: &RefCell<Timeline>,
    tokens: &TokenEvents,
) -> Result<()> {
    let response = send(to, connection, chat, index).await?.await?;
    anyhow::ensure!(response.status() == 200, "the server answered {}", response.status());
    let (mut events, mut body) = (Splitter::default(), response.into_body());
    while let Some(part) = body.data().await {
        let (part, now_ns) = (part?, clock::now_ns());
        body.flow_control().release_capacity(part.len())?;
        let mut timeline = timeline.borrow_mut();
        events.feed(&part, |event| {
            if tokens.is_token(event) {
                timeline.token(index, now_ns);
            }
        });
    }
    Ok(())
}
