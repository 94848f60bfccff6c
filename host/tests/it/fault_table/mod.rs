//! Every fault, asked of the real server by each vendor's client: described in words, which are `docs/faults.md`, and byte by byte, which are the
//! snapshots (`golden`).

mod golden;

use std::io::Write;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

use golden::Golden;

use crate::support::client;
use crate::support::guests::workspace;
use crate::support::h2_client::{H2Client, StreamEnd, read_bytes, reset_of, run};
use crate::support::host::{TestHost, ask};
use crate::support::observed::{Expected, Observed};
use crate::support::session::over_session;
use crate::support::speakers::{
    Anthropic, Asked, Azure, Completions, Gemini, HttpRoute, Ollama, OpenAi, Realtime, Responses, Speaker, Wanted, schema,
};

/// Ten tokens.
const TOKENS: [&str; 10] = ["one", " two", " three", " four", " five", " six", " seven", " eight", " nine", " ten"];

/// When the answer may be complete at the earliest.
#[derive(Clone, Copy)]
enum Earliest {
    AtOnce,
    After(Duration),
    BytesPerSecond(u32),
}

struct Row {
    fault: &'static str,
    wanted: Wanted,
    earliest: Earliest,
}

const fn row(fault: &'static str) -> Row {
    Row { fault, wanted: Wanted::Text, earliest: Earliest::AtOnce }
}

const fn timed(fault: &'static str, ms: u64) -> Row {
    Row { fault, wanted: Wanted::Text, earliest: Earliest::After(Duration::from_millis(ms)) }
}

const REPLIES: &[Row] = &[
    row("none"),
    timed("hang: { for: 60ms }", 60),
    row("reset"),
    row("cut: { how: close, at: start }"),
    row("cut: { how: reset, at: token 4 }"),
    row("cut: { how: close, at: token 4 }"),
    row("cut: { how: end, at: token 4 }"),
    Row { fault: "drip: { bytes-per-second: 20000 }", wanted: Wanted::Text, earliest: Earliest::BytesPerSecond(20_000) },
    timed("stall: { for: 60ms, at: 50% }", 60),
    row("error-event: { at: token 4, message: Lost }"),
    row("length: { at: token 4 }"),
    row("content-filter: { at: token 4 }"),
    row("refusal: { message: No }"),
    row("refusal: { message: No, at: token 4 }"),
    row("malformed-chunk: { at: token 4 }"),
    row("truncated-json: { at: token 4 }"),
    row("split-utf8: { at: token 4 }"),
    row("duplicate-chunk: { at: token 4 }"),
    row("swap-chunks: { at: token 4 }"),
    row("missing-end"),
    row("wrong-content-type"),
    row("empty-body"),
    Row { fault: "bad-tool-arguments", wanted: Wanted::ToolCall, earliest: Earliest::AtOnce },
    Row { fault: "schema-violation", wanted: Wanted::Structure, earliest: Earliest::AtOnce },
    row("wrong-usage"),
    row("content-filter: { at: start }"),
];

const REFUSALS: &[&str] = &[
    "http-error: { status: 400 }",
    "context-length",
    "context-length: { window: 8 }",
    "http-error: { status: 401 }",
    "http-error: { status: 403 }",
    "http-error: { status: 404 }",
    "http-error: { status: 408 }",
    "http-error: { status: 409 }",
    "http-error: { status: 413 }",
    "http-error: { status: 422 }",
    "http-error: { status: 429 }",
    "http-error: { status: 429, retry-after: 1500ms }",
    "http-error: { status: 429, retry-after: 1500ms, retry-as: seconds }",
    "http-error: { status: 429, retry-after: 1500ms, retry-as: milliseconds }",
    "http-error: { status: 429, retry-after: 1500ms, retry-as: date }",
    "http-error: { status: 429, kind: slow-down, retry-after: 20s }",
    "http-error: { status: 429, kind: quota, should-retry: false }",
    "http-error: { status: 500 }",
    "http-error: { status: 502 }",
    "http-error: { status: 503, retry-after: 5s }",
    "http-error: { status: 504 }",
    "http-error: { status: 529 }",
];

/// A server with a model for each fault: `model-00`, `model-01` and so on, each with two routes of its own.
fn serve<'a>(faults: impl Iterator<Item = (&'a str, Wanted)>) -> TestHost {
    let mut scenario = format!(
        "simwright: 1\ntokens: exact\ndefaults:\n  latency: {{ constant: {{ first: 1ms, between: 1ms }} }}\n  reply: {{ fixed: {{ text: {} }} \
         }}\nmodels:\n",
        TOKENS.concat()
    );
    let mut routes = "routes:\n".to_owned();
    for (number, (fault, wanted)) in faults.enumerate() {
        let model = model(number);
        routes += &format!("  - {{ path: /stream/{model}, model: {model}, stream: sse }}\n");
        routes += &format!("  - {{ path: /whole/{model}, model: {model} }}\n");
        scenario += &format!("  - match: {model}\n    faults:\n      - {fault}\n");
        scenario += match wanted {
            Wanted::Text => "",
            Wanted::ToolCall => "    reply: { tool-calls: { call: plan_trip } }\n",
            Wanted::Structure => "    reply: text\n",
        };
    }
    TestHost::start(&(scenario + &routes))
}

fn model(number: usize) -> String {
    format!("model-{number:02}")
}

/// A way over which something is asked and seen; also says how many bytes came, the head included where it can be counted.
type Over = fn(&TestHost, &Asked) -> (Observed, usize);

/// On a connection of its own.
fn over_h1(host: &TestHost, asked: &Asked) -> (Observed, usize) {
    let mut socket = client::open(host.api);
    let request = client::request("POST", &asked.path, &asked.headers, asked.body.to_string().as_bytes());
    socket.write_all(&request).expect("taken");
    let (bytes, ended) = client::read_out(&mut socket);
    (Observed::h1(&bytes, ended), bytes.len())
}

/// OpenAI's alone: how streams of HTTP/2 end is the same for all vendors.
fn over_h2(host: &TestHost, asked: &Asked) -> (Observed, usize) {
    let observed = run(async {
        let mut client = H2Client::open(host.api).await;
        match client.chat(&asked.body).await {
            Err(error) => Observed::h2_headless(reset_of(&error)),
            Ok(answer) => {
                let (head, body) = answer.into_parts();
                let (bytes, end) = read_bytes(body).await;
                // What is not reset goes on: the connection still answers.
                assert!(matches!(end, StreamEnd::Complete | StreamEnd::Reset(_)) && client.chat(&ask("none", "x")).await.is_ok());
                Observed::h2(head.status.as_u16(), head.headers, bytes, end)
            }
        }
    });
    let length = observed.length();
    (observed, length)
}

/// A way of a vendor's part of the page.
struct Way {
    name: &'static str,
    over: Over,
    streamed: bool,
    /// Are its bytes kept? Those of HTTP/2 are the same.
    kept: bool,
}

const fn h1(name: &'static str, streamed: bool) -> Way {
    Way { name, over: over_h1, streamed, kept: true }
}

/// A vendor's part of the page: who speaks, and over which ways.
struct Part {
    speaker: &'static dyn Speaker,
    ways: &'static [Way],
}

const PLAIN: &[Way] = &[h1("stream", true), h1("whole", false)];

const PARTS: [Part; 10] = [
    Part {
        speaker: &OpenAi,
        ways: &[
            h1("HTTP/1.1, stream", true),
            h1("HTTP/1.1, whole", false),
            Way { name: "HTTP/2, stream", over: over_h2, streamed: true, kept: false },
            Way { name: "HTTP/2, whole", over: over_h2, streamed: false, kept: false },
        ],
    },
    Part { speaker: &Completions, ways: PLAIN },
    Part { speaker: &Responses, ways: PLAIN },
    Part { speaker: &Realtime, ways: &[Way { name: "session", over: over_session, streamed: true, kept: true }] },
    Part { speaker: &Azure, ways: PLAIN },
    Part { speaker: &Anthropic, ways: PLAIN },
    Part { speaker: &Gemini { is_array: false }, ways: PLAIN },
    Part { speaker: &Gemini { is_array: true }, ways: &[h1("stream", true)] },
    Part { speaker: &Ollama { is_generate: false }, ways: PLAIN },
    Part { speaker: &HttpRoute, ways: PLAIN },
];

/// What is seen of one vendor.
struct Seen {
    name: &'static str,
    /// Its tables.
    replies: String,
    refusals: String,
    /// The bytes behind them.
    bytes: String,
}

impl Part {
    fn see(&self, replies: &TestHost, refusals: &TestHost) -> Seen {
        let mut golden = Golden::default();
        let replies = self.replies(replies, &mut golden);
        let refusals = self.refusals(refusals, &mut golden);
        Seen { name: self.speaker.name(), replies, refusals, bytes: golden.text }
    }

    /// The cell of one exchange.
    fn cell(&self, host: &TestHost, number: usize, way: &Way, whole_bytes: usize, golden: &mut Golden) -> String {
        let (row, schema) = (&REPLIES[number], schema());
        if !self.speaker.can_ask(row.wanted) {
            return "nothing to strike".to_owned();
        }
        let expected = Expected {
            tokens: &TOKENS,
            schema: (row.wanted != Wanted::Text).then_some(&schema),
            // What is written for a schema has counts of its own.
            usage: (row.wanted == Wanted::Text).then_some((10, 10)),
            whole_bytes,
        };
        let start = Instant::now();
        let (observed, bytes) = (way.over)(host, &self.speaker.ask(&model(number), row.wanted, way.streamed));
        let took = start.elapsed();
        if way.kept {
            golden.reply(row.fault, way.name, &observed);
        }
        let words = observed.words(self.speaker, &expected, way.streamed);
        match row.earliest {
            Earliest::AtOnce => words,
            Earliest::After(time) => format!("{words}; {}", if took >= time { "late by its time" } else { "too early" }),
            Earliest::BytesPerSecond(rate) => {
                let least = Duration::from_secs_f64(bytes.saturating_sub(1) as f64 / f64::from(rate));
                format!("{words}; {}", if took >= least { "no faster than its rate" } else { "too fast" })
            }
        }
    }

    fn replies(&self, host: &TestHost, golden: &mut Golden) -> String {
        let mut table = head(std::iter::once("fault").chain(self.ways.iter().map(|way| way.name)));
        // The first row is that without a fault.
        let whole = self.ways.iter().find(|way| !way.streamed);
        let whole_bytes = whole.map_or(0, |way| (way.over)(host, &self.speaker.ask(&model(0), Wanted::Text, false)).0.length());
        for (number, row) in REPLIES.iter().enumerate() {
            let cells: Vec<_> = self.ways.iter().map(|way| self.cell(host, number, way, whole_bytes, golden)).collect();
            table += &format!("| `{}` | {} |\n", row.fault, cells.join(" | "));
        }
        table
    }

    fn refusals(&self, host: &TestHost, golden: &mut Golden) -> String {
        let columns = self.speaker.refusal_columns().iter().copied();
        let mut table = head(["fault", "status"].into_iter().chain(columns).chain(["headers", "message"]));
        for (number, fault) in REFUSALS.iter().enumerate() {
            let before = SystemTime::now();
            let ask = |streamed| self.speaker.ask(&model(number), Wanted::Text, streamed);
            let seen: Vec<_> = self.ways.iter().map(|way| (way.over)(host, &ask(way.streamed)).0).collect();
            let first = &seen[0];
            for other in &seen[1..] {
                assert_eq!(first.refusal(self.speaker), other.refusal(self.speaker), "{fault}");
            }
            golden.refusal(fault, first);
            if let Some(date) = first.header("retry-after").filter(|_| fault.contains("date")) {
                let date = httpdate::parse_http_date(date).expect("a date");
                // Dates are written to the second, rounded up. (A second more, for the client asks before the server looks.)
                let away = date.duration_since(before).expect("in the future");
                assert!(away >= Duration::from_millis(1_500), "{away:?}");
            }
            table += &format!("| `{fault}` | {} |\n", first.refusal(self.speaker));
        }
        table
    }
}

/// The head of a table.
fn head<'a>(columns: impl Iterator<Item = &'a str>) -> String {
    let columns: Vec<&str> = columns.collect();
    format!("| {} |\n|{}\n", columns.join(" | "), "---|".repeat(columns.len()))
}

const BEFORE: &str = "\
# What each fault looks like from outside

Made by a test (`host/tests/it/fault_table`) that asks the real server over raw sockets and describes the bytes that come and the
way in which they end. It fails when this page no longer says what is seen; `UPDATE_FAULTS=1 cargo test -p simwright --test it
fault_table` writes it anew. The bytes themselves are
kept in `snapshots` beside the test.

The reply without a fault has ten tokens and costs 10 + 10. A cell reads: status (and content type, where it is not the usual one);
body; end. *ends in order* is the last chunk or the announced length and then FIN, or END_STREAM; *FIN inside the body* and *RST inside
the body* come before that. A stream has an event for each token, a finish, token counts and its vendor's last event; what is not
mentioned is as it should be. A fault that finds nothing to strike leaves the answer as it is, and is not counted.

";

const NOTES: &str = "## What is meant

`split-utf8` breaks a character between two events, each of which is no UTF-8 by itself, as servers do that cut texts at bytes; a text
that has no character to break is given an `é`. A body that is cut inside a character between two writes is legal and no fault.
`truncated-json` ends a stream inside an event, without the blank line after it: readers that keep to the standard drop such an event
silently. `bad-tool-arguments`, `schema-violation` and `wrong-usage` choose one of several ways, by the run's seed.
Refusals are the same on HTTP/1.1 and HTTP/2, for streams and whole replies.
A realtime session is a connection that has become a WebSocket (101): each event is a message, a fault strikes one response, and what is
refused is told by an event: `error` if the client is to blame, else a `response.done` that has failed. A client that gets a text which is
no UTF-8 must end the session. Routes of your own answer with plain text, which has no finish, no counts and no JSON to break.
";

/// Everything, once for both tests.
static SEEN: LazyLock<Vec<Seen>> = LazyLock::new(|| {
    let replies = serve(REPLIES.iter().map(|row| (row.fault, row.wanted)));
    let refusals = serve(REFUSALS.iter().map(|fault| (*fault, Wanted::Text)));
    PARTS.iter().map(|part| part.see(&replies, &refusals)).collect()
});

#[test]
fn every_fault_looks_from_outside_as_the_table_says() {
    let mut page = BEFORE.to_owned();
    for Seen { name, replies, refusals, .. } in SEEN.iter() {
        page += &format!("## {name}: in and around replies\n\n{replies}\n## {name}: refusals\n\n{refusals}\n");
    }
    page += NOTES;
    let file = workspace().join("docs/faults.md");
    if std::env::var_os("UPDATE_FAULTS").is_some() {
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        std::fs::write(&file, &page).expect("written");
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    let differ = page.lines().zip(kept.lines().chain(std::iter::repeat(""))).filter(|(seen, kept)| seen != kept);
    let differ: Vec<String> = differ.map(|(seen, kept)| format!("seen: {seen}\nkept: {kept}")).collect();
    assert!(page == kept, "docs/faults.md is no longer what is seen (UPDATE_FAULTS=1 writes it anew):\n{}", differ.join("\n"));
}

#[test]
fn every_fault_has_the_bytes_that_are_kept() {
    for Seen { name, bytes, .. } in SEEN.iter() {
        let file = name.to_lowercase().replace(' ', "-");
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true, description => golden::LEGEND }, {
            insta::assert_snapshot!(file, bytes);
        });
    }
}

#[test]
fn the_table_has_every_native_fault() {
    let mut catalog = simwright::behavior::catalog::Catalog::default();
    simwright::builtin::register(&mut catalog);
    let shown = REPLIES.iter().map(|row| row.fault).chain(REFUSALS.iter().copied());
    let shown: Vec<&str> = shown.map(|fault| fault.split(':').next().expect("a name")).collect();
    for name in catalog.fault.keys() {
        assert!(shown.contains(&name.as_str()), "no row for `{name}`");
    }
}
