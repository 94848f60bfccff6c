//! P6, P7 and P8: what the judge lets pass can be used without another look, whatever a guest gives.
//!
//! The numbers come from the edges of their types and from around each limit, where mistakes live; the texts from what has a meaning to
//! some layer above. What a guest may hand over at all is bounded before (`tests/conduct`).

use super::size;
use crate::behavior::fault::{Position, Verdict};
use crate::behavior::latency::Delay;
use crate::behavior::responder::{Generate, Item};
use crate::random::{Key, Stream};
use crate::types::limits;
use crate::wasm::bindings::exports::simwright::plugin::{fault, latency, responder};
use crate::wasm::bindings::simwright::plugin::types::Named;
use crate::wasm::judge;

/// Values at random, most of them near an edge.
struct Wild(Stream);

impl Wild {
    fn number(&mut self) -> u32 {
        let most = [limits::DELAY_US_MAX as u32, 3_600_000, limits::OUTPUT_TOKENS_MAX, limits::RETRY_AFTER_MS_MAX, 600, u32::MAX];
        match self.0.below(4) {
            0 => most[self.0.below(6) as usize].wrapping_add(self.0.below(3)).wrapping_sub(1),
            1 => self.0.below(3),
            2 => self.0.below(1_000),
            _ => self.0.below(u32::MAX),
        }
    }

    fn share(&mut self) -> f32 {
        let edges = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 1.0, 1.000_000_1, -1e-45, f32::MAX, f32::MIN_POSITIVE];
        match self.0.below(2) {
            0 => edges[self.0.below(9) as usize],
            _ => f32::from_bits(self.0.below(u32::MAX)),
        }
    }

    fn text(&mut self) -> String {
        let pieces = ["", "x", "\r\n", "\0", "\u{1b}[2J", "\u{85}", "é", "\u{2028}", "name with space", "</script>", "\u{7f}"];
        match self.0.below(8) {
            0 => "x".repeat(limits::PLUGIN_NAME_BYTES + self.0.below(3) as usize - 1),
            1 => "x".repeat(limits::PLUGIN_MESSAGE_BYTES + self.0.below(3) as usize - 1),
            _ => (0..self.0.below(4)).map(|_| pieces[self.0.below(11) as usize]).collect(),
        }
    }

    fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.0.below(2) == 0).then(|| value(self))
    }

    fn named(&mut self) -> Named {
        let kinds = ["finish", "gamma", "", "a\nb", "meteor"];
        let jsons = [
            "{",
            "{}",
            r#"{"reason":"length","at":"50%"}"#,
            r#"{"reason":"length","at":"1e400%"}"#,
            r#"{"reason":"refusal","at":"start","message":"a\r\nb"}"#,
            r#"{"reason":"length","at":"token -1"}"#,
        ];
        let kind = kinds[self.0.below(5) as usize].to_owned();
        Named { kind, json: jsons[self.0.below(6) as usize].to_owned() }
    }

    fn position(&mut self) -> fault::Position {
        match self.0.below(4) {
            0 => fault::Position::Start,
            1 => fault::Position::Token(self.number()),
            2 => fault::Position::Share(self.share()),
            _ => fault::Position::AfterMs(self.number()),
        }
    }

    fn verdict(&mut self) -> fault::Verdict {
        match self.0.below(8) {
            0 => fault::Verdict::Error(fault::HttpError {
                status: self.number() as u16,
                retry_after_ms: self.maybe(Self::number),
                message: self.maybe(Self::text),
                code: self.maybe(Self::text),
            }),
            1 => fault::Verdict::HangMs(self.number()),
            2 => fault::Verdict::Cut((fault::Cut::Reset, self.position())),
            3 => fault::Verdict::StallMs((self.number(), self.position())),
            4 => fault::Verdict::ErrorEvent((self.text(), self.position())),
            5 => fault::Verdict::Damage((fault::Damage::SplitUtf8, self.position())),
            6 => fault::Verdict::DripBytesPerS(self.number()),
            _ => fault::Verdict::Other(self.named()),
        }
    }

    fn delay(&mut self) -> latency::Delay {
        match self.0.below(5) {
            0 => latency::Delay::Us(self.number()),
            1 => latency::Delay::Uniform(latency::Uniform { min_us: self.number(), max_us: self.number() }),
            2 => {
                let [p50_us, p99_us, cap_us] = [0; 3].map(|_| self.number());
                latency::Delay::LogNormal(latency::LogNormal { p50_us, p99_us, cap_us })
            }
            3 => latency::Delay::EachUs((0..self.0.below(4)).map(|_| self.number()).collect()),
            _ => latency::Delay::Other(self.named()),
        }
    }

    fn schedule(&mut self) -> latency::Schedule {
        let pauses = (0..self.0.below(4)).map(|_| latency::Pause { after_token: self.number(), us: self.number() }).collect();
        latency::Schedule { first: self.delay(), between: self.delay(), pauses }
    }

    fn item(&mut self) -> responder::Item {
        match self.0.below(8) {
            0 => responder::Item::Generate(responder::Generate { tokens: self.number(), style: self.text() }),
            1 => responder::Item::Think(responder::Generate { tokens: self.number(), style: self.text() }),
            2 => responder::Item::Text(self.text()),
            3 => responder::Item::Reasoning(self.text()),
            4 => {
                let arguments_json = self.maybe(Self::text);
                responder::Item::ToolCall(responder::ToolCall { name: self.text(), arguments_json })
            }
            5 => responder::Item::Structured,
            6 => responder::Item::Refusal(self.text()),
            _ => responder::Item::Other(self.named()),
        }
    }

    fn answers(&mut self) -> Vec<responder::Answer> {
        let items = |wild: &mut Self| (0..wild.0.below(4)).map(|_| wild.item()).collect();
        (0..self.0.below(4)).map(|_| responder::Answer { items: items(self), finish: responder::Finish::Stop }).collect()
    }
}

/// May `text` stand in a header or a log line?
fn is_clean(text: &str, most: usize) -> bool {
    text.len() <= most && !text.contains(char::is_control)
}

fn is_place(place: Position) -> bool {
    match place {
        Position::Share(share) => (0.0..=1.0).contains(&share),
        Position::AfterMs(ms) => u64::from(ms) * 1_000 <= limits::DELAY_US_MAX,
        Position::Start | Position::Token(_) => true,
    }
}

fn is_wait(ms: u32) -> bool {
    u64::from(ms) * 1_000 <= limits::DELAY_US_MAX
}

fn is_safe(verdict: &Verdict) -> bool {
    let name = |text: &Option<String>, most| text.as_ref().is_none_or(|text| is_clean(text, most));
    match verdict {
        Verdict::Pass => true,
        Verdict::Error(error) => {
            (400..=599).contains(&error.status)
                && error.retry_after_ms.is_none_or(|ms| ms <= limits::RETRY_AFTER_MS_MAX)
                && name(&error.message, limits::PLUGIN_MESSAGE_BYTES)
                && name(&error.code, limits::PLUGIN_NAME_BYTES)
        }
        Verdict::Hang(ms) => is_wait(*ms),
        Verdict::Stall(ms, at) => is_wait(*ms) && is_place(*at),
        Verdict::ErrorEvent(message, at) => is_clean(message, limits::PLUGIN_MESSAGE_BYTES) && is_place(*at),
        Verdict::Cut(_, at) | Verdict::Damage(_, at) | Verdict::Finish(_, at) => is_place(*at),
        Verdict::Drip(rate) => *rate > 0,
        Verdict::Other(named) => is_clean(&named.kind, limits::PLUGIN_NAME_BYTES) && !named.kind.is_empty(),
    }
}

fn is_bounded(delay: &Delay) -> bool {
    let most = |us: u32| u64::from(us) <= limits::DELAY_US_MAX;
    match delay {
        Delay::Us(us) => most(*us),
        Delay::Uniform(least, us) => least <= us && most(*us),
        Delay::LogNormal(law) => law.p50_us <= law.p99_us && most(law.p99_us) && most(law.cap_us),
        Delay::Each(list) => !list.is_empty() && list.iter().all(|us| most(*us)),
        Delay::Law(_) => true,
        Delay::Other(named) => is_clean(&named.kind, limits::PLUGIN_NAME_BYTES) && !named.kind.is_empty(),
    }
}

fn is_sound(item: &Item) -> bool {
    match item {
        Item::Generate(Generate { tokens, style }) | Item::Think(Generate { tokens, style }) => {
            *tokens <= limits::OUTPUT_TOKENS_MAX && is_clean(style, limits::PLUGIN_NAME_BYTES)
        }
        Item::ToolCall { name, .. } => is_clean(name, limits::PLUGIN_NAME_BYTES) && !name.is_empty(),
        Item::Other(named) => is_clean(&named.kind, limits::PLUGIN_NAME_BYTES) && !named.kind.is_empty(),
        Item::Text(_) | Item::Prepared(_) | Item::Reasoning(_) | Item::Structured | Item::Refusal(_) => true,
    }
}

#[test]
fn what_the_judge_lets_pass_keeps_every_bound() {
    let mut passed = [0; 3];
    for number in 0..size(100_000, 1_000_000) {
        let mut wild = Wild(Key::of_seed(7).with(number).stream());
        let given = wild.verdict();
        if let Ok(verdict) = judge::verdict(given) {
            passed[0] += 1;
            assert!(is_safe(&verdict), "{number}: {verdict:?}");
        }
        if let Ok(schedule) = judge::schedule(wild.schedule()) {
            passed[1] += 1;
            assert!(is_bounded(&schedule.first) && is_bounded(&schedule.between), "{number}: {schedule:?}");
            assert!(schedule.pauses.is_sorted_by_key(|pause| pause.after_token), "{number}: {schedule:?}");
            let is_good =
                |pause: &crate::behavior::latency::Pause| pause.after_token > 0 && u64::from(pause.us) <= limits::DELAY_US_MAX;
            assert!(schedule.pauses.iter().all(is_good), "{number}: {schedule:?}");
        }
        let choices = 1 + wild.0.below(4);
        if let Ok(answers) = judge::answers(wild.answers(), choices) {
            passed[2] += 1;
            assert!((1..=choices as usize).contains(&answers.len()), "{number}: {answers:?}");
            assert!(answers.iter().flat_map(|answer| &answer.items).all(is_sound), "{number}: {answers:?}");
        }
    }
    // Each kind is sometimes let pass, so that the above has been looked at.
    assert!(passed.iter().all(|passed| *passed > 1_000), "{passed:?}");
}
