//! The socket wrapper: where bytes really leave.
//!
//! Bodies *mark* the tokens they hand over; when the socket takes the bytes, the marks become lateness. A body that wants the
//! connection to end says so through [`WireState::cut`]; the cut happens after the last byte before it has been sent. A reply that
//! shall drip says so through [`WireState::drip`]. A sweep once a second ends connections that are too slow with their head or with
//! taking what is due.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::behavior::fault::Cut;
use crate::clock::real::RealClock;
use crate::clock::{Clock, Nanos};
use crate::engine::lateness;
use crate::http::drip::Dripper;
use crate::types::limits::{HEADER_READ_S, KEEP_ALIVE_IDLE_S, WRITE_STALL_S};

const CUT_NONE: u8 = 0;
const CUT_CLOSE: u8 = 1;
const CUT_RESET: u8 = 2;
/// A second counter that is not running.
const OFF: u32 = u32::MAX;
/// What a client says first that speaks HTTP/2.
const H2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The client has said something else first.
const NO_H2: u8 = u8::MAX;

/// What a connection and the bodies on it share.
pub struct WireState {
    clock: RealClock,
    /// Is there a socket at all?
    is_wired: bool,
    marks: Mutex<Vec<Mark>>,
    cut: AtomicU8,
    /// Does `dripper` hold one? The usual write looks at this alone.
    drips: AtomicBool,
    dripper: Mutex<Option<Box<Dripper>>>,
    in_flight: AtomicU32,
    /// How much of HTTP/2's preface the client has said, or [`NO_H2`].
    preface: AtomicU8,
    /// Seconds since a request head was begun and not completed. HTTP/2 has none: what comes there between requests may be anything.
    head_age_s: AtomicU32,
    /// Seconds since the last request ended, if none has begun.
    idle_age_s: AtomicU32,
    /// Seconds since the client stopped taking bytes.
    stall_age_s: AtomicU32,
    expired: Notify,
    /// What the connection becomes when the HTTP layer has let go of it.
    next: Mutex<Option<Next>>,
    /// Is the server about to stop?
    leaving: AtomicBool,
}

/// What a connection becomes.
pub type Next = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tokens handed over with one deadline.
struct Mark {
    due: Nanos,
    tokens: u32,
}

impl WireState {
    /// The state of a connection that has just been accepted: its head deadline runs.
    pub fn new(clock: RealClock) -> Arc<Self> {
        Self::of(clock, true)
    }

    /// The state of no connection, for what is asked without one: nothing is measured.
    pub fn of_nobody(clock: RealClock) -> Arc<Self> {
        Self::of(clock, false)
    }

    fn of(clock: RealClock, is_wired: bool) -> Arc<Self> {
        Arc::new(Self {
            clock,
            is_wired,
            marks: Mutex::default(),
            cut: AtomicU8::new(CUT_NONE),
            drips: AtomicBool::new(false),
            dripper: Mutex::default(),
            in_flight: AtomicU32::new(0),
            preface: AtomicU8::new(0),
            head_age_s: AtomicU32::new(0),
            idle_age_s: AtomicU32::new(OFF),
            stall_age_s: AtomicU32::new(OFF),
            expired: Notify::new(),
            next: Mutex::default(),
            leaving: AtomicBool::new(false),
        })
    }

    /// `tokens` tokens that were due at `due` go out with the bytes handed over next.
    pub fn mark(&self, due: Nanos, tokens: u32) {
        if !self.is_wired {
            return;
        }
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        match marks.last_mut() {
            Some(newest) if newest.due == due => newest.tokens += tokens,
            _ => marks.push(Mark { due, tokens }),
        }
    }

    /// Have all marked bytes been written, and does nothing else wait for the socket?
    pub fn is_drained(&self) -> bool {
        let is_blocked = self.stall_age_s.load(Ordering::Relaxed) != OFF;
        !is_blocked && self.marks.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Ends the connection as soon as everything handed over has been sent. HTTP/1.1 only: on HTTP/2 a stream is reset.
    pub fn cut(&self, cut: Cut) {
        let cut = match cut {
            Cut::Reset => CUT_RESET,
            Cut::Close | Cut::End => CUT_CLOSE,
        };
        self.cut.store(cut, Ordering::Release);
    }

    /// Lets everything that is handed over from now on drip, until the next request begins. HTTP/1.1 only: on HTTP/2 it would hold up
    /// other streams.
    pub fn drip(&self, dripper: Dripper) {
        *self.dripper.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(dripper));
        self.drips.store(true, Ordering::Release);
    }

    /// A request's head is complete.
    pub fn request_began(&self) {
        if self.drips.load(Ordering::Relaxed) {
            self.drips.store(false, Ordering::Release);
            *self.dripper.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.head_age_s.store(OFF, Ordering::Relaxed);
        self.idle_age_s.store(OFF, Ordering::Relaxed);
    }

    /// A request's reply is complete or given up.
    pub fn request_ended(&self) {
        if self.in_flight.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.idle_age_s.store(0, Ordering::Relaxed);
        }
    }

    /// The client has said `bytes`.
    fn heard(&self, bytes: &[u8]) {
        let is_h2 = self.speaks_h2(bytes);
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            return;
        }
        if is_h2 {
            // Settings, pings and windows are no head of a request, and nothing that an idle connection could not say.
            self.head_age_s.store(OFF, Ordering::Relaxed);
            let _ = self.idle_age_s.compare_exchange(OFF, 0, Ordering::Relaxed, Ordering::Relaxed);
        } else {
            let _ = self.head_age_s.compare_exchange(OFF, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Does the client speak HTTP/2, as far as it has said, `bytes` the last of it?
    fn speaks_h2(&self, bytes: &[u8]) -> bool {
        let said = self.preface.load(Ordering::Relaxed);
        let Some(rest) = H2_PREFACE.get(usize::from(said)..).filter(|rest| !rest.is_empty()) else { return said != NO_H2 };
        let length = rest.len().min(bytes.len());
        let said = if bytes[..length] == rest[..length] { said + length as u8 } else { NO_H2 };
        self.preface.store(said, Ordering::Relaxed);
        usize::from(said) == H2_PREFACE.len()
    }

    /// Is it nothing but idle, and neither slow with a head nor with taking bytes?
    pub fn is_idle(&self) -> bool {
        let is_off = |age: &AtomicU32| age.load(Ordering::Relaxed) == OFF;
        is_off(&self.head_age_s) && is_off(&self.stall_age_s) && !is_off(&self.idle_age_s)
    }

    /// Another second has passed; ends the connection if it is past a deadline.
    pub fn second_passed(&self) {
        let past = |age: &AtomicU32, limit_s: u64| {
            let seconds = age.load(Ordering::Relaxed);
            if seconds == OFF {
                return false;
            }
            age.store(seconds + 1, Ordering::Relaxed);
            u64::from(seconds) >= limit_s
        };
        let head = past(&self.head_age_s, HEADER_READ_S);
        let stall = past(&self.stall_age_s, WRITE_STALL_S);
        if past(&self.idle_age_s, KEEP_ALIVE_IDLE_S) || head || stall {
            self.expired.notify_one();
        }
    }

    /// Ready when the connection is past a deadline.
    pub async fn expired(&self) {
        self.expired.notified().await;
    }

    /// The connection becomes `next` when the HTTP layer has let go of it.
    pub fn becomes(&self, next: Next) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
    }

    /// What the connection becomes now.
    pub fn take_next(&self) -> Option<Next> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The server is about to stop: what the connection has become shall end when it can.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    /// Shall it end when it can?
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    /// The client takes nothing more for now. Begins to count only if it is not counting already.
    fn blocked(&self) {
        let _ = self.stall_age_s.compare_exchange(OFF, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Something has left, and more waits: the reply of a request that counts as ended is not over for its client.
    fn wrote_some(&self) {
        self.stall_age_s.store(OFF, Ordering::Relaxed);
        if self.idle_age_s.load(Ordering::Relaxed) != OFF {
            self.idle_age_s.store(0, Ordering::Relaxed);
        }
    }

    fn wrote_all(&self) {
        self.stall_age_s.store(OFF, Ordering::Relaxed);
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if !marks.is_empty() {
            let now = self.clock.now();
            marks.drain(..).for_each(|mark| lateness::record(mark.due, now, mark.tokens));
        }
    }
}

/// A socket with its state.
pub struct Wire {
    socket: TcpStream,
    state: Arc<WireState>,
    last_bytes: LastBytes,
}

impl Wire {
    /// Wraps `socket`.
    pub fn new(socket: TcpStream, state: Arc<WireState>) -> Self {
        Self { socket, state, last_bytes: LastBytes::default() }
    }

    /// Writes as much of `bytes` as may leave by now. A client that is made to wait is not a client that takes nothing.
    fn poll_drip(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let state = Arc::clone(&self.state);
        let mut dripper = state.dripper.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(dripper) = dripper.as_mut() else {
            return Pin::new(&mut self.socket).poll_write(context, bytes);
        };
        let may = ready!(dripper.poll_take(bytes.len(), context));
        let result = Pin::new(&mut self.socket).poll_write(context, &bytes[..may]);
        if let Poll::Ready(Ok(taken)) = &result {
            dripper.took(*taken);
        }
        self.wrote(result, bytes.len())
    }

    fn wrote(&self, result: Poll<io::Result<usize>>, offered: usize) -> Poll<io::Result<usize>> {
        match &result {
            Poll::Ready(Ok(taken)) if *taken == offered => self.state.wrote_all(),
            Poll::Pending => self.state.blocked(),
            Poll::Ready(Ok(_)) => self.state.wrote_some(),
            Poll::Ready(Err(_)) => {}
        }
        result
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.socket).poll_read(context, buffer);
        if let Some(heard @ [_, ..]) = buffer.filled().get(before..) {
            self.state.heard(heard);
        }
        result
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.state.drips.load(Ordering::Acquire) && !bytes.is_empty() {
            return self.poll_drip(context, bytes);
        }
        let result = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.wrote(result, bytes.len())
    }

    /// No, although the socket could: the HTTP/2 layer then copies frames of up to a kilobyte into one buffer instead of writing each by
    /// itself, which is one system call for all tokens that are due together.
    fn is_write_vectored(&self) -> bool {
        false
    }

    /// The HTTP layer flushes when it has handed everything over: the exact place to cut.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let cut = self.state.cut.load(Ordering::Acquire);
        if cut == CUT_NONE {
            return Pin::new(&mut self.socket).poll_flush(context);
        }
        if cut == CUT_RESET {
            // A reset drops what the kernel still holds for a slow client, so it has to come after.
            let this = self.as_mut().get_mut();
            if this.last_bytes.poll_sent(&this.socket, context)?.is_pending() {
                this.state.blocked();
                return Poll::Pending;
            }
            // No lingering: closing sends RST at once.
            socket2::SockRef::from(&self.socket).set_linger(Some(Duration::ZERO))?;
        }
        Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "cut by a fault")))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

/// Waits until the kernel has sent everything that was written to a socket. Linux: a second registration of the socket, which
/// becomes writable when nothing is left unsent.
#[cfg(target_os = "linux")]
#[derive(Default)]
struct LastBytes(Option<tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>>);

#[cfg(target_os = "linux")]
impl LastBytes {
    #[allow(deprecated, reason = "its successor is unsafe for descriptors that nobody owns; this one owns its twin")]
    fn poll_sent(&mut self, socket: &TcpStream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        use std::os::fd::AsFd;
        let twin = match &self.0 {
            Some(twin) => twin,
            None => {
                // From here on "writable" means that less than one byte is unsent.
                socket2::SockRef::from(socket).set_tcp_notsent_lowat(1)?;
                let twin = socket.as_fd().try_clone_to_owned()?;
                self.0.insert(tokio::io::unix::AsyncFd::with_interest(twin, tokio::io::Interest::WRITABLE)?)
            }
        };
        twin.poll_write_ready(context).map(|sent| sent.map(drop))
    }
}

/// Elsewhere than on Linux nothing tells how much is unsent, and a reset may overtake what a slow client has not taken.
#[cfg(not(target_os = "linux"))]
#[derive(Default)]
struct LastBytes;

#[cfg(not(target_os = "linux"))]
impl LastBytes {
    fn poll_sent(&mut self, _socket: &TcpStream, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn state() -> Arc<WireState> {
        WireState::new(RealClock::start())
    }

    /// Is the connection ended by then?
    fn ends_within(state: &WireState, seconds: u64) -> bool {
        (0..seconds).for_each(|_| state.second_passed());
        state.expired().now_or_never().is_some()
    }

    fn asks(state: &WireState) {
        state.request_began();
        state.request_ended();
    }

    #[test]
    fn a_head_that_does_not_become_complete_ends_a_connection_and_a_complete_one_does_not() {
        assert!(ends_within(&state(), HEADER_READ_S + 1), "nothing was said");
        let slow = state();
        slow.heard(b"GET /v1/mod");
        assert!(!ends_within(&slow, HEADER_READ_S) && ends_within(&slow, 1));
        let second = state();
        second.heard(b"GET / HTTP/1.1\r\n\r\n");
        asks(&second);
        assert!(!ends_within(&second, KEEP_ALIVE_IDLE_S) && second.is_idle());
        second.heard(b"G");
        assert!(!second.is_idle());
        let long = state();
        long.heard(b"POST / HTTP/1.1\r\n\r\n");
        long.request_began();
        long.heard(b"more of a body");
        assert!(!ends_within(&long, 10 * KEEP_ALIVE_IDLE_S));
    }

    #[test]
    fn an_idle_connection_ends_after_its_time() {
        let state = state();
        asks(&state);
        assert!(!ends_within(&state, KEEP_ALIVE_IDLE_S) && ends_within(&state, 1) && state.is_idle());
    }

    #[test]
    fn a_client_that_takes_a_long_reply_slowly_is_not_idle() {
        let state = state();
        asks(&state);
        for _ in 0..2 * KEEP_ALIVE_IDLE_S {
            state.second_passed();
            state.wrote_some();
            state.blocked();
        }
        assert!(state.expired().now_or_never().is_none());
        assert!(ends_within(&state, WRITE_STALL_S + 1), "it takes nothing any more");
    }

    #[test]
    fn http_2_has_no_heads_between_requests() {
        let settings = b"\0\0\0\x04\x01\0\0\0\0";
        let state = state();
        // However the preface is cut.
        H2_PREFACE.chunks(5).for_each(|part| state.heard(part));
        assert!(!ends_within(&state, HEADER_READ_S + 1) && state.is_idle());
        asks(&state);
        for _ in 0..KEEP_ALIVE_IDLE_S {
            state.heard(settings);
            state.second_passed();
        }
        assert!(state.expired().now_or_never().is_none() && state.is_idle());
        assert!(ends_within(&state, 1), "what is no request does not make it less idle");
    }

    #[test]
    fn a_preface_that_never_ends_is_a_head_that_never_ends() {
        for said in [&b"PRI * HTTP/2"[..], b"PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n", b"PUT / HTTP/1.1\r\n"] {
            let state = state();
            state.heard(said);
            assert!(ends_within(&state, HEADER_READ_S + 1));
        }
    }
}
