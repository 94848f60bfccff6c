//! The life of a request: read the body, parse, plan, wait until the head is due, send a body that plays. The same for all dialects.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version, header};
use http_body_util::BodyExt;
use hyper::body::Body;

use crate::behavior::fault::{Cut, Damage};
use crate::clock::Clock;
use crate::clock::real::RealClock;
use crate::dialect::spoil::Spoiler;
use crate::dialect::{Dialect, Endpoint, HeaderFacts, Inbound, Parsed, Silent, Voice};
use crate::engine::pacer::{Pacer, Sleep};
use crate::engine::playback::{Ending, Head as Leaving, Playback};
use crate::engine::{Begun, Engine, Origin};
use crate::http::batches::Bulks;
use crate::http::body::{CutBy, ReplyBody, StreamBody, WholeBody};
use crate::http::drip::{DrippedBody, Dripper};
use crate::http::error_reply::{mark, mark_fallbacks, respond};
use crate::http::keeping::{self, Replies};
use crate::http::server_timing::{SERVER_TIMING, server_timing};
use crate::http::wire::WireState;
use crate::http::written::Written;
use crate::plan::verdict::{Action, Outcome};
use crate::plan::{Plan, identity};
use crate::random::Key;
use crate::types::allowance::Allowance;
use crate::types::api_error::ApiError;
use crate::types::limits::{BODY_BYTES_MAX, BODY_IDLE_S};
use crate::types::overrides::Overrides;
use crate::types::reply::Head;
use crate::types::usage::Usage;

/// The header in which a client names a request's identity itself.
pub const IDENTITY: HeaderName = HeaderName::from_static("x-simwright-identity");
/// The header in which vendors' SDKs say which attempt this is.
pub const RETRY_COUNT: HeaderName = HeaderName::from_static("x-stainless-retry-count");
/// Tells proxies to pass a stream on as it comes.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// Headers of an answer, so that their map need not grow.
const HEADERS_USUAL: usize = 18;

/// What every request on one worker shares.
pub struct Door {
    /// The player.
    pub engine: Arc<Engine>,
    /// This worker's pacer.
    pub pacer: Arc<Pacer>,
    /// Replies that clients come back to.
    pub replies: Arc<Replies>,
    /// Files and batches.
    pub bulks: Arc<Bulks>,
    /// How many realtime sessions it has.
    pub sessions: AtomicUsize,
    /// What these keep, in bytes.
    pub session_bytes: AtomicUsize,
}

/// One request on its way through the door.
pub struct Visit {
    /// The worker's door.
    pub door: Arc<Door>,
    /// The connection's state.
    pub wire: Arc<WireState>,
    /// Who speaks.
    pub dialect: &'static dyn Dialect,
}

impl Visit {
    /// Answers what is asked of `endpoint`, in two parts: what reads and plans is large and short, so it lives in a box of its own; what
    /// then waits for the head's deadline, perhaps for minutes, is small. `target` is what the endpoint leaves open of path and query.
    pub fn ask(
        self,
        endpoint: &'static dyn Endpoint,
        target: String,
        request: Request<impl Body<Data = Bytes, Error: Display> + Send + Unpin>,
    ) -> impl Future<Output = Response<ReplyBody>> + Send {
        let prepared = Box::pin(self.prepare(endpoint, target, request));
        async move {
            // A statement of its own, so that the box is gone before the waiting begins.
            let prepared = prepared.await;
            match prepared {
                Ok((performance, playback, streams)) => performance.run(playback, streams).await,
                Err(response) => *response,
            }
        }
    }

    /// Reads, parses and plans. The error is the answer to a request that cannot be planned.
    async fn prepare(
        self,
        endpoint: &'static dyn Endpoint,
        target: String,
        request: Request<impl Body<Data = Bytes, Error: Display> + Send + Unpin>,
    ) -> Result<Prepared, Box<Response<ReplyBody>>> {
        let arrival = self.door.engine.clock().now();
        let cut_by = if request.version() == Version::HTTP_2 { CutBy::Stream } else { CutBy::Connection };
        let (parts, body) = request.into_parts();
        let origin = Origin { endpoint: Some(endpoint), ..origin_of(&parts.headers, arrival) };
        let body = read(body).await.map_err(|error| Box::new(self.error(&error)))?;
        // Chosen before the body is parsed, because what it may say and what the path means is the generation's to decide.
        let chosen = self.door.engine.choose(origin, &[target.as_bytes(), &body]);
        let generation = Arc::clone(chosen.generation());
        let parse = || {
            let (manners, routes) = (generation.scenario.api, &generation.scenario.routes[..]);
            let overrides = if manners.has_overrides { Overrides::read(&parts.headers)? } else { None };
            let inbound = Inbound { target: &target, headers: parts.headers, body, manners, routes, deployment: None };
            let Parsed { mut request, mut voice } = endpoint.parse(inbound)?;
            keeping::resume(&self.door.replies, &mut *voice, &mut request)?;
            request.overrides = overrides;
            Ok(Parsed { request, voice })
        };
        let refused = |error| Box::new(self.refuse(&error, arrival, generation.number));
        let Parsed { request, voice } = parse().map_err(refused)?;
        let streams = request.streams;
        let created_unix_s = self.door.engine.unix_s(arrival);
        let head = Head { id: 0, created_unix_s, model: request.model.clone(), fingerprint: 0, usage: Usage::default() };
        match self.door.engine.begin(chosen, Arc::new(request), origin).await {
            Ok(Begun { playback, allowance }) => {
                let performance = Performance { visit: self, cut_by, voice, head, allowance };
                Ok((Box::new(performance), playback, streams))
            }
            Err(error) => Err(refused(error)),
        }
    }

    /// Refuses a request that has not been planned.
    pub fn error(&self, error: &ApiError) -> Response<ReplyBody> {
        let engine = &self.door.engine;
        self.refuse(error, engine.clock().now(), engine.running().generation.number)
    }

    /// The answer of generation `generation` to a request that was never planned; it counts under no model.
    fn refuse(&self, error: &ApiError, arrival: u64, generation: u64) -> Response<ReplyBody> {
        let engine = &self.door.engine;
        let now = engine.clock().now();
        engine.unplanned(error.status, now);
        let facts = HeaderFacts {
            request_id: Key::of_seed(arrival).bits(),
            processing_ms: since_ms(arrival, now),
            now_unix_ms: engine.clock().unix_ms(now),
            allowance: None,
        };
        respond(error, self.dialect, &facts, generation)
    }
}

fn since_ms(arrival: u64, now: u64) -> u32 {
    u32::try_from(now.saturating_sub(arrival) / 1_000_000).unwrap_or(u32::MAX)
}

/// A planned request, and whether it streams. Boxes, because it is handed from one waiting to the next, and each would keep a copy.
type Prepared = (Box<Performance>, Box<Playback>, bool);

/// A planned request on its way out.
struct Performance {
    visit: Visit,
    cut_by: CutBy,
    voice: Box<dyn Voice>,
    head: Head,
    allowance: Allowance,
}

impl Performance {
    async fn run(mut self: Box<Self>, mut playback: Box<Playback>, streams: bool) -> Response<ReplyBody> {
        let plan = playback.plan();
        self.head.id = plan.events.named("reply-id").bits();
        self.head.usage = plan.told;
        self.head.fingerprint = Key::of_seed(plan.generation.seed).named("fingerprint").bits();
        if let Outcome::Refuse(error) = &plan.outcome {
            let error = error.clone();
            return self.refuse(&mut playback, &error);
        }
        let mut sleep = Sleep::on(Arc::clone(&self.visit.door.pacer));
        match playback.before_head() {
            None => {}
            Some(Action::Hang(hang)) => {
                sleep.until(playback.arrival() + hang.as_nanos() as u64).await;
                return self.vanish(playback, Cut::Close).await;
            }
            Some(Action::Cut(cut)) => return self.vanish(playback, cut).await,
            Some(Action::ErrorEvent(message)) => {
                return self.refuse(&mut playback, &ApiError::of_status(500, message));
            }
            // A stall is part of the waiting, and the others never come before the head.
            Some(Action::Stall(_) | Action::Damage(_) | Action::Drip(_) | Action::Finish(_)) => {}
        }
        if streams { self.stream(playback, sleep).await } else { self.whole(playback, sleep).await }
    }

    async fn stream(self: Box<Self>, mut playback: Box<Playback>, mut sleep: Sleep) -> Response<ReplyBody> {
        let door = &self.visit.door;
        let clock = *door.engine.clock();
        if let Err(error) = leaves(&mut playback, &mut sleep, clock, Playback::head).await {
            return self.refuse(&mut playback, &error);
        }
        let spoils = Spoils::of(playback.plan());
        let mut response = self.answer(&playback, clock.now());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, spoils.content_type(self.voice.stream_type()));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
        if spoils.damage == Some(Damage::EmptyBody) {
            playback.end(200, clock.now(), true);
            return response;
        }
        let renderer = self.voice.stream(&self.head);
        let drip = self.drip(&spoils);
        let alive_every = playback.plan().generation.scenario.api.keep_alive_us.map(|us| us * 1_000);
        let keep_alive = self.voice.keep_alive();
        let body = StreamBody::new(playback, renderer, sleep, self.visit.wire, clock, self.cut_by)
            .kept_alive(alive_every, keep_alive)
            .spoilt_by(spoils.damage.map(Spoiler::of))
            .kept_on(Arc::clone(&self.visit.door.replies))
            .unmeasured(spoils.drip.is_some());
        *response.body_mut() = dripped(ReplyBody::Stream(Box::new(body)), drip);
        response
    }

    async fn whole(mut self: Box<Self>, mut playback: Box<Playback>, mut sleep: Sleep) -> Response<ReplyBody> {
        let door = &self.visit.door;
        let clock = *door.engine.clock();
        let spoils = Spoils::of(playback.plan());
        if let Err(error) = leaves(&mut playback, &mut sleep, clock, Playback::whole).await {
            return self.refuse(&mut playback, &error);
        }
        let Written { out, error, due, ending } = if self.voice.takes_long() {
            Box::pin(self.write_elsewhere(&mut playback, &spoils)).await
        } else {
            self.write(&mut playback, &spoils)
        };
        if due > playback.arrival() {
            sleep.until(due).await;
        }
        if let Some(message) = error {
            return self.refuse(&mut playback, &ApiError::of_status(500, message));
        }
        let (step, steps) = playback.progress();
        let cut = match ending {
            Ending::Complete => None,
            Ending::Cut(cut) if step == 0 => return self.vanish(playback, cut).await,
            Ending::Cut(cut) => Some((cut, out.len() * step as usize / steps as usize)),
        };
        let now = clock.now();
        let mut response = self.answer(&playback, now);
        let status = self.voice.status();
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
        response.headers_mut().insert(header::CONTENT_TYPE, spoils.content_type(self.voice.whole_type()));
        // What is asked for and is no failure counts as answered, whatever its number.
        playback.end(if status < 400 { 200 } else { status }, now, true);
        if spoils.damage == Some(Damage::EmptyBody) {
            return response;
        }
        let drip = self.drip(&spoils);
        let body =
            WholeBody::new(out.freeze(), due, sleep, self.visit.wire, clock, self.cut_by).unmeasured(spoils.drip.is_some());
        let body = ReplyBody::Whole(match cut {
            Some((cut, length)) => body.cut_after(length, cut),
            None => body,
        });
        *response.body_mut() = dripped(body, drip);
        response
    }

    /// Plays a whole reply to its end at once and renders it: what then waits to leave is bytes and nothing else.
    fn write(&self, playback: &mut Playback, spoils: &Spoils) -> Written {
        let (mut written, gathered) = Written::of(playback, spoils.damage);
        if written.error.is_none() {
            let reply = &gathered.reply;
            written.out.reserve(reply.choices.iter().map(|choice| choice.content.len() + 512).sum());
            self.voice.whole(&self.head, reply, &mut written.out);
            if written.ending == Ending::Complete {
                keeping::keep(&self.visit.door.replies, self.voice.kept(&self.head, &written.out));
            }
            gathered.spoil(playback, &mut written.out);
        }
        written
    }

    /// The same on a thread for which no stream waits. What takes long are vectors and lists, to which nobody comes back: nothing is kept.
    async fn write_elsewhere(&mut self, playback: &mut Playback, spoils: &Spoils) -> Written {
        let (mut written, mut gathered) = Written::of(playback, spoils.damage);
        if written.error.is_some() {
            return written;
        }
        let (voice, head) = (std::mem::replace(&mut self.voice, Box::new(Silent)), self.head.clone());
        let reply = std::mem::take(&mut gathered.reply);
        let work = tokio::task::spawn_blocking(move || {
            let mut out = BytesMut::new();
            voice.whole(&head, &reply, &mut out);
            (voice, out)
        });
        (self.voice, written.out) = match work.await.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(done) => done,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The server ends, and nobody asks for this any more.
            Err(Err(_)) => std::future::pending().await,
        };
        gathered.spoil(playback, &mut written.out);
        written
    }

    /// Begins the drip that is planned. On HTTP/1.1 the wire does it; on HTTP/2 it is for the body.
    fn drip(&self, spoils: &Spoils) -> Option<Dripper> {
        let sleep = Sleep::on(Arc::clone(&self.visit.door.pacer));
        let dripper = Dripper::begin(spoils.drip?, sleep, *self.visit.door.engine.clock());
        match self.cut_by {
            CutBy::Connection => {
                self.visit.wire.drip(dripper);
                None
            }
            CutBy::Stream => Some(dripper),
        }
    }

    /// An empty 200 with the headers that every answer has.
    fn answer(&self, playback: &Playback, now: u64) -> Response<ReplyBody> {
        let mut response = Response::new(ReplyBody::Plain(Bytes::new()));
        let headers = response.headers_mut();
        headers.reserve(HEADERS_USUAL);
        self.visit.dialect.headers(&self.facts(playback, now), headers);
        let plan = playback.plan();
        mark(headers, plan.generation.number);
        mark_fallbacks(headers, &plan.fallbacks);
        headers.extend(timing_of(playback, now));
        response
    }

    fn refuse(&self, playback: &mut Playback, error: &ApiError) -> Response<ReplyBody> {
        let own = self.voice.refusal(error);
        let error = own.as_ref().unwrap_or(error);
        let now = self.visit.door.engine.clock().now();
        let timing = timing_of(playback, now);
        playback.end(error.status, now, false);
        let plan = playback.plan();
        let facts = self.facts(playback, now);
        let mut response = respond(error, self.visit.dialect, &facts, plan.generation.number);
        mark_fallbacks(response.headers_mut(), &plan.fallbacks);
        response.headers_mut().extend(timing);
        response
    }

    /// Ends the connection or stream without a byte.
    async fn vanish(self: Box<Self>, mut playback: Box<Playback>, cut: Cut) -> Response<ReplyBody> {
        playback.end(0, self.visit.door.engine.clock().now(), false);
        match self.cut_by {
            CutBy::Connection => {
                self.visit.wire.cut(cut);
                std::future::pending().await
            }
            CutBy::Stream => {
                let mut response = Response::new(ReplyBody::Plain(Bytes::new()));
                response.extensions_mut().insert(Vanished(cut));
                response
            }
        }
    }

    fn facts(&self, playback: &Playback, now: u64) -> HeaderFacts {
        let processing_ms = since_ms(playback.arrival(), now);
        let now_unix_ms = self.visit.door.engine.clock().unix_ms(now);
        HeaderFacts { request_id: self.head.id, processing_ms, now_unix_ms, allowance: Some(self.allowance) }
    }
}

/// The header that says what stages have done to a request.
fn timing_of(playback: &Playback, now: u64) -> Option<(HeaderName, HeaderValue)> {
    let (marks, stages) = playback.marks(now)?;
    Some((SERVER_TIMING, server_timing(&marks, stages)?))
}

/// Waits until `playback` says that it leaves. The error is what it is refused with.
async fn leaves(
    playback: &mut Playback,
    sleep: &mut Sleep,
    clock: RealClock,
    ask: impl Fn(&mut Playback, u64) -> Leaving,
) -> Result<(), ApiError> {
    std::future::poll_fn(|context| {
        playback.watch(context.waker());
        loop {
            let now = clock.now();
            match ask(playback, now) {
                Leaving::Leaves => return Poll::Ready(Ok(())),
                Leaving::Refused(error) => return Poll::Ready(Err(error)),
                Leaving::Wait(due) => ready!(sleep.poll_until(due, now, context)),
            }
        }
    })
    .await
}

/// Marks a response that must not be sent: its HTTP/2 stream is reset instead.
#[derive(Debug, Clone, Copy)]
pub struct Vanished(pub Cut);

/// What is planned against a reply's bytes.
struct Spoils {
    damage: Option<Damage>,
    /// Bytes a second.
    drip: Option<u32>,
}

impl Spoils {
    fn of(plan: &Plan) -> Self {
        let Outcome::Interrupt(interrupt) = &plan.outcome else { return Self { damage: None, drip: None } };
        match interrupt.action {
            Action::Damage(damage) => Self { damage: Some(damage), drip: None },
            Action::Drip(bytes_per_s) => Self { damage: None, drip: Some(bytes_per_s) },
            _ => Self { damage: None, drip: None },
        }
    }

    /// `usual`, unless the damage is to say something else.
    fn content_type(&self, usual: &'static str) -> HeaderValue {
        HeaderValue::from_static(if self.damage == Some(Damage::WrongContentType) { "text/html; charset=utf-8" } else { usual })
    }
}

fn dripped(body: ReplyBody, dripper: Option<Dripper>) -> ReplyBody {
    match dripper {
        Some(dripper) => ReplyBody::Dripped(Box::new(DrippedBody::new(body, dripper))),
        None => body,
    }
}

/// What the headers of a request that arrived at `arrival` say of it.
pub fn origin_of(headers: &HeaderMap, arrival: u64) -> Origin {
    let attempt = headers.get(RETRY_COUNT).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    Origin {
        identity: headers.get(IDENTITY).map(|value| identity::of_header(value.as_bytes())),
        attempt,
        arrival,
        endpoint: None,
    }
}

/// The whole body, within the limits of size and of time between its parts.
pub(super) async fn read(mut body: impl Body<Data = Bytes, Error: Display> + Unpin) -> Result<Bytes, ApiError> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let too_large = || ApiError::of_status(413, format!("The request body is larger than {BODY_BYTES_MAX} bytes."));
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    let idle = Duration::from_secs(BODY_IDLE_S);
    while let Some(frame) = tokio::time::timeout(idle, body.frame())
        .await
        .map_err(|_| ApiError::of_status(408, "The request body did not arrive in time."))?
    {
        let frame = frame.map_err(|error| ApiError::of_status(400, format!("The request body broke off: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + rest.len() + data.len() > BODY_BYTES_MAX {
            return Err(too_large());
        }
        // One frame is the usual case and needs no copy.
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}
