//! The adversary: a plugin whose every misdeed is asked for by number.
//!
//! `call.identity` chooses what a behaviour does, or the header `x-adversary` behind a real server, where identities are hashes; 0 is
//! good behaviour. The numbers stand in `host/src/wasm/tests/` beside the test that uses each. Options are JSON text and are only searched for words: `"configure":"loop"` and its like misbehave before
//! the first call. It is written against the raw contract, so that the host's tests do not depend on the SDK.
//! It exists for Wasm alone: native test runs of this workspace find an empty crate.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::disallowed_methods, reason = "what a guest sees of the clock is one of the tests")]

#[allow(missing_docs, clippy::all)]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "full-plugin" });
}

mod misdeeds;

use std::cell::{Cell, RefCell};

use bindings::exports::simwright::plugin::fault::{self, Cut, Damage, HttpError, Position, Verdict};
use bindings::exports::simwright::plugin::latency::{self, Delay, LogNormal, Pause, Schedule, Uniform};
use bindings::exports::simwright::plugin::lifecycle::{self, About, Problem, Setting};
use bindings::exports::simwright::plugin::responder::{self, Answer, Finish, Generate, Item};
use bindings::simwright::plugin::types::Call;
use bindings::simwright::plugin::{log, request, state};

struct Adversary;

thread_local! {
    static MODELS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    /// Every fault panics, and every schedule takes long.
    static CLUMSY: Cell<bool> = const { Cell::new(false) };
    /// How often this instance was asked for it: what no plugin may decide by.
    static ASKED: Cell<u32> = const { Cell::new(0) };
}

impl lifecycle::Guest for Adversary {
    fn describe() -> About {
        About {
            name: "adversary".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "misbehaves on request".to_owned(),
            options_schema: r#"{
                "type": "object",
                "properties": {
                    "configure": { "enum": ["well", "panic", "loop", "problem", "clumsy"] },
                    "share": { "type": "number", "minimum": 0, "maximum": 1 }
                },
                "additionalProperties": false
            }"#
            .to_owned(),
        }
    }

    fn configure(options_json: String, setting: Setting) -> Result<(), Vec<Problem>> {
        MODELS.with(|models| *models.borrow_mut() = setting.names.models);
        CLUMSY.set(options_json.contains(r#""configure":"clumsy""#));
        if options_json.contains(r#""configure":"panic""#) {
            panic!("no taste for these options");
        }
        if options_json.contains(r#""configure":"loop""#) {
            misdeeds::spin();
        }
        if options_json.contains(r#""configure":"problem""#) {
            let hint = Some("write `well`".to_owned());
            return Err(vec![Problem { path: "/configure".to_owned(), message: "`problem` is a problem".to_owned(), hint }]);
        }
        Ok(())
    }
}

impl fault::Guest for Adversary {
    fn decide(call: Call) -> Verdict {
        assert!(!CLUMSY.get(), "two left hands");
        match deed(&call) {
            0 => Verdict::Pass,
            1..=99 => {
                misdeeds::commit(deed(&call));
                Verdict::Pass
            }
            100 => error(99),
            101 => Verdict::Cut((Cut::Reset, Position::Share(f32::NAN))),
            102 => Verdict::Error(HttpError { message: Some("a\r\nb".to_owned()), ..plain(500) }),
            103 => Verdict::HangMs(u32::MAX),
            104 => Verdict::DripBytesPerS(0),
            105 => Verdict::Error(HttpError { code: Some("x\ny".to_owned()), ..plain(500) }),
            106 => error(529),
            // Answers that show what the host services said.
            200 => tell(&request::last_user_text()),
            201 => tell(&request::body().len().to_string()),
            202 => tell(&request::header("x-color").unwrap_or_default()),
            203 => tell(&state::add("seen", 1, None).to_string()),
            204 => tell(&MODELS.with(|models| models.borrow().join(","))),
            205 => tell(&std::env::vars().count().to_string()),
            206 => {
                tell(&format!("{:?}", std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()))
            }
            207 => tell(&std::fs::read_to_string("/etc/passwd").unwrap_err().to_string()),
            208 => {
                state::set("colour", b"green", Some(1_000));
                Verdict::Pass
            }
            209 => tell(&String::from_utf8(state::get("colour").unwrap_or_default()).unwrap_or_default()),
            210 => tell(&format!("{:?}", std::net::TcpStream::connect("127.0.0.1:9").is_err())),
            211 => tell(&misdeeds::hash_seed().to_string()),
            212 => tell(&request::attribute("model").unwrap_or_default()),
            213 => {
                log::write(log::Level::Info, "line one\nline two \u{1b}[31m");
                log::count("oddities", 2);
                Verdict::Pass
            }
            214 => {
                ASKED.set(ASKED.get() + 1);
                tell(&ASKED.get().to_string())
            }
            // Faults that a good plugin may want.
            301 => Verdict::Damage((Damage::DuplicateChunk, Position::Token(2))),
            302 => Verdict::DripBytesPerS(20_000),
            303 => other("finish", r#"{"reason":"length","at":"token 2"}"#),
            304 => other("finish", r#"{"reason":"boredom","at":"token 2"}"#),
            _ => other("meteor", "{}"),
        }
    }
}

fn other(kind: &str, json: &str) -> Verdict {
    Verdict::Other(bindings::simwright::plugin::types::Named { kind: kind.to_owned(), json: json.to_owned() })
}

impl responder::Guest for Adversary {
    fn respond(call: Call, choices: u32) -> Vec<Answer> {
        let generate = |tokens| Item::Generate(Generate { tokens, style: String::new() });
        let answer = |items| Answer { items, finish: Finish::Stop };
        match deed(&call) {
            1..=99 => {
                misdeeds::commit(deed(&call));
                Vec::new()
            }
            // One gibibyte that is not even there: a pointer and a length.
            110 => vec![answer(vec![Item::Text(misdeeds::text_of(1 << 30))])],
            111 => Vec::new(),
            112 => (0..=choices).map(|_| answer(Vec::new())).collect(),
            113 => vec![answer(vec![generate(u32::MAX)])],
            114 => vec![answer((0..100_000).map(|_| Item::Structured).collect())],
            115 => vec![answer(vec![Item::ToolCall(responder::ToolCall { name: "a\nb".to_owned(), arguments_json: None })])],
            116 => vec![answer(vec![Item::Text("word ".repeat(64))])],
            117 => vec![answer(vec![Item::Text("x".repeat(9 << 20))])],
            118 => vec![answer(vec![Item::Text(request::last_user_text())])],
            _ => vec![answer(vec![generate(37)])],
        }
    }
}

impl latency::Guest for Adversary {
    fn plan(call: Call, _output_tokens: u32) -> Schedule {
        let between = Delay::LogNormal(LogNormal { p50_us: 15_000, p99_us: 60_000, cap_us: 0 });
        if CLUMSY.get() {
            misdeeds::commit(11);
        }
        let schedule = |first| Schedule { first, between: between.clone(), pauses: Vec::new() };
        match deed(&call) {
            1..=99 => {
                misdeeds::commit(deed(&call));
                schedule(Delay::Us(0))
            }
            120 => schedule(Delay::Us(u32::MAX)),
            121 => schedule(Delay::Uniform(Uniform { min_us: 2, max_us: 1 })),
            122 => schedule(Delay::LogNormal(LogNormal { p50_us: 2, p99_us: 1, cap_us: 0 })),
            123 => schedule(Delay::EachUs(Vec::new())),
            124 => Schedule { pauses: vec![Pause { after_token: 0, us: 1 }], ..schedule(Delay::Us(1)) },
            125 => Schedule {
                pauses: vec![Pause { after_token: 9, us: 1 }, Pause { after_token: 3, us: 1 }],
                ..schedule(Delay::EachUs(vec![5, 6]))
            },
            126 => schedule(law("gamma", r#"{"mean":"1ms","shape":2,"max":"5ms"}"#)),
            127 => schedule(law("gamma", r#"{"mean":"1ms"}"#)),
            128 => schedule(law("zipf", "{}")),
            129 => schedule(law("step-time", r#"{"base-us":2000,"kv-token-ps":0}"#)),
            130 => schedule(Delay::Us(600_000_000)),
            _ => schedule(Delay::Us(350_000)),
        }
    }
}

fn law(kind: &str, json: &str) -> Delay {
    Delay::Other(bindings::simwright::plugin::types::Named { kind: kind.to_owned(), json: json.to_owned() })
}

/// The number of what is asked for.
fn deed(call: &Call) -> u64 {
    request::header("x-adversary").and_then(|number| number.parse().ok()).unwrap_or(call.identity)
}

fn plain(status: u16) -> HttpError {
    HttpError { status, retry_after_ms: None, message: None, code: None }
}

fn error(status: u16) -> Verdict {
    Verdict::Error(plain(status))
}

fn tell(message: &str) -> Verdict {
    Verdict::Error(HttpError { message: Some(message.to_owned()), ..plain(500) })
}

bindings::export!(Adversary with_types_in bindings);
