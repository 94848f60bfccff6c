//! Accepts connections and hands each to the worker with the fewest. A worker is a thread with a runtime and a pacer of its own, so
//! that a stream, its connection and its timer never cross threads.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use metrics::Gauge;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::connection;
use crate::engine::Engine;
use crate::engine::pacer::Pacer;
use crate::http::batches::Bulks;
use crate::http::body::{CountedBody, InFlight, stream_reset};
use crate::http::handler::{Door, Vanished};
use crate::http::keeping::{self, Replies};
use crate::http::routes;
use crate::http::wire::{Wire, WireState};
use crate::telemetry::metrics as names;
use crate::worker;

#[cfg(test)]
mod tests;

/// How the server is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Stop {
    /// Go on.
    No,
    /// Accept nothing more; finish what is open.
    Drain,
    /// Leave at once.
    Now,
}

/// A running data door.
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<Stop>,
    workers: Vec<JoinHandle<()>>,
}

impl Server {
    /// Serves `engine` on `listener` with `workers` threads.
    pub fn start(engine: Arc<Engine>, listener: std::net::TcpListener, workers: usize) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(Stop::No);
        let (mut posts, mut queues) = (Vec::new(), Vec::new());
        for _ in 0..workers.max(1) {
            let (sender, queue) = mpsc::unbounded_channel();
            posts.push(Post { sender, open: Arc::default() });
            queues.push(queue);
        }
        let mut listener = Some((listener, posts.clone()));
        let mut threads = Vec::new();
        let (told, begun) = std::sync::mpsc::channel();
        let (replies, bulks) = (keeping::replies(), Bulks::new());
        for (index, queue) in queues.into_iter().enumerate() {
            let worker = Worker {
                engine: Arc::clone(&engine),
                replies: Arc::clone(&replies),
                bulks: Arc::clone(&bulks),
                queue,
                open: Arc::clone(&posts[index].open),
                stopped: stopped.clone(),
                connections: names::gauge(names::CONNECTIONS, &[]),
                begun: told.clone(),
            };
            let accepting = listener.take();
            let thread = std::thread::Builder::new().name(format!("worker-{index}"));
            threads.push(thread.spawn(move || worker.run(index, accepting))?);
        }
        // A worker that cannot start would leave its connections without an answer.
        for _ in &threads {
            begun.recv().unwrap_or_else(|_| Err(io::Error::other("a worker ended before it began")))?;
        }
        Ok(Self { address, stop, workers: threads })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts nothing more and lets open requests finish. Blocks until they have or `limit` has passed; says whether they have.
    pub fn drain(self, limit: Duration) -> bool {
        self.stop.send_replace(Stop::Drain);
        let (done, all_done) = std::sync::mpsc::channel();
        let workers = self.workers;
        let joiner = std::thread::spawn(move || {
            for worker in workers {
                drop(worker.join());
            }
            let _ = done.send(());
        });
        let finished = all_done.recv_timeout(limit).is_ok();
        self.stop.send_replace(Stop::Now);
        drop(joiner.join());
        finished
    }
}

/// A way to a worker.
#[derive(Clone)]
struct Post {
    sender: mpsc::UnboundedSender<std::net::TcpStream>,
    open: Arc<AtomicUsize>,
}

/// What a worker's thread begins with.
struct Worker {
    engine: Arc<Engine>,
    replies: Arc<Replies>,
    bulks: Arc<Bulks>,
    queue: mpsc::UnboundedReceiver<std::net::TcpStream>,
    open: Arc<AtomicUsize>,
    stopped: watch::Receiver<Stop>,
    connections: Gauge,
    /// Told once whether the worker could begin.
    begun: std::sync::mpsc::Sender<io::Result<()>>,
}

impl Worker {
    fn run(self, index: usize, accepting: Option<(std::net::TcpListener, Vec<Post>)>) {
        worker::enter(index);
        // Sockets and timers are looked at often, so that a long row of ready streams delays no deadline.
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().event_interval(31).build() {
            Ok(runtime) => runtime,
            Err(error) => {
                // Nobody listens only if another worker has failed already.
                let _ = self.begun.send(Err(error));
                return;
            }
        };
        let begun = self.begun.clone();
        if let Err(error) = runtime.block_on(self.work(accepting)) {
            let _ = begun.send(Err(error));
        }
    }

    async fn work(mut self, accepting: Option<(std::net::TcpListener, Vec<Post>)>) -> io::Result<()> {
        let pacer = Pacer::start(*self.engine.clock())?;
        tokio::spawn(Arc::clone(&pacer).run());
        if let Some((listener, posts)) = accepting {
            tokio::spawn(accept(TcpListener::from_std(listener)?, posts, self.stopped.clone()));
        }
        let _ = self.begun.send(Ok(()));
        let (replies, bulks) = (Arc::clone(&self.replies), Arc::clone(&self.bulks));
        let (sessions, session_bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let door = Arc::new(Door { engine: Arc::clone(&self.engine), pacer, replies, bulks, sessions, session_bytes });
        let wires = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(sweep(Arc::clone(&wires)));
        let mut stopped = self.stopped.clone();
        loop {
            tokio::select! {
                biased;
                () = reached(&mut stopped, Stop::Drain) => break,
                socket = self.queue.recv() => match socket {
                    Some(socket) => self.open(socket, &door, &wires),
                    None => break,
                }
            }
        }
        // Whoever was accepted and waits for this worker would wait for ever, and the drain for them.
        self.queue.close();
        while let Ok(socket) = self.queue.try_recv() {
            self.open(socket, &door, &wires);
        }
        // Connections end by themselves or at the second signal.
        let drained = async {
            while self.open.load(Ordering::Relaxed) > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::select! {
            () = drained => {}
            () = reached(&mut stopped, Stop::Now) => {}
        }
        Ok(())
    }

    fn open(&self, socket: std::net::TcpStream, door: &Arc<Door>, wires: &Mutex<Vec<Weak<WireState>>>) {
        let state = WireState::new(*self.engine.clock());
        wires.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&state));
        let counted = Counted::begin(Arc::clone(&self.open), self.connections.clone());
        let (door, stopped) = (Arc::clone(door), self.stopped.clone());
        tokio::spawn(async move {
            serve(socket, state, door, stopped).await;
            drop(counted);
        });
    }
}

/// Counts a connection for as long as it lives.
struct Counted(Arc<AtomicUsize>, Gauge);

impl Counted {
    fn begin(open: Arc<AtomicUsize>, gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(open, gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
        self.1.decrement(1.0);
    }
}

async fn accept(listener: TcpListener, posts: Vec<Post>, mut stopped: watch::Receiver<Stop>) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = reached(&mut stopped, Stop::Drain) => return,
            accepted = listener.accept() => accepted,
        };
        // A socket belongs to the runtime that made it; its worker takes it into its own.
        match accepted.and_then(|(socket, _)| socket.into_std()) {
            Ok(socket) => {
                let freest = posts.iter().min_by_key(|post| post.open.load(Ordering::Relaxed));
                if let Some(post) = freest {
                    post.open.fetch_add(1, Ordering::Relaxed);
                    if post.sender.send(socket).is_err() {
                        post.open.fetch_sub(1, Ordering::Relaxed);
                        return;
                    }
                }
            }
            Err(error) => {
                // Out of descriptors: waiting is the only cure, and trying at once would spin.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Once a second: lets every connection look at its deadlines, and forgets those that are gone.
async fn sweep(wires: Arc<Mutex<Vec<Weak<WireState>>>>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        wires.lock().unwrap_or_else(PoisonError::into_inner).retain(|wire| match wire.upgrade() {
            Some(wire) => {
                wire.second_passed();
                true
            }
            None => false,
        });
    }
}

/// Ready when the server has been asked to stop at least this firmly.
async fn reached(stopped: &mut watch::Receiver<Stop>, stop: Stop) {
    // A server that is gone wants everything to end.
    drop(stopped.wait_for(|asked| *asked >= stop).await);
}

async fn serve(socket: std::net::TcpStream, state: Arc<WireState>, door: Arc<Door>, mut stopped: watch::Receiver<Stop>) {
    let socket = match socket.set_nodelay(true).and_then(|()| TcpStream::from_std(socket)) {
        Ok(socket) => socket,
        Err(error) => return tracing::debug!(%error, "a connection ended before it began"),
    };
    let ended_well = serve_http(socket, &state, door, &mut stopped).await;
    // Taken in any case: what it is would keep itself.
    let Some(mut next) = state.take_next().filter(|_| ended_well) else { return };
    tokio::select! {
        biased;
        () = next.as_mut() => {}
        () = state.expired() => {}
        () = reached(&mut stopped, Stop::Drain) => {
            state.leave();
            tokio::select! {
                () = next => {}
                () = state.expired() => {}
                () = reached(&mut stopped, Stop::Now) => {}
            }
        }
    }
}

/// Serves requests to the end of the connection, or until it becomes something else. Says whether it ended as it should.
async fn serve_http(socket: TcpStream, state: &Arc<WireState>, door: Arc<Door>, stopped: &mut watch::Receiver<Stop>) -> bool {
    let shared = Arc::clone(state);
    let service = service_fn(move |request| {
        let counted = InFlight::begin(Arc::clone(&shared));
        // Boxed, because the connection keeps as much room for each of its streams, to their end, as this takes while it runs.
        let answer = Box::pin(routes::answer(Arc::clone(&door), Arc::clone(&shared), request));
        async move {
            let response = answer.await;
            match response.extensions().get::<Vanished>() {
                Some(Vanished(cut)) => Err(stream_reset(*cut)),
                None => Ok(response.map(|body| CountedBody::new(body, counted))),
            }
        }
    });
    let builder = connection::builder();
    let wire = TokioIo::new(Wire::new(socket, Arc::clone(state)));
    let connection = builder.serve_connection_with_upgrades(wire, service);
    tokio::pin!(connection);
    let early = tokio::select! {
        biased;
        ended = connection.as_mut() => Some(ended),
        // Who is idle is told; who is too slow is not waited for.
        () = state.expired() => if state.is_idle() { None } else { return false },
        () = reached(stopped, Stop::Drain) => None,
    };
    let ended = match early {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = state.expired() => return false,
                () = reached(stopped, Stop::Now) => return false,
            }
        }
    };
    if let Err(error) = &ended {
        tracing::debug!(%error, "a connection ended early");
    }
    ended.is_ok()
}
