//! Builds the test guests and sets the scene: a host, the adversary, calls.
//!
//! Each test loads the adversary under a name of its own, since state, breaker and metrics belong to the name.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Catalog, Setting};
use crate::behavior::fault::{Fault, Verdict};
use crate::behavior::latency::Latency;
use crate::behavior::responder::Responder;
use crate::clock::real::monotonic_ns;
use crate::types::request::{Message, Request, Role};
use crate::wasm::engine_config::{Room, engine_in};
use crate::wasm::{Compiler, LoadSpec, Meter, Plugin, PluginHost, PluginHostConfig};

/// The adversary's component.
pub(crate) fn adversary() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| component("test-guests", "adversary"))
}

/// The component of balancers and autoscalers that do what they are told.
pub(crate) fn choosers() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| component("test-choosers", "test_choosers"))
}

/// The component that cargo makes of `package`.
fn component(package: &str, file: &str) -> Vec<u8> {
    let target = target_dir().join("guests");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--locked", "--target", "wasm32-wasip2", "--package", package])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins"))
        .env("CARGO_TARGET_DIR", &target)
        // What is set for the host's own build must not reach guests.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the test guests do not build; is the target there? try `rustup target add wasm32-wasip2`");
    std::fs::read(target.join("wasm32-wasip2/release").join(file).with_extension("wasm")).expect("a component")
}

fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from)
}

/// One host for all tests that do not need their own: address space is reserved per host.
pub(in crate::wasm) fn host() -> &'static PluginHost {
    static HOST: OnceLock<PluginHost> = OnceLock::new();
    HOST.get_or_init(|| new_host(Meter::Cpu))
}

/// A host of its own.
pub(crate) fn new_host(meter: Meter) -> PluginHost {
    // Compiled code is kept beside the guests, so that a second run of the tests does not compile them again.
    let cache_dir = Some(target_dir().join("guests-compiled"));
    PluginHost::new(PluginHostConfig { cache_dir, workers: 2, meter, compiler: Compiler::InProcess }).expect("a host")
}

/// A host for two workers with room for so many instances.
pub(crate) fn small_host(meter: Meter, instances: u32) -> PluginHost {
    let engine = engine_in(meter, Room { instances, keep_resident: 0 }).expect("an engine");
    let config = PluginHostConfig { cache_dir: None, workers: 2, meter, compiler: Compiler::InProcess };
    PluginHost::with_engine(config, engine).expect("a host")
}

/// Time for calls whose tests are not about time, in microseconds: a machine that is busy with others takes some of it away.
pub(super) const PATIENCE_US: u64 = 2_000_000;

/// Looks until `truth` is true; a failure after a minute says what never was.
pub(in crate::wasm) fn eventually(what: &str, truth: impl Fn() -> bool) {
    let start = monotonic_ns();
    while !truth() {
        assert!(monotonic_ns().saturating_sub(start) < 60_000_000_000, "it never happened: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The adversary under a name of its own, so that tests share neither state nor breaker.
pub(in crate::wasm) fn load(name: &str) -> Arc<Plugin> {
    host().load(LoadSpec { time_us: PATIENCE_US, ..LoadSpec::new(name, adversary()) }).expect("a good plugin")
}

/// The adversary's three behaviours with default options.
pub(in crate::wasm) struct Scene {
    pub(super) fault: Arc<dyn Fault>,
    pub(super) responder: Arc<dyn Responder>,
    pub(super) latency: Arc<dyn Latency>,
}

impl Scene {
    /// Loads the adversary as `name`.
    pub(super) fn new(name: &str) -> Self {
        Self::of(&load(name), &json!({}))
    }

    /// The same with the time that a plugin has if nobody says otherwise: for loops, which use it up.
    pub(super) fn hasty(name: &str) -> Self {
        Self::of(&host().load(LoadSpec::new(name, adversary())).expect("a good plugin"), &json!({}))
    }

    /// The behaviours of `plugin` with `options`.
    pub(super) fn of(plugin: &Arc<Plugin>, options: &Value) -> Self {
        let mut catalog = Catalog::default();
        plugin.register(&mut catalog);
        let setting = Setting { models: vec!["small".to_owned(), "large".to_owned()], epoch_unix_s: 1_000, ..Setting::default() };
        Self {
            fault: catalog.fault[plugin.name()].make(options, &setting).expect("a fault"),
            responder: catalog.responder[plugin.name()].make(options, &setting).expect("a responder"),
            latency: catalog.latency[plugin.name()].make(options, &setting).expect("a latency model"),
        }
    }

    /// What the fault decides for `identity`.
    pub(super) fn decide(&self, identity: u64) -> Result<Verdict, BehaviorError> {
        self.fault.decide(&call(identity, &request()))
    }

    /// The message of the error that the fault answers: how the adversary tells what it saw.
    pub(super) fn told(&self, identity: u64) -> String {
        match self.decide(identity) {
            Ok(Verdict::Error(error)) => error.message.unwrap_or_default(),
            other => panic!("told nothing: {other:?}"),
        }
    }
}

/// A call at 5 s plan time.
pub(in crate::wasm) fn call(identity: u64, request: &Arc<Request>) -> Call<'_> {
    Call { identity, seed: 42, now: 5_000_000_000, ..Call::first(request) }
}

/// A small conversation.
pub(in crate::wasm) fn request() -> Arc<Request> {
    let message = |role, text: &str| Message::new(role, text);
    let mut headers = http::HeaderMap::new();
    headers.insert("x-color", http::HeaderValue::from_static("blue"));
    let messages =
        vec![message(Role::User, "first"), message(Role::Assistant, "yes"), message(Role::User, "where is my parcel?")];
    let body = bytes::Bytes::from_static(&[b'x'; 1_000]);
    Arc::new(Request { body, headers, ..Request::chat("large-2", messages) })
}
