use super::*;
use crate::stats::histogram::Histogram;
use crate::types::criterion::parse;

fn criteria(texts: &[&str]) -> Vec<Criterion> {
    texts.iter().map(|text| parse(text).unwrap_or_else(|mistakes| panic!("{text}: {mistakes:?}"))).collect()
}

/// Two models: `fast` has 100 requests of which 2 failed, `slow` has 10 in ten seconds.
fn figures() -> Figures {
    let of = |ms: u64, requests: u64, errors: u64| {
        let times = Histogram::default();
        (1..=requests).for_each(|index| times.record(ms * 1_000_000 + index, 1));
        let mut one = ModelFigures { first_token: times.snapshot(), duration: times.snapshot(), ..ModelFigures::default() };
        one.counts[Counted::Requests as usize] = requests;
        one.counts[Counted::Errors as usize] = errors;
        one.output_tokens = 10 * requests;
        one.span_ns = Some((1_000_000_000, 11_000_000_000));
        one
    };
    let models = BTreeMap::from([("fast".to_owned(), of(100, 100, 2)), ("slow".to_owned(), of(900, 10, 0))]);
    Figures { models, lateness: Snapshot::default() }
}

fn kept(text: &str) -> bool {
    judge(&criteria(&[text]), figures()).is_kept()
}

#[test]
fn a_criterion_is_judged_on_what_it_names_and_nothing_else() {
    let cases = [
        ("p50 ttft < 110ms", true),
        ("p99 ttft < 110ms", false),
        ("p99 ttft of fast < 110ms", true),
        ("min ttft of slow >= 900ms", true),
        ("max duration <= 901ms", true),
        ("mean ttft of fast < 100ms", false),
        ("mean ttft of fast < 101ms", true),
        ("errors < 2%", true),
        ("errors of fast < 2%", false),
        ("errors of fast <= 2%", true),
        ("errors = 2", true),
        ("errors of slow = 0", true),
        ("requests >= 110", true),
        ("requests > 110", false),
        ("rate >= 11/s", true),
        ("rate of slow > 1/s", false),
        ("tokens/s of fast >= 100", true),
        ("retry storms = 0", true),
    ];
    for (text, expected) in cases {
        assert_eq!(kept(text), expected, "{text}");
    }
}

#[test]
fn a_promise_that_nobody_tried_is_broken_and_a_count_of_nothing_is_zero() {
    let nothing = |text: &str| judge(&criteria(&[text]), Figures::default());
    for text in ["p99 ttft < 1h", "errors < 100%", "rate > 0/s", "p99 lateness < 1h"] {
        let verdict = nothing(text);
        assert!(!verdict.is_kept() && verdict.text().contains("nothing was measured"), "{text}");
    }
    assert!(nothing("errors = 0").is_kept() && !nothing("requests >= 1").is_kept());
}

#[test]
fn a_verdict_is_a_table_for_people_and_json_for_programs() {
    let criteria = criteria(&["p99 ttft < 500ms", "errors < 5%", "ignored retry-after = 0"]);
    let verdict = judge(&criteria, figures());
    let expected = "\
broken  p99 ttft < 500ms         900.0ms
kept    errors < 5%              1.818%, 2 of 110
kept    ignored retry-after = 0  0
1 of 3 criteria broken";
    assert_eq!(verdict.text(), expected);
    let json = verdict.json();
    assert_eq!((&json["kept"], &json["criteria"][1]["kept"]), (&false.into(), &true.into()));
    assert_eq!((&json["total"]["requests"], &json["models"]["fast"]["errors"]), (&110.into(), &2.into()));
    assert_eq!(json["criteria"][2]["unit"], "count");
    assert_eq!(json["total"]["ignored_retry_after"], 0);
}
