//! The servers that Simwright is compared with: bare axum, doing only what the comparison needs. They run as children of the
//! bench binary (hidden subcommands), on the same allocator as Simwright, behind one accept loop with TCP_NODELAY and HTTP/1.1 or
//! HTTP/2.
//!
//! [`json`] parses a typed request and answers with prepared bytes, [`sse`] replays a captured stream, [`paced`] sends tokens at
//! absolute deadlines of tokio's timer, and [`null`] answers without looking: it shows what the load generator can do.

use std::io::Write;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use axum::Router;
use clap::ValueEnum;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

pub mod json;
pub mod null;
pub mod paced;
pub mod sse;

/// Streams that a client may have open in one connection; hyper's own default would be a limit of the comparison.
const STREAMS_MAX: u32 = 1_000;

/// Which of tokio's runtimes a baseline uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Runtime {
    /// Everything on one thread.
    Current,
    /// tokio's default, with one worker.
    Multi,
}

impl Runtime {
    /// Both, in the order in which they are tried.
    pub const ALL: [Self; 2] = [Self::Current, Self::Multi];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Multi => "multi",
        }
    }

    fn build(self) -> std::io::Result<tokio::runtime::Runtime> {
        match self {
            Self::Current => tokio::runtime::Builder::new_current_thread().enable_all().build(),
            Self::Multi => tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build(),
        }
    }
}

/// Serves `router` on a free port until the process is stopped.
pub fn serve(router: Router, runtime: Runtime) -> Result<()> {
    let runtime = runtime.build().context("cannot start the runtime")?;
    // On tokio's default runtime the accept loop is a task as well, so that it runs on the worker and not on this thread.
    runtime.block_on(async move { tokio::spawn(accept(router)).await? })
}

async fn accept(router: Router) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen")?;
    announce(listener.local_addr()?)?;
    let service = TowerToHyperService::new(router);
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        if socket.set_nodelay(true).is_err() {
            continue;
        }
        let service = service.clone();
        tokio::spawn(async move {
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http2().max_concurrent_streams(STREAMS_MAX);
            // A connection that breaks is the client's to count.
            let _ = builder.serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

/// Prints the line that the bench waits for.
fn announce(at: SocketAddr) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready api=http://{at} admin=http://{at}")?;
    Ok(out.flush()?)
}
