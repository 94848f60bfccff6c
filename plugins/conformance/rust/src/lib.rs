//! Does all that the contract allows, as it is told: the same in four languages, which are compared.
//!
//! The newest user message says what: a word and a number. `README.md` beside the four lists them.

use simwright_sdk::json::json;
use simwright_sdk::prelude::*;

options! {
    /// One of each kind.
    pub struct Conformance {
        /// Which part of the first attempts is refused.
        pub rate: Share = Share::percent(25.0);
        /// For how long.
        pub wait: Duration = ms(1500), in ms(1)..=Duration::from_secs(3_600);
        /// How many times as long everything takes.
        pub factor: f64 = 1.5, in 0.5..=10.0;
        /// The most tokens of an answer.
        pub limit: u32 = 40, in 1..=1_000;
        /// What is said before anything else.
        pub note: String = "so".to_owned();
        /// Is it said?
        pub loud: bool = false;
    }
}

const DAMAGES: [Damage; 11] = [
    Damage::MalformedChunk,
    Damage::TruncatedJson,
    Damage::SplitUtf8,
    Damage::MissingEnd,
    Damage::DuplicateChunk,
    Damage::SwapChunks,
    Damage::WrongContentType,
    Damage::EmptyBody,
    Damage::BadToolArguments,
    Damage::SchemaViolation,
    Damage::WrongUsage,
];

/// The word and the number of the newest user message.
fn told(call: &Call) -> (String, u32) {
    let text = call.last_user_text();
    let mut words = text.split(' ');
    let word = words.next().unwrap_or_default().to_owned();
    (word, words.next().and_then(|number| number.parse().ok()).unwrap_or(0))
}

fn tell(message: String) -> Verdict {
    HttpError::new(418).message(message).into()
}

fn or_none(text: Option<String>) -> String {
    text.unwrap_or_else(|| "none".to_owned())
}

impl Fault for Conformance {
    fn decide(&self, call: &Call) -> Verdict {
        let (word, number) = told(call);
        match word.as_str() {
            "scalars" => tell(scalars(call)),
            "now" => tell(call.now_ns.to_string()),
            "options" => tell(self.shown()),
            "draws" => tell(draws(call)),
            "state" => tell(remember(call)),
            "request" => tell(request(call)),
            "log" => {
                log::info!("as told: é {}", call.attempt);
                log::count("asked", 2);
                Verdict::Pass
            }
            "print" => {
                println!("printed");
                eprintln!("and complained");
                Verdict::Pass
            }
            "clock" => {
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                tell(now.map_or(0, |now| now.as_secs()).to_string())
            }
            "panic" => panic!("as told"),
            "verdict" => self.verdict(number),
            _ if !call.is_retry() && call.key().named("rate").chance(self.rate.get()) => Verdict::rate_limited(self.wait),
            _ => Verdict::Pass,
        }
    }
}

impl Conformance {
    fn shown(&self) -> String {
        let (rate, factor) = ((self.rate.get() * 10_000.0) as u64, (self.factor * 1_000.0) as u64);
        format!("{rate} {} {factor} {} {} {}", self.wait.as_micros(), self.limit, self.note, self.loud)
    }

    fn verdict(&self, number: u32) -> Verdict {
        match number {
            1 => Verdict::http(503),
            2 => HttpError::new(429).retry_after(self.wait).message("come \"again\"").code("later").into(),
            3 => Verdict::hang(self.wait),
            4 => Verdict::cut(Cut::Reset, Position::Start),
            5 => Verdict::cut(Cut::Close, Position::Token(3)),
            6 => Verdict::cut(Cut::End, Position::Share(0.5)),
            7 => Verdict::stall(self.wait, Position::after(ms(20))),
            8 => Verdict::error_event("broken", Position::Token(2)),
            9..=19 => Verdict::damage(DAMAGES[number as usize - 9], Position::Token(1)),
            20 => Verdict::length(Position::Share(0.3)),
            21 => Verdict::content_filter(Position::Token(4)),
            22 => Verdict::refusal("no \"more\"", Position::after(ms(30))),
            23 => Verdict::drip(4_096),
            24 => Verdict::overloaded(self.wait),
            _ => Verdict::Pass,
        }
    }
}

fn scalars(call: &Call) -> String {
    format!(
        "{} {} {} {} {} {} {} {} {} {} {} {} {}{}{}{}{}",
        call.identity,
        call.attempt,
        call.occurrence,
        call.seed,
        call.model,
        call.tenant,
        call.stage,
        call.operation,
        call.input_tokens,
        call.max_output_tokens,
        call.running,
        call.waiting,
        u8::from(call.is_streaming()),
        u8::from(call.has_tools()),
        u8::from(call.wants_json()),
        u8::from(call.is_retry()),
        call.now_ns % 2,
    )
}

fn draws(call: &Call) -> String {
    let mut rng = call.rng();
    let (bits, unit, below) = (rng.bits(), rng.unit(), rng.below(1_000));
    let (between, chance) = (rng.between(2.0, 10.0), rng.chance(0.5));
    let key = call.key().named("größe").with(7);
    format!(
        "{bits} {} {below} {} {chance} {} {} {}",
        (unit * 9_007_199_254_740_992.0) as u64,
        (between * 1_000_000.0) as u64,
        key.bits(),
        (key.unit() * 9_007_199_254_740_992.0) as u64,
        Key::of_seed(u64::MAX).with(u64::MAX).rng().bits(),
    )
}

fn remember(call: &Call) -> String {
    let key = format!("key/{}", call.identity);
    let count = state::add_for(&key, 3, Duration::from_secs(10));
    let before = state::get(&key).map(|value| String::from_utf8_lossy(&value).into_owned());
    let next = format!("{}+", before.as_deref().unwrap_or_default());
    state::set_for(&key, next.as_bytes(), Duration::from_secs(5));
    let all = state::add("all", 10) + state::add("all", -3);
    let down = state::add("down", -(1 << 40));
    format!("{count} {} {all} {down}", or_none(before))
}

fn request(call: &Call) -> String {
    let body = call.body();
    let sum: u32 = body.iter().map(|byte| u32::from(*byte)).sum();
    let found = [call.header("x-color"), call.header("authorization"), call.attribute("model"), call.attribute("no-such")];
    let found: Vec<String> = found.into_iter().map(or_none).collect();
    let (system, tools) = (call.system_text(), call.tool_names().join("+"));
    format!("{} {sum} {} [{tools}] {} {}", body.len(), found.join(" "), or_none(system), or_none(call.tool_result()))
}

impl Responder for Conformance {
    fn answer(&self, call: &Call) -> Answer {
        let (word, number) = told(call);
        match (word.as_str(), number) {
            ("answer", 1) => Answer::generate(self.limit),
            ("answer", 2) => Answer::of([Item::Think(generate(5)), Item::Text("Eins, zwei: ".to_owned()), Item::generate(7, "code")]),
            ("answer", 3) => Answer::tool_call("look_up", None),
            ("answer", 4) => Answer::tool_call("look_up", Some("{\"id\":\"ä\"}".to_owned())),
            ("answer", 5) => Answer::structured(),
            ("answer", 6) => Answer::refusal("I'd rather not."),
            ("answer", 7) => Answer::of([Item::Reasoning("Hm.".to_owned()), Item::Text("Yes.".to_owned())]),
            ("answer", 8) => Answer::text("cut").finish(Finish::Length),
            ("answer", 9) => Answer::text("").finish(Finish::ContentFilter),
            _ => {
                let more = 1 + call.key().named("length").rng().below(self.limit);
                let said = if self.loud { format!("{}: {word}", self.note) } else { word };
                Answer::text(said).and(Item::generate(more, ""))
            }
        }
    }
}

fn generate(tokens: u32) -> simwright_sdk::responder::Generate {
    simwright_sdk::responder::Generate { tokens, style: String::new() }
}

impl Latency for Conformance {
    fn plan(&self, call: &Call, output_tokens: u32) -> Schedule {
        let (word, number) = told(call);
        match (word.as_str(), number) {
            ("delay", 1) => Schedule::new(Delay::uniform(ms(1), ms(3)), us(250)),
            ("delay", 2) => Schedule::new(Delay::log_normal(ms(10), ms(40)).at_most(ms(60)), Duration::ZERO),
            ("delay", 3) => Schedule::new(ms(2), Delay::each([us(100), us(200), ms(1)])),
            ("delay", 4) => Schedule::new(Delay::law("gamma", json!({ "mean": "2ms", "shape": 3 })), ms(1)),
            ("delay", 5) => Schedule::steady(ms(1), ms(1)).pause(2, ms(5)).pause(4, us(500)),
            ("delay", 6) => Schedule::immediate(),
            _ => {
                let first = (f64::from(10_000 + 100 * call.input_tokens) * self.factor) as u64;
                let slow = call.key().named("slow").chance(0.5);
                let schedule = Schedule::steady(us(first + 1_000 * u64::from(call.running)), ms(if slow { 2 } else { 1 }));
                if output_tokens > 4 { schedule.pause(output_tokens / 2, ms(5)) } else { schedule }
            }
        }
    }
}

export!(Conformance: fault, responder, latency);
