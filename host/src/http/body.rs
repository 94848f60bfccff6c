//! The body of a reply that plays: polled, it gives everything that is due as one frame, then sleeps until the next deadline.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use crate::behavior::fault::Cut;
use crate::clock::real::RealClock;
use crate::clock::{Clock, Nanos};
use crate::dialect::StreamRenderer;
use crate::dialect::spoil::Spoiler;
use crate::engine::pacer::Sleep;
use crate::engine::playback::{Ending, Moment, Playback, Stage};
use crate::http::drip::DrippedBody;
use crate::http::keeping::{self, Replies};
use crate::http::wire::WireState;
use crate::types::reply::StreamEvent;

/// How long a cut on HTTP/2 waits between looks at whether the bytes before it have left, in nanoseconds.
const DRAIN_LOOK_NS: u64 = 500_000;

/// What a cut does to this connection's bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutBy {
    /// The connection ends (HTTP/1.1).
    Connection,
    /// The stream is reset (HTTP/2).
    Stream,
}

/// Counts a request out when its body is gone.
pub struct InFlight(Arc<WireState>);

impl InFlight {
    /// Counts a request in.
    pub fn begin(wire: Arc<WireState>) -> Self {
        wire.request_began();
        Self(wire)
    }

    /// The connection's state.
    pub fn wire(&self) -> &Arc<WireState> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.request_ended();
    }
}

/// A reply's body, which counts its request as in flight until it is gone.
pub struct CountedBody {
    body: ReplyBody,
    _request: InFlight,
}

impl CountedBody {
    /// `body`, which answers `request`.
    pub fn new(body: ReplyBody, request: InFlight) -> Self {
        Self { body, _request: request }
    }
}

impl Body for CountedBody {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What a reply's body is. Bodies are values and not boxes, so that a reply costs no allocation for its kind.
pub enum ReplyBody {
    /// Bytes that go out as they are: refusals, lists of models.
    Plain(Bytes),
    /// A whole reply.
    Whole(WholeBody),
    /// A stream; boxed, because it is large and the others wait beside it.
    Stream(Box<StreamBody>),
    /// Any of them, drop by drop.
    Dripped(Box<DrippedBody>),
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        match self.get_mut() {
            Self::Plain(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Plain(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Whole(body) => Pin::new(body).poll_frame(context),
            Self::Stream(body) => Pin::new(&mut **body).poll_frame(context),
            Self::Dripped(body) => Pin::new(&mut **body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Plain(bytes) => bytes.is_empty(),
            Self::Whole(body) => body.is_end_stream(),
            Self::Stream(body) => body.is_end_stream(),
            Self::Dripped(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Plain(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Whole(body) => body.size_hint(),
            Self::Stream(body) => body.size_hint(),
            Self::Dripped(body) => body.size_hint(),
        }
    }
}

/// How a body's last bytes leave before the cut that follows them.
struct LastBytes {
    by: CutBy,
    held: Bytes,
    looked: bool,
}

impl LastBytes {
    fn of(by: CutBy) -> Self {
        Self { by, held: Bytes::new(), looked: false }
    }

    /// What of `bytes` leaves first. The HTTP/2 layer takes a frame whenever the client's window is open at all, but the next one only
    /// once everything before fits: so the last byte comes alone, and when it has been taken nothing waits for the window.
    fn first_of(&mut self, mut bytes: Bytes) -> Bytes {
        if self.by == CutBy::Stream && bytes.len() > 1 {
            self.held = bytes.split_off(bytes.len() - 1);
        }
        bytes
    }

    /// The rest, and then the end of the connection or the stream once all of it has left.
    fn poll_cut(
        &mut self,
        cut: Cut,
        wire: &WireState,
        sleep: &mut Sleep,
        now: u64,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if !self.held.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.held)))));
        }
        match self.by {
            CutBy::Connection => {
                wire.cut(cut);
                Poll::Pending
            }
            CutBy::Stream if self.looked && wire.is_drained() => Poll::Ready(Some(Err(stream_reset(cut)))),
            // A reset drops what still waits to be sent, so it has to come after. The connection's own task writes what we have handed
            // over before this one wakes.
            CutBy::Stream => {
                self.looked = true;
                let later = sleep.poll_until(now + DRAIN_LOOK_NS, now, context);
                debug_assert!(later.is_pending(), "it lies in the future");
                Poll::Pending
            }
        }
    }
}

/// A stream that plays.
pub struct StreamBody {
    playback: Box<Playback>,
    renderer: Box<dyn StreamRenderer>,
    sleep: Sleep,
    wire: Arc<WireState>,
    clock: RealClock,
    last_bytes: LastBytes,
    ended: bool,
    /// Does damage to what is rendered; boxed, because hardly any stream has one.
    spoiler: Option<Box<Spoiler>>,
    /// Where it is kept once it is over, if it is to be.
    replies: Option<Arc<Replies>>,
    /// Keeps its connection open; boxed, because hardly any scenario asks for it.
    pulse: Option<Box<Pulse>>,
    /// Do its bytes leave when they are handed over? If not, when they leave says nothing about the simulator.
    is_measured: bool,
}

impl StreamBody {
    /// The body that plays `playback`, whose head is about to leave.
    pub fn new(
        playback: Box<Playback>,
        renderer: Box<dyn StreamRenderer>,
        sleep: Sleep,
        wire: Arc<WireState>,
        clock: RealClock,
        cut_by: CutBy,
    ) -> Self {
        let last_bytes = LastBytes::of(cut_by);
        let (spoiler, pulse, replies) = (None, None, None);
        Self { playback, renderer, sleep, wire, clock, last_bytes, ended: false, spoiler, replies, pulse, is_measured: true }
    }

    /// The same with `spoiler`, if there is one.
    pub fn spoilt_by(mut self, spoiler: Option<Spoiler>) -> Self {
        self.spoiler = spoiler.map(Box::new);
        self
    }

    /// The same, kept among `replies` once it is over, if it is to be.
    pub fn kept_on(mut self, replies: Arc<Replies>) -> Self {
        self.replies = Some(replies);
        self
    }

    /// The same with `bytes` whenever nothing has been sent for `every` nanoseconds.
    pub fn kept_alive(mut self, every: Option<Nanos>, bytes: Option<&'static [u8]>) -> Self {
        let beat = |(every, bytes)| Box::new(Pulse { every, bytes, next: self.clock.now().saturating_add(every) });
        self.pulse = every.zip(bytes).map(beat);
        self
    }

    /// The same without a measure of when its bytes leave, if `unmeasured`.
    pub fn unmeasured(mut self, unmeasured: bool) -> Self {
        self.is_measured = !unmeasured;
        self
    }
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        this.playback.watch(context.waker());
        loop {
            let now = this.clock.now();
            let wire = this.is_measured.then_some(&*this.wire);
            let spoiler = this.spoiler.as_deref_mut();
            let arrival = this.playback.arrival();
            let mut page = Page { renderer: &mut *this.renderer, spoiler, out: BytesMut::new(), wire, due: None, arrival };
            let moment = this.playback.play(now, &mut page);
            let out = page.out.freeze();
            if moment == Moment::Done(Ending::Complete)
                && let Some(replies) = this.replies.take()
            {
                keeping::keep(&replies, this.renderer.kept());
            }
            if !out.is_empty() {
                if let Some(pulse) = &mut this.pulse {
                    pulse.next = now.saturating_add(pulse.every);
                }
                this.ended = matches!(moment, Moment::Done(Ending::Complete | Ending::Cut(Cut::End)));
                let is_cut = !this.ended && matches!(moment, Moment::Done(_));
                return Poll::Ready(Some(Ok(Frame::data(if is_cut { this.last_bytes.first_of(out) } else { out }))));
            }
            match moment {
                Moment::Wait(due) => {
                    let due = match &mut this.pulse {
                        Some(pulse) if pulse.next <= now => return Poll::Ready(Some(Ok(Frame::data(pulse.beat(now))))),
                        Some(pulse) => due.min(pulse.next),
                        None => due,
                    };
                    ready!(this.sleep.poll_until(due, now, context));
                }
                Moment::Done(Ending::Complete | Ending::Cut(Cut::End)) => {
                    this.ended = true;
                    return Poll::Ready(None);
                }
                Moment::Done(Ending::Cut(cut)) => {
                    return this.last_bytes.poll_cut(cut, &this.wire, &mut this.sleep, now, context);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

/// What is sent when nothing else is.
struct Pulse {
    every: Nanos,
    bytes: &'static [u8],
    /// When it is sent unless something else is before.
    next: Nanos,
}

impl Pulse {
    fn beat(&mut self, now: Nanos) -> Bytes {
        self.next = now.saturating_add(self.every);
        Bytes::from_static(self.bytes)
    }
}

/// The error that makes the HTTP/2 layer reset a stream the way `cut` wants it.
pub fn stream_reset(cut: Cut) -> h2::Error {
    match cut {
        Cut::Reset => h2::Reason::INTERNAL_ERROR.into(),
        Cut::Close | Cut::End => h2::Reason::NO_ERROR.into(),
    }
}

/// Renders events into one frame and marks their tokens.
struct Page<'a> {
    renderer: &'a mut dyn StreamRenderer,
    spoiler: Option<&'a mut Spoiler>,
    out: BytesMut,
    /// Where tokens are marked, if they are.
    wire: Option<&'a WireState>,
    /// When the token was due whose bytes have not come.
    due: Option<u64>,
    arrival: Nanos,
}

impl Stage for Page<'_> {
    fn due(&mut self, due: u64) {
        let is_withheld = self.spoiler.as_ref().is_some_and(|spoiler| spoiler.withholds());
        self.due = (!is_withheld).then_some(due);
        self.renderer.due(due.saturating_sub(self.arrival));
    }

    fn event(&mut self, event: &StreamEvent<'_>) {
        let before = self.out.len();
        match &mut self.spoiler {
            None => self.renderer.event(event, &mut self.out),
            Some(spoiler) => spoiler.event(self.renderer, event, &mut self.out),
        }
        // A token that is not shown leaves no bytes, and nothing can be said of when they leave.
        if let Some(wire) = self.wire.filter(|_| self.out.len() > before)
            && let Some(due) = self.due.take()
        {
            wire.mark(due, 1);
        }
    }

    fn strike(&mut self, _step: u32) {
        if let Some(spoiler) = &mut self.spoiler {
            spoiler.strike();
        }
    }

    fn is_over(&self) -> bool {
        self.spoiler.as_ref().is_some_and(|spoiler| spoiler.is_over())
    }
}

/// A whole reply, perhaps cut before its end.
pub struct WholeBody {
    bytes: Bytes,
    /// How many bytes the head announces.
    announced: u64,
    cut: Option<Cut>,
    last_bytes: LastBytes,
    sleep: Sleep,
    wire: Arc<WireState>,
    clock: RealClock,
    /// When it is due, if that is measured.
    due: Option<u64>,
}

impl WholeBody {
    /// A body of `bytes`, due at `due`.
    pub fn new(bytes: Bytes, due: u64, sleep: Sleep, wire: Arc<WireState>, clock: RealClock, cut_by: CutBy) -> Self {
        let announced = bytes.len() as u64;
        let last_bytes = LastBytes::of(cut_by);
        Self { bytes, announced, cut: None, last_bytes, sleep, wire, clock, due: Some(due) }
    }

    /// The same without a measure of when its bytes leave, if `unmeasured`.
    pub fn unmeasured(mut self, unmeasured: bool) -> Self {
        self.due = self.due.filter(|_| !unmeasured);
        self
    }

    /// The same with `cut` after `length` bytes. The head announces the whole, as that of a server that breaks would, and at least one
    /// byte never comes; if the early end shall be well-formed, the head announces what comes.
    pub fn cut_after(mut self, length: usize, cut: Cut) -> Self {
        if cut == Cut::End {
            self.bytes.truncate(length);
            self.announced = self.bytes.len() as u64;
        } else {
            self.bytes.truncate(length.min(self.bytes.len().saturating_sub(1)));
            self.cut = Some(cut);
        }
        self
    }
}

impl Body for WholeBody {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let this = self.get_mut();
        if !this.bytes.is_empty() {
            this.announced = 0;
            if let Some(due) = this.due {
                this.wire.mark(due, 1);
            }
            let bytes = std::mem::take(&mut this.bytes);
            return Poll::Ready(Some(Ok(Frame::data(if this.cut.is_some() { this.last_bytes.first_of(bytes) } else { bytes }))));
        }
        match this.cut {
            Some(cut) => this.last_bytes.poll_cut(cut, &this.wire, &mut this.sleep, this.clock.now(), context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty() && self.cut.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced)
    }
}
