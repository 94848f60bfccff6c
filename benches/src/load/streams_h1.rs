//! Many paced streams over HTTP/1.1: one connection each, one thread and one epoll for all.
//!
//! A token's time of arrival is taken once for each read, right after it returned. [`Streams`] also describes a run over HTTP/2.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use anyhow::{Context, Result};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::clock;
use crate::load::response::Scanner;
use crate::load::sse::{Splitter, TokenEvents};
use crate::load::timeline::Timeline;

/// Many streams that begin one after the other, evenly over a ramp.
#[derive(Debug, Clone)]
pub struct Streams {
    /// Where the server is.
    pub to: std::net::SocketAddr,
    /// What each asks.
    pub chat: crate::load::request::Chat,
    /// How many there are.
    pub count: usize,
    /// The time between two tokens of one stream, in nanoseconds.
    pub between_ns: u64,
    /// Time over which they begin, in nanoseconds.
    pub ramp_ns: u64,
    /// When whatever has not ended counts as failed, in nanoseconds from the start.
    pub give_up_ns: u64,
}

struct Stream {
    socket: TcpStream,
    scanner: Scanner,
    events: Splitter,
    open: bool,
}

/// Plays the streams to their end and calls `opened` when the connections are there. A connection that cannot be opened is an
/// error; a stream that breaks is counted.
pub fn run(plan: &Streams, opened: impl FnOnce()) -> Result<Timeline> {
    let mut poll = Poll::new().context("cannot make an epoll")?;
    let mut streams = open(plan, &poll)?;
    let mut timeline = Timeline::new(plan.count, plan.between_ns);
    let tokens = TokenEvents::default();
    let (mut ready, mut buffer) = (Events::with_capacity(4096), vec![0; 64 * 1024]);
    opened();
    let start_ns = clock::now_ns();
    let mut begun = 0;
    while timeline.finished() + timeline.failed() < plan.count as u64 && clock::now_ns() < start_ns + plan.give_up_ns {
        while begun < plan.count && start_ns + plan.ramp_ns * begun as u64 / plan.count as u64 <= clock::now_ns() {
            let request = plan.chat.http1(plan.to, begun);
            // A request is far smaller than an empty socket's buffer, so that a partial write is a broken connection.
            if streams[begun].socket.write(&request).ok() != Some(request.len()) {
                close(&mut streams[begun], &mut timeline);
            }
            begun += 1;
        }
        let wait = Duration::from_millis(if begun < plan.count { 1 } else { 50 });
        match poll.poll(&mut ready, Some(wait)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in ready.iter().filter(|event| event.is_readable() || event.is_read_closed()) {
            let index = event.token().0;
            receive(&mut streams[index], index, &tokens, &mut timeline, &mut buffer);
        }
    }
    streams.iter_mut().for_each(|stream| close(stream, &mut timeline));
    Ok(timeline)
}

fn open(plan: &Streams, poll: &Poll) -> Result<Vec<Stream>> {
    let mut streams = Vec::with_capacity(plan.count);
    for index in 0..plan.count {
        let socket = std::net::TcpStream::connect(plan.to)
            .with_context(|| format!("cannot open connection {} of {} to `{}`", index + 1, plan.count, plan.to))?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let mut socket = TcpStream::from_std(socket);
        poll.registry().register(&mut socket, Token(index), Interest::READABLE)?;
        streams.push(Stream { socket, scanner: Scanner::default(), events: Splitter::default(), open: true });
    }
    Ok(streams)
}

/// Ends a stream that has not ended by itself.
fn close(stream: &mut Stream, timeline: &mut Timeline) {
    if std::mem::take(&mut stream.open) {
        timeline.fail();
    }
}

/// Reads what has arrived and notes its tokens.
fn receive(stream: &mut Stream, index: usize, tokens: &TokenEvents, timeline: &mut Timeline, buffer: &mut [u8]) {
    while stream.open {
        let count = match stream.socket.read(buffer) {
            Ok(count) if count > 0 => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            _ => return close(stream, timeline),
        };
        let (now_ns, events) = (clock::now_ns(), &mut stream.events);
        let done = stream.scanner.feed(&buffer[..count], |part| {
            events.feed(part, |event| {
                if tokens.is_token(event) {
                    timeline.token(index, now_ns);
                }
            });
        });
        match done {
            Ok(true) if stream.scanner.status() == 200 => {
                stream.open = false;
                timeline.end(index);
            }
            Ok(false) if count < buffer.len() => return,
            Ok(false) => {}
            Ok(true) | Err(_) => close(stream, timeline),
        }
    }
}
