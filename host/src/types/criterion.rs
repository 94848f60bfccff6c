//! Promises as people write them: `p99 ttft < 500ms`, `errors of gpt-4o <= 0.1%`, `ignored retry-after = 0`. The one grammar of every
//! command that judges.
//!
//! ```text
//! criterion := [stat] metric ["of" model] operator value
//! stat      := "p50" … "p99.99" | "mean" | "max" | "min"          for times, and only for them
//! operator  := "<" | "<=" | ">" | ">=" | "="
//! value     := a duration for times | a share of the requests or a count for what is counted | a number, perhaps with "/s", for flows
//! ```
//!
//! The metrics are those of [`Time`], [`Counted`] and [`Flow`]; their comments define them.

use crate::types::problem::did_you_mean;
use crate::types::quantity::{parse_duration_us, parse_share};

/// One promise.
#[derive(Debug, Clone, PartialEq)]
pub struct Criterion {
    /// As it was written.
    pub text: String,
    /// What is measured.
    pub metric: Metric,
    /// Of which model entry; of all if none is named.
    pub model: Option<String>,
    /// How the measured value must compare.
    pub operator: Operator,
    /// With what.
    pub bound: Bound,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Metric {
    /// A statistic of a time.
    Time(Stat, Time),
    /// How often something happened.
    Count(Counted),
    /// How much a second.
    Flow(Flow),
}

/// A statistic of many times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stat {
    /// The time that this share of them (0 to 1) does not exceed.
    Quantile(f64),
    /// Their mean.
    Mean,
    /// The longest.
    Max,
    /// The shortest.
    Min,
}

/// Times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// `ttft`: from the request to its first token, or to a whole reply.
    FirstToken,
    /// `gap`: from one token of a stream to the next.
    Gap,
    /// `duration`: from the request to the end of its reply, refusals included; not of requests whose client left.
    Duration,
    /// `lateness`: from a token's planned time to the write of its bytes. It belongs to the simulator, not to a model.
    Lateness,
}

/// What is counted, each as a number or as a share of the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// `requests`: requests that came to an end, be it good or bad.
    Requests,
    /// `errors`: requests whose client did not get a whole reply from us: refusals, and replies that broke off, hung or ended with an
    /// error event. One whose client left is none.
    Errors,
    /// `refusals`: requests answered with an HTTP status of 400 or more.
    Refusals,
    /// `faults`: requests that a fault of the scenario struck.
    Faults,
    /// `retries`: requests of an identity whose last request failed, and requests that say themselves that they are another attempt.
    Retries,
    /// `ignored retry-after`: retries that came earlier than the refusal before them had asked for.
    IgnoredRetryAfter,
    /// `retry storms`: how often one identity retried more than [`crate::types::limits::STORM_RETRIES`] times within
    /// [`crate::types::limits::STORM_WINDOW_S`] seconds; one storm counts once for each such time.
    RetryStorms,
    /// `abandoned`: requests whose client left before the end.
    Abandoned,
    /// `truncated accepted`: replies with status 200 that a fault cut short, and whose identity has not asked again since.
    TruncatedAccepted,
}

/// What flows, by the second, between the first request's arrival and the last one's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// `rate`: requests.
    Requests,
    /// `tokens/s`: tokens of replies.
    Tokens,
}

/// How two values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `=`
    Equal,
}

/// What a value is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// Nanoseconds.
    Ns(f64),
    /// A share of the requests, 0 to 1.
    Share(f64),
    /// A number of times.
    Count(f64),
    /// So many a second.
    PerSecond(f64),
}

/// What is wrong in a criterion, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The character at which it stands, from 1.
    pub at: usize,
    /// What is wrong.
    pub message: String,
    /// What to try.
    pub hint: String,
}

const METRICS: [(&str, Name); 15] = [
    ("ttft", Name::Time(Time::FirstToken)),
    ("gap", Name::Time(Time::Gap)),
    ("duration", Name::Time(Time::Duration)),
    ("lateness", Name::Time(Time::Lateness)),
    ("requests", Name::Count(Counted::Requests)),
    ("errors", Name::Count(Counted::Errors)),
    ("refusals", Name::Count(Counted::Refusals)),
    ("faults", Name::Count(Counted::Faults)),
    ("retries", Name::Count(Counted::Retries)),
    ("ignored retry-after", Name::Count(Counted::IgnoredRetryAfter)),
    ("retry storms", Name::Count(Counted::RetryStorms)),
    ("abandoned", Name::Count(Counted::Abandoned)),
    ("truncated accepted", Name::Count(Counted::TruncatedAccepted)),
    ("rate", Name::Flow(Flow::Requests)),
    ("tokens/s", Name::Flow(Flow::Tokens)),
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Name {
    Time(Time),
    Count(Counted),
    Flow(Flow),
}

impl Counted {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Requests,
        Self::Errors,
        Self::Refusals,
        Self::Faults,
        Self::Retries,
        Self::IgnoredRetryAfter,
        Self::RetryStorms,
        Self::Abandoned,
        Self::TruncatedAccepted,
    ];

    /// The word for it in criteria and reports.
    pub fn word(self) -> &'static str {
        let is_this = |(_, name): &&(&str, Name)| *name == Name::Count(self);
        METRICS.iter().find(is_this).map_or("", |(word, _)| word)
    }
}

impl Operator {
    /// Is `left` so related to `right`?
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::More => left > right,
            Self::AtLeast => left >= right,
            Self::Equal => left == right,
        }
    }
}

/// The words for all metrics, as criteria write them.
pub fn metrics() -> impl Iterator<Item = &'static str> {
    METRICS.iter().map(|(word, _)| *word)
}

/// Reads a criterion. All mistakes at once, in the order of the text.
pub fn parse(text: &str) -> Result<Criterion, Vec<Mistake>> {
    let mut reader = Reader { text, mistakes: Vec::new() };
    let Some(start) = text.find(['<', '>', '=', '!']) else {
        reader.mistake(text.trim_end().len(), "there is no operator", "write for example `p99 ttft < 500ms` or `errors < 1%`");
        return Err(reader.mistakes);
    };
    let end = start + text[start..].find(|c| !matches!(c, '<' | '>' | '=' | '!')).unwrap_or(text.len() - start);
    let (stat, name, model) = reader.subject(&text[..start]);
    let operator = reader.operator(start, &text[start..end]);
    let value = text[end..].trim();
    let value_at = end + text[end..].find(value).unwrap_or(0);
    let metric = name.and_then(|(at, name)| reader.metric(stat, at, name, model));
    let bound = name.and_then(|(_, name)| reader.bound(name, value_at, value));
    match (metric, operator, bound) {
        (Some(metric), Some(operator), Some(bound)) if reader.mistakes.is_empty() => {
            let model = model.map(|(_, model)| model.to_owned());
            Ok(Criterion { text: text.trim().to_owned(), metric, model, operator, bound })
        }
        _ => Err(reader.mistakes),
    }
}

/// A word and the byte at which it begins.
type Word<'a> = (usize, &'a str);

struct Reader<'a> {
    text: &'a str,
    mistakes: Vec<Mistake>,
}

impl<'a> Reader<'a> {
    /// Notes a mistake at the byte `at`.
    fn mistake(&mut self, at: usize, message: impl Into<String>, hint: impl Into<String>) {
        let at = self.text[..at].chars().count() + 1;
        self.mistakes.push(Mistake { at, message: message.into(), hint: hint.into() });
    }

    /// What stands before the operator: the statistic, the metric and the model.
    fn subject(&mut self, before: &'a str) -> (Option<Word<'a>>, Option<(usize, Name)>, Option<Word<'a>>) {
        let start = |word: &str| word.as_ptr() as usize - before.as_ptr() as usize;
        let mut words: Vec<Word<'a>> = before.split_whitespace().map(|word| (start(word), word)).collect();
        let model = match words.iter().position(|(_, word)| *word == "of") {
            None => None,
            Some(of) => {
                let named = words.split_off(of);
                match named[1..] {
                    [model] => Some(model),
                    [] => {
                        self.mistake(named[0].0, "`of` names no model", "write the name of a model entry after it");
                        None
                    }
                    [_, (at, extra), ..] => {
                        self.mistake(at, format!("`{extra}` is too much"), "a criterion is about one model entry, or about all");
                        None
                    }
                }
            }
        };
        let has_stat = words.first().is_some_and(|(_, word)| is_stat(word));
        let stat = has_stat.then(|| words.remove(0));
        let Some(&(at, _)) = words.first() else {
            self.mistake(before.trim_end().len(), "there is no metric", format!("one of: {}", known_metrics()));
            return (stat, None, model);
        };
        let name = words.iter().map(|(_, word)| *word).collect::<Vec<_>>().join(" ");
        let known = METRICS.iter().find(|(word, _)| *word == name).map(|(_, known)| (at, *known));
        if known.is_none() {
            let hint = match did_you_mean(&name, metrics()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("one of: {}", known_metrics()),
            };
            self.mistake(at, format!("`{name}` is no metric"), hint);
        }
        (stat, known, model)
    }

    fn operator(&mut self, at: usize, operator: &str) -> Option<Operator> {
        Some(match operator {
            "<" => Operator::Less,
            "<=" => Operator::AtMost,
            ">" => Operator::More,
            ">=" => Operator::AtLeast,
            "=" | "==" => Operator::Equal,
            other => {
                self.mistake(at, format!("`{other}` is no operator"), "use <, <=, >, >= or =");
                return None;
            }
        })
    }

    fn metric(&mut self, stat: Option<Word<'_>>, at: usize, name: Name, model: Option<Word<'_>>) -> Option<Metric> {
        if let (Name::Time(Time::Lateness), Some((at, _))) = (name, model) {
            self.mistake(at, "`lateness` belongs to the simulator and not to a model", "leave out `of` and the model");
        }
        match (name, stat) {
            (Name::Time(time), Some((at, word))) => match stat_of(word) {
                Some(stat) => Some(Metric::Time(stat, time)),
                None => {
                    self.mistake(
                        at,
                        format!("`{word}` is no percentile"),
                        "write p and a number above 0 and below 100, such as `p99.9`",
                    );
                    None
                }
            },
            (Name::Time(_), None) => {
                self.mistake(at, "which of the times is meant?", "put `p99`, `mean`, `max` or `min` before it");
                None
            }
            (Name::Count(_) | Name::Flow(_), Some((at, word))) => {
                self.mistake(
                    at,
                    format!("`{word}` is for times"),
                    format!("leave out `{word}`; the times are ttft, gap, duration, lateness"),
                );
                None
            }
            (Name::Count(counted), None) => Some(Metric::Count(counted)),
            (Name::Flow(flow), None) => Some(Metric::Flow(flow)),
        }
    }

    fn bound(&mut self, name: Name, at: usize, value: &str) -> Option<Bound> {
        let number = |text: &str| text.replace('_', "").parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
        let bound = match name {
            _ if value.is_empty() => Err(("there is no value to compare with".to_owned(), example(name))),
            Name::Time(_) => {
                parse_duration_us(value).map(|us| Bound::Ns(us as f64 * 1e3)).map_err(|message| (message, example(name)))
            }
            Name::Count(Counted::Requests) if value.ends_with('%') => {
                Err(("`requests` has no share: all others are shares of it".to_owned(), example(name)))
            }
            Name::Count(_) if value.ends_with('%') => {
                parse_share(value).map(Bound::Share).map_err(|message| (message, example(name)))
            }
            // A fraction is more likely a share that lacks its sign than a count.
            Name::Count(_) => match number(value) {
                Some(count) if count.fract() == 0.0 => Ok(Bound::Count(count)),
                _ => Err((format!("`{value}` is neither a count nor a share"), example(name))),
            },
            Name::Flow(_) => match number(value.strip_suffix("/s").unwrap_or(value).trim_end()) {
                Some(flow) => Ok(Bound::PerSecond(flow)),
                None => Err((format!("`{value}` is no number a second"), example(name))),
            },
        };
        bound.map_err(|(message, hint)| self.mistake(at, message, hint)).ok()
    }
}

fn example(name: Name) -> String {
    let example = match name {
        Name::Time(_) => "`350ms` or `1.5s`",
        Name::Count(Counted::Requests) => "`100`",
        Name::Count(_) => "`0`, `5` or `0.1%`",
        Name::Flow(_) => "`20/s`",
    };
    format!("write for example {example}")
}

fn known_metrics() -> String {
    metrics().collect::<Vec<_>>().join(", ")
}

/// Does `word` look like a statistic?
fn is_stat(word: &str) -> bool {
    let is_percentile = word.strip_prefix('p').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    is_percentile || matches!(word, "mean" | "max" | "min")
}

fn stat_of(word: &str) -> Option<Stat> {
    match word {
        "mean" => return Some(Stat::Mean),
        "max" => return Some(Stat::Max),
        "min" => return Some(Stat::Min),
        _ => {}
    }
    let percent: f64 = word.strip_prefix('p')?.parse().ok()?;
    (percent > 0.0 && percent < 100.0).then_some(Stat::Quantile(percent / 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let cases = [
            ("p99 ttft < 500ms", Metric::Time(Stat::Quantile(0.99), Time::FirstToken), None, Operator::Less, Bound::Ns(5e8)),
            ("max gap of gpt-4o<=1.5s", Metric::Time(Stat::Max, Time::Gap), Some("gpt-4o"), Operator::AtMost, Bound::Ns(1.5e9)),
            ("mean duration > 1ms", Metric::Time(Stat::Mean, Time::Duration), None, Operator::More, Bound::Ns(1e6)),
            ("errors < 0.1%", Metric::Count(Counted::Errors), None, Operator::Less, Bound::Share(0.001)),
            ("ignored retry-after = 0", Metric::Count(Counted::IgnoredRetryAfter), None, Operator::Equal, Bound::Count(0.0)),
            ("  requests of m >= 1_000 ", Metric::Count(Counted::Requests), Some("m"), Operator::AtLeast, Bound::Count(1e3)),
            ("rate >= 20/s", Metric::Flow(Flow::Requests), None, Operator::AtLeast, Bound::PerSecond(20.0)),
            ("tokens/s > 100", Metric::Flow(Flow::Tokens), None, Operator::More, Bound::PerSecond(100.0)),
        ];
        for (text, metric, model, operator, bound) in cases {
            let read = parse(text).unwrap_or_else(|mistakes| panic!("{text}: {mistakes:?}"));
            assert_eq!(
                (read.metric, read.model.as_deref(), read.operator, read.bound),
                (metric, model, operator, bound),
                "{text}"
            );
            assert_eq!(read.text, text.trim());
        }
        let Metric::Time(Stat::Quantile(share), _) = parse("p99.9 lateness < 1ms").expect("right").metric else {
            panic!("a quantile")
        };
        assert!((share - 0.999).abs() < 1e-12);
    }

    #[test]
    fn every_mistake_has_its_place_and_a_way_out() {
        // Each criterion with its mistakes: the character, and parts of message and hint.
        type Told = (usize, &'static str, &'static str);
        let cases: [(&str, &[Told]); 12] = [
            ("p99 ttfb < 500", &[(5, "`ttfb` is no metric", "did you mean `ttft`?")]),
            ("p99 ttft < 500", &[(12, "has no unit", "`350ms`")]),
            ("ttft of m < 1s", &[(1, "which of the times", "`p99`")]),
            ("p100 ttft < 1", &[(1, "no percentile", "p99.9"), (13, "no unit", "350ms")]),
            ("p99 errors < 1%", &[(1, "`p99` is for times", "leave out")]),
            ("retry storm = 0", &[(1, "`retry storm` is no metric", "`retry storms`")]),
            ("errors !< 0.5", &[(8, "`!<` is no operator", "<, <="), (11, "neither a count nor a share", "0.1%")]),
            ("errors", &[(7, "there is no operator", "errors < 1%")]),
            ("errors of <", &[(8, "names no model", "entry"), (12, "no value", "`5`")]),
            ("errors of a b < 1", &[(13, "`b` is too much", "one model entry")]),
            ("p9 lateness of m < 1ms", &[(16, "belongs to the simulator", "leave out")]),
            ("requests < 5%", &[(12, "has no share", "`100`")]),
        ];
        for (text, expected) in cases {
            let found = parse(text).expect_err(text);
            assert_eq!(found.len(), expected.len(), "{text}: {found:?}");
            for (mistake, (at, message, hint)) in found.iter().zip(expected) {
                assert!(
                    mistake.at == *at && mistake.message.contains(message) && mistake.hint.contains(hint),
                    "{text}: {mistake:?}"
                );
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[p0-9a-z <>=!%./é-]{0,40}") {
            let _ = parse(&text);
        }
    }
}
