//! Request after request over keep-alive HTTP/1.1 connections, on one thread and one epoll.
//!
//! Two paces. *Busy* keeps every connection asking: it finds what the server can do. *Rate* asks at planned moments and counts
//! each latency from the planned one, so that a server that stalls is charged for everything that had to wait. A rate run never
//! sleeps: its waiting would be coarser than what it measures.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::child::usage::Usage;
use crate::clock;
use crate::load::response::Scanner;

/// More connections than this lost in one run, and the run is given up.
const LOST_MAX: u64 = 1_000;
/// Bytes that one read may return.
const READ_BYTES: usize = 64 * 1024;

/// When requests are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// The next one when the last one is answered, on every connection.
    Busy,
    /// So many a second, all connections together, at planned moments.
    Rate(f64),
}

/// One run of load.
#[derive(Debug, Clone, Copy)]
pub struct Drive<'a> {
    /// Where the server is.
    pub to: SocketAddr,
    /// The server's process, whose CPU time is read.
    pub pid: u32,
    /// What is sent, in turn.
    pub requests: &'a [Vec<u8>],
    /// Connections held open.
    pub connections: usize,
    /// When requests are sent.
    pub pace: Pace,
    /// Load before anything is counted.
    pub warm_up: Duration,
    /// Load that is counted.
    pub measure: Duration,
}

/// What a run found.
#[derive(Debug)]
pub struct Outcome {
    /// Answers with a status of 2xx.
    pub completed: u64,
    /// Answers with another status.
    pub refused: u64,
    /// Connections that broke in the middle of an answer or before one.
    pub lost: u64,
    /// Bytes of bodies.
    pub body_bytes: u64,
    /// What the counted part cost.
    pub used: Usage,
    /// From the planned (or actual, if busy) moment of sending to the last byte, in nanoseconds.
    pub latency: Histogram<u64>,
    /// From the planned to the actual moment of sending, in nanoseconds; empty if busy. Waiting for a free connection is in it.
    pub send_lag: Histogram<u64>,
}

impl Outcome {
    /// Answers a second.
    pub fn per_second(&self) -> f64 {
        self.completed as f64 * 1e9 / self.used.at_ns.max(1) as f64
    }
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    scanner: Scanner,
    asked_ns: u64,
    request: usize,
    sent: usize,
    busy: bool,
}

struct Run<'a> {
    drive: Drive<'a>,
    poll: Poll,
    connections: Vec<Connection>,
    idle: VecDeque<usize>,
    next_request: usize,
    outcome: Outcome,
    buffer: Vec<u8>,
    /// Time spent looking for answers that had not come: no work, though it is CPU time.
    spun_ns: u64,
}

/// How long the generator looks again before it sleeps. Waking a sleeper costs the *server* more than a small answer does, and a faster
/// server meets a busier, more wakeful generator: without this the slower of two servers would pay twice.
const SPIN_NS: u64 = 200_000;

/// Makes load as `drive` says; an answer that is no HTTP, or a server that keeps hanging up, is an error.
pub fn run(drive: Drive<'_>) -> Result<Outcome> {
    let mut run = Run::open(drive)?;
    let counted_from_ns = clock::now_ns() + drive.warm_up.as_nanos() as u64;
    run.play_until(counted_from_ns)?;
    let before = Usage::read(drive.pid)?;
    run.outcome = empty();
    run.spun_ns = 0;
    let end_ns = before.at_ns + drive.measure.as_nanos() as u64;
    run.play_until(end_ns)?;
    run.outcome.used = Usage::read(drive.pid)?.since(&before);
    run.outcome.used.forget_load(run.spun_ns);
    Ok(run.outcome)
}

fn empty() -> Outcome {
    let histogram = || Histogram::new_with_bounds(100, 60_000_000_000, 3).expect("the bounds are constant");
    let (latency, send_lag) = (histogram(), histogram());
    Outcome { completed: 0, refused: 0, lost: 0, body_bytes: 0, used: Usage::default(), latency, send_lag }
}

fn connect(to: SocketAddr) -> Result<TcpStream> {
    let stream = std::net::TcpStream::connect(to).with_context(|| format!("cannot connect to `{to}`"))?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(TcpStream::from_std(stream))
}

impl<'a> Run<'a> {
    fn open(drive: Drive<'a>) -> Result<Self> {
        let poll = Poll::new().context("cannot make an epoll")?;
        let mut connections = Vec::with_capacity(drive.connections);
        for index in 0..drive.connections {
            let mut stream = connect(drive.to)?;
            poll.registry().register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
            connections.push(Connection { stream, scanner: Scanner::default(), asked_ns: 0, request: 0, sent: 0, busy: false });
        }
        let idle = (0..drive.connections).collect();
        Ok(Self { drive, poll, connections, idle, next_request: 0, outcome: empty(), buffer: vec![0; READ_BYTES], spun_ns: 0 })
    }

    fn play_until(&mut self, end_ns: u64) -> Result<()> {
        let mut events = Events::with_capacity(1024);
        let gap_ns = match self.drive.pace {
            Pace::Busy => 0.0,
            Pace::Rate(per_second) => 1e9 / per_second.max(1e-3),
        };
        let (start_ns, mut asked) = (clock::now_ns(), 0_u64);
        let mut newest_ns = start_ns;
        loop {
            let now_ns = clock::now_ns();
            if now_ns >= end_ns {
                return Ok(());
            }
            while let Some(&free) = self.idle.front() {
                let planned_ns = if gap_ns > 0.0 { start_ns + (asked as f64 * gap_ns) as u64 } else { now_ns };
                if planned_ns > now_ns {
                    break;
                }
                self.idle.pop_front();
                asked += 1;
                self.ask(free, planned_ns)?;
            }
            let spins = gap_ns > 0.0 || now_ns < newest_ns + SPIN_NS;
            match self.poll.poll(&mut events, Some(if spins { Duration::ZERO } else { Duration::from_millis(20) })) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
                _ => {}
            }
            if events.is_empty() {
                self.spun_ns += if spins { clock::now_ns() - now_ns } else { 0 };
            } else {
                newest_ns = now_ns;
            }
            for event in &events {
                self.progress(event.token().0, event.is_readable() || event.is_read_closed())?;
            }
        }
    }

    /// Sends the next request on a free connection; it was planned for `planned_ns`.
    fn ask(&mut self, index: usize, planned_ns: u64) -> Result<()> {
        if matches!(self.drive.pace, Pace::Rate(_)) {
            self.outcome.send_lag.saturating_record(clock::now_ns().saturating_sub(planned_ns));
        }
        let request = self.next_request;
        self.next_request = (request + 1) % self.drive.requests.len();
        let connection = &mut self.connections[index];
        (connection.asked_ns, connection.request, connection.sent, connection.busy) = (planned_ns, request, 0, true);
        connection.scanner.reset();
        self.send(index)
    }

    /// Writes what is left of a connection's request.
    fn send(&mut self, index: usize) -> Result<()> {
        let connection = &mut self.connections[index];
        let request = &self.drive.requests[connection.request];
        while connection.sent < request.len() {
            match connection.stream.write(&request[connection.sent..]) {
                Ok(count) => connection.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.replace(index),
            }
        }
        Ok(())
    }

    fn progress(&mut self, index: usize, readable: bool) -> Result<()> {
        let connection = &self.connections[index];
        if connection.busy && connection.sent < self.drive.requests[connection.request].len() {
            self.send(index)?;
        }
        if readable { self.receive(index) } else { Ok(()) }
    }

    /// Reads until the socket is empty. A read that did not fill the buffer has emptied it: what comes later is a new event.
    fn receive(&mut self, index: usize) -> Result<()> {
        loop {
            let connection = &mut self.connections[index];
            let count = match connection.stream.read(&mut self.buffer) {
                Ok(0) => return self.replace(index),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return self.replace(index),
            };
            if connection.scanner.feed(&self.buffer[..count], |_| {})? {
                return self.answered(index);
            }
            if count < self.buffer.len() {
                return Ok(());
            }
        }
    }

    fn answered(&mut self, index: usize) -> Result<()> {
        let now_ns = clock::now_ns();
        let connection = &mut self.connections[index];
        connection.busy = false;
        self.outcome.body_bytes += connection.scanner.body_bytes();
        self.outcome.latency.saturating_record(now_ns.saturating_sub(connection.asked_ns));
        if (200..300).contains(&connection.scanner.status()) {
            self.outcome.completed += 1;
        } else {
            self.outcome.refused += 1;
        }
        match self.drive.pace {
            Pace::Busy => self.ask(index, now_ns),
            Pace::Rate(_) => {
                self.idle.push_back(index);
                Ok(())
            }
        }
    }

    /// Puts a new connection in the place of a broken one. Its request is lost if it had one.
    fn replace(&mut self, index: usize) -> Result<()> {
        let mut stream = connect(self.drive.to)?;
        self.poll.registry().register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
        let connection = &mut self.connections[index];
        connection.stream = stream;
        if std::mem::take(&mut connection.busy) {
            self.outcome.lost += 1;
            self.idle.push_back(index);
        }
        if self.outcome.lost > LOST_MAX {
            bail!("`{}` broke more than {LOST_MAX} connections; the run is given up", self.drive.to);
        }
        Ok(())
    }
}
