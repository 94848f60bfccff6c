//! The real server on port 0, with a scenario of the test's own in a folder of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simwright::app::{App, ServeOptions};
use simwright::wasm::Compiler;

use super::client::{self, Reply};

/// The compiler of plugins as a person's server has it: the program in a process of its own.
pub fn compiler() -> Compiler {
    Compiler::child(env!("CARGO_BIN_EXE_simwright"), ["compile-plugin"])
}

/// A running server. Dropping it stops it.
pub struct TestHost {
    app: Option<App>,
    folder: tempfile::TempDir,
    pub api: SocketAddr,
    pub admin: SocketAddr,
}

impl TestHost {
    /// Starts a server with `scenario` and two workers.
    pub fn start(scenario: &str) -> Self {
        Self::start_seeded(scenario, Some(7))
    }

    /// The same with a seed that goes before the scenario's, or none.
    pub fn start_seeded(scenario: &str, seed: Option<u64>) -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder"), scenario, seed)
    }

    /// The same in a folder that has what the scenario names, such as components.
    pub fn start_in(folder: tempfile::TempDir, scenario: &str, seed: Option<u64>) -> Self {
        std::fs::write(folder.path().join("scenario.yaml"), scenario).expect("written");
        Self::start_beside(folder, seed)
    }

    /// A server with `scenario` that writes its decisions to `log`.
    pub fn start_logged(scenario: &str, log: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("scenario.yaml"), scenario).expect("written");
        Self::start_whole(folder, Some(7), compiler(), Some(log.to_owned()))
    }

    /// The same with the scenario that `folder` has.
    pub fn start_beside(folder: tempfile::TempDir, seed: Option<u64>) -> Self {
        Self::start_with(folder, seed, compiler())
    }

    /// The same with a compiler of the test's own.
    pub fn start_with(folder: tempfile::TempDir, seed: Option<u64>, compiler: Compiler) -> Self {
        Self::start_whole(folder, seed, compiler, None)
    }

    fn start_whole(folder: tempfile::TempDir, seed: Option<u64>, compiler: Compiler, decisions: Option<PathBuf>) -> Self {
        let path = folder.path().join("scenario.yaml");
        let options = ServeOptions { seed, compiler, decisions, ..options(path) };
        Self::start_by(folder, options)
    }

    /// A server that follows the plugins in `plugins`, a folder below `folder`, which has the scenario too.
    pub fn start_following(folder: tempfile::TempDir, plugins: &str) -> Self {
        let watch_plugins = Some(folder.path().join(plugins));
        let options = ServeOptions { watch_plugins, ..options(folder.path().join("scenario.yaml")) };
        Self::start_by(folder, options)
    }

    /// A server with options of the test's own.
    pub fn start_by(folder: tempfile::TempDir, options: ServeOptions) -> Self {
        let app = App::start(options).unwrap_or_else(|error| panic!("{error}"));
        let (api, admin) = (app.api(), app.admin());
        Self { app: Some(app), folder, api, admin }
    }

    pub fn app(&self) -> &App {
        self.app.as_ref().expect("not stopped")
    }

    /// Takes the server out, to stop it by hand.
    pub fn into_app(mut self) -> App {
        self.app.take().expect("not stopped")
    }

    pub fn scenario_file(&self) -> PathBuf {
        self.folder.path().join("scenario.yaml")
    }

    /// Sends a chat request.
    pub fn chat(&self, body: &Value) -> Reply {
        self.chat_with(body, &[])
    }

    /// Sends a chat request with headers.
    pub fn chat_with(&self, body: &Value, headers: &[(&str, &str)]) -> Reply {
        client::send(self.api, "POST", "/v1/chat/completions", headers, body.to_string().as_bytes())
    }

    /// Sends a chat request with headers and reads whatever comes until the connection ends, be it by a fault.
    pub fn chat_to_the_end(&self, body: &Value, headers: &[(&str, &str)]) -> Vec<u8> {
        use std::io::Write;
        let mut socket = client::open(self.api);
        let bytes = client::request("POST", "/v1/chat/completions", headers, body.to_string().as_bytes());
        socket.write_all(&bytes).expect("the request is taken");
        client::read_out(&mut socket).0
    }

    /// The text of `/metrics`.
    pub fn metrics(&self) -> String {
        client::send(self.admin, "GET", "/metrics", &[], b"").text().to_owned()
    }

    /// The sum of all samples of `name` whose line has every one of `labels`.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.metrics();
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let lines = text.lines().filter(of_name).filter(|line| labels.iter().all(|label| line.contains(label)));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

/// The options of a server with `scenario` and two workers.
pub fn options(scenario: PathBuf) -> ServeOptions {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let (scenario, workers) = (Some(scenario), Some(2));
    ServeOptions {
        scenario,
        listen: any,
        admin: any,
        seed: Some(7),
        workers,
        compiler: compiler(),
        watch_plugins: None,
        decisions: None,
        slowness: 1,
    }
}

impl Drop for TestHost {
    fn drop(&mut self) {
        if let Some(app) = self.app.take() {
            app.stop(Duration::from_secs(1));
        }
    }
}

/// Are tests to run in their full size? `SIMWRIGHT_FULL=1` says so (CONTRIBUTING.md).
pub fn full() -> bool {
    std::env::var_os("SIMWRIGHT_FULL").is_some_and(|value| value == "1")
}

/// A chat request of one user message.
pub fn ask(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}

/// The same, streamed.
pub fn ask_streamed(model: &str, text: &str) -> Value {
    let mut request = ask(model, text);
    request["stream"] = true.into();
    request
}

/// Looks until `truth` is true; a failure after a minute says what never was.
pub fn eventually(what: &str, truth: impl Fn() -> bool) {
    within(Duration::from_secs(60), what, truth);
}

/// The same for what may wait for a compiler, which has one component at a time in this process: those of other tests go before.
pub fn sooner_or_later(what: &str, truth: impl Fn() -> bool) {
    within(Duration::from_secs(300), what, truth);
}

fn within(limit: Duration, what: &str, truth: impl Fn() -> bool) {
    let start = Instant::now();
    while !truth() {
        assert!(start.elapsed() < limit, "it never happened: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
