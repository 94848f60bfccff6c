//! How long `simwright pack pull` takes for a pack of 20 MB from a registry on this machine, with an empty store: the whole process, from
//! its start to its end, files written and synced. Beside it, the bare download of the same bytes over one socket.
//!
//! The registry is `docker-registry` (distribution 2.8), which must be installed; the program is `target/release/simwright`, or the one
//! that `SIMWRIGHT_BIN` names. Budget: 1 s for the median of nine. `--smoke` pulls one megabyte once and judges nothing.
#![allow(clippy::print_stdout, reason = "the table is the result")]

#[path = "../../host/tests/it/packs/real_registry.rs"]
#[allow(dead_code, missing_docs, unreachable_pub, clippy::print_stderr, reason = "tests share it, and need more of it")]
mod real_registry;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use real_registry::RealRegistry;
use simwright::pack::digest::Digest;
use simwright::pack::manifest::{FORMAT, Manifest, PluginPart};
use simwright::pack::registry::{Access, Registry};
use simwright::pack::whole::Pack;
use simwright::pack::{COMPONENT_TYPE, Layer};
use simwright::random::Key;
use simwright_benches::clock::now_ns;

const BUDGET_MS: f64 = 1_000.0;

fn main() -> Result<()> {
    let smoke = std::env::args().any(|argument| argument == "--smoke");
    let (bytes, rounds) = if smoke { (1_000_000, 1) } else { (20_000_000, 9) };
    let registry = RealRegistry::open().context("`docker-registry` is not installed")?;
    let pack = pack(bytes);
    let place = registry.place("acme/large:1.0.0");
    let reference = place.parse().context("no reference")?;
    let push = async {
        let client = Registry::new(Access::default());
        client.push(&reference, &pack.artifact, |layer| pack.read(layer)).await
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(push)?;

    let mut pulls = Vec::new();
    let mut bare = Vec::new();
    for _ in 0..rounds {
        pulls.push(pull(&place)?);
        bare.push(download(&registry, &pack.artifact.layers[0])?);
    }
    let (median, worst) = median_and_worst(&mut pulls);
    let (bare, _) = median_and_worst(&mut bare);
    println!("pack pull of {} MB from loopback: median {median:.0} ms, worst {worst:.0} ms of {rounds}", bytes / 1_000_000);
    println!("the bare download of its bytes: median {bare:.0} ms");
    if !smoke {
        println!("budget {BUDGET_MS:.0} ms: {}", if median <= BUDGET_MS { "met" } else { "missed" });
    }
    Ok(())
}

/// A pack with one file of so many bytes, which no compression makes fewer.
fn pack(size: usize) -> Pack {
    let mut stream = Key::of_seed(1).stream();
    let bytes: Vec<u8> = (0..size).map(|_| stream.below(256) as u8).collect();
    let file = "plugins/large.wasm".to_owned();
    let part = PluginPart {
        name: "large".to_owned(),
        file: file.clone(),
        summary: "Large.".to_owned(),
        kinds: vec!["latency".to_owned()],
        capabilities: Vec::new(),
        memory_bytes: 16 << 20,
        time_us: 20_000,
        options_schema: String::new(),
    };
    let layer = Layer { title: file, media_type: COMPONENT_TYPE.to_owned(), digest: Digest::of(&bytes), size: size as u64 };
    let manifest = Manifest {
        format: FORMAT,
        name: "large".to_owned(),
        version: "1.0.0".parse().expect("a version"),
        licence: "MIT".to_owned(),
        description: "A large file.".to_owned(),
        interface: "^1.0".parse().expect("a range"),
        plugins: vec![part],
        scenarios: Vec::new(),
        tests: Vec::new(),
        files: vec![layer],
    };
    Pack::in_memory(manifest, [bytes])
}

/// Milliseconds of one `pack pull` with an empty store.
fn pull(place: &str) -> Result<f64> {
    let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/simwright");
    let program = std::env::var_os("SIMWRIGHT_BIN").map_or_else(usual, PathBuf::from);
    let home = tempfile::tempdir()?;
    let mut command = Command::new(&program);
    command.args(["pack", "pull", place, "--to"]).arg(home.path().join("pulled")).env("SIMWRIGHT_HOME", home.path());
    let start = now_ns();
    let output = command.output().with_context(|| format!("`{}`; build it first", program.display()))?;
    let took = now_ns() - start;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(took as f64 / 1e6)
}

/// Milliseconds of reading the bytes of one layer, and of nothing else.
fn download(registry: &RealRegistry, layer: &Layer) -> Result<f64> {
    let start = now_ns();
    let mut socket = TcpStream::connect(registry.address)?;
    let digest = layer.digest;
    write!(socket, "GET /v2/acme/large/blobs/{digest} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", registry.address)?;
    let mut buffer = vec![0; 65_536];
    let mut read = 0;
    loop {
        match socket.read(&mut buffer)? {
            0 => break,
            count => read += count as u64,
        }
    }
    ensure!(read > layer.size, "the registry sent {read} bytes");
    Ok((now_ns() - start) as f64 / 1e6)
}

fn median_and_worst(times: &mut [f64]) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() - 1])
}
