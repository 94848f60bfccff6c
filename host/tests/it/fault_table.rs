use std::io::Write;
use std::time::{Duration, Instant, SystemTime};

use super::support::client;
use super::support::guests::workspace;
use super::support::h2_client::{H2Client, StreamEnd, read_bytes, reset_of, run};
use super::support::host::{TestHost, ask};
use super::support::observed::{Expected, Observed};
use super::support::speakers::{Anthropic, Asked, Gemini, OpenAi, Speaker, Wanted, schema};

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

/// A server with a model for each fault: `model-00`, `model-01` and so on.
fn serve<'a>(faults: impl Iterator<Item = (&'a str, Wanted)>) -> TestHost {
    let mut scenario = format!(
        "simwright: 1\ntokens: exact\ndefaults:\n  latency: {{ constant: {{ first: 1ms, between: 1ms }} }}\n  reply: {{ fixed: {{ text: {} }} \
         }}\nmodels:\n",
        TOKENS.concat()
    );
    for (number, (fault, wanted)) in faults.enumerate() {
        scenario += &format!("  - match: model-{number:02}\n    faults:\n      - {fault}\n");
        if wanted != Wanted::Text {
            scenario += "    reply: text\n";
        }
    }
    TestHost::start(&scenario)
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

/// A vendor's part of the page: who speaks, and over which ways, each for streams or whole replies.
struct Part {
    speaker: &'static dyn Speaker,
    ways: &'static [(&'static str, Over, bool)],
}

const PARTS: [Part; 3] = [
    Part {
        speaker: &OpenAi,
        ways: &[
            ("HTTP/1.1, stream", over_h1, true),
            ("HTTP/1.1, whole", over_h1, false),
            ("HTTP/2, stream", over_h2, true),
            ("HTTP/2, whole", over_h2, false),
        ],
    },
    Part { speaker: &Anthropic, ways: &[("stream", over_h1, true), ("whole", over_h1, false)] },
    Part { speaker: &Gemini, ways: &[("stream", over_h1, true), ("whole", over_h1, false)] },
];

impl Part {
    /// The cell of one exchange.
    fn cell(&self, host: &TestHost, number: usize, streamed: bool, over: Over, whole_bytes: usize) -> String {
        let (row, schema) = (&REPLIES[number], schema());
        let expected = Expected {
            tokens: &TOKENS,
            schema: (row.wanted != Wanted::Text).then_some(&schema),
            // What is written for a schema has counts of its own.
            usage: (row.wanted == Wanted::Text).then_some((10, 10)),
            whole_bytes,
        };
        let start = Instant::now();
        let (observed, bytes) = over(host, &self.speaker.ask(&model(number), row.wanted, streamed));
        let took = start.elapsed();
        let words = observed.words(self.speaker, &expected, streamed);
        match row.earliest {
            Earliest::AtOnce => words,
            Earliest::After(time) => format!("{words}; {}", if took >= time { "late by its time" } else { "too early" }),
            Earliest::BytesPerSecond(rate) => {
                let least = Duration::from_secs_f64(bytes.saturating_sub(1) as f64 / f64::from(rate));
                format!("{words}; {}", if took >= least { "no faster than its rate" } else { "too fast" })
            }
        }
    }

    fn replies(&self, host: &TestHost) -> String {
        let mut table = head(std::iter::once("fault").chain(self.ways.iter().map(|(name, ..)| *name)));
        // The first row is that without a fault.
        let whole_bytes = over_h1(host, &self.speaker.ask(&model(0), Wanted::Text, false)).0.length();
        for (number, row) in REPLIES.iter().enumerate() {
            let cells = self.ways.iter().map(|(_, over, streamed)| self.cell(host, number, *streamed, *over, whole_bytes));
            table += &format!("| `{}` | {} |\n", row.fault, cells.collect::<Vec<_>>().join(" | "));
        }
        table
    }

    fn refusals(&self, host: &TestHost) -> String {
        let columns = self.speaker.refusal_columns().iter().copied();
        let mut table = head(["fault", "status"].into_iter().chain(columns).chain(["headers", "message"]));
        for (number, fault) in REFUSALS.iter().enumerate() {
            let before = SystemTime::now();
            let ask = |streamed| self.speaker.ask(&model(number), Wanted::Text, streamed);
            let seen: Vec<_> = self.ways.iter().map(|(_, over, streamed)| over(host, &ask(*streamed)).0).collect();
            let first = &seen[0];
            for other in &seen[1..] {
                assert_eq!(first.refusal(self.speaker), other.refusal(self.speaker), "{fault}");
            }
            if fault.contains("date") {
                let date = httpdate::parse_http_date(first.header("retry-after")).expect("a date");
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

Made by a test (`host/tests/it/fault_table.rs`) that asks the real server over raw sockets and describes the bytes that come and the
way in which they end. It fails when this page no longer says what is seen; `UPDATE_FAULTS=1 cargo test -p simwright --test it
fault_table` writes it anew.

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
";

#[test]
fn every_fault_looks_from_outside_as_the_table_says() {
    let replies = serve(REPLIES.iter().map(|row| (row.fault, row.wanted)));
    let refusals = serve(REFUSALS.iter().map(|fault| (*fault, Wanted::Text)));
    let mut page = BEFORE.to_owned();
    for part in &PARTS {
        let (name, replies, refusals) = (part.speaker.name(), part.replies(&replies), part.refusals(&refusals));
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
fn the_table_has_every_native_fault() {
    let mut catalog = simwright::behavior::catalog::Catalog::default();
    simwright::builtin::register(&mut catalog);
    let shown = REPLIES.iter().map(|row| row.fault).chain(REFUSALS.iter().copied());
    let shown: Vec<&str> = shown.map(|fault| fault.split(':').next().expect("a name")).collect();
    for name in catalog.fault.keys() {
        assert!(shown.contains(&name.as_str()), "no row for `{name}`");
    }
}
