//! Options as a plugin declares them, read and described as a whole.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Share, parse, schema_of};
use crate::latency::ms;
use crate::options;

options! {
    /// One step of a day.
    #[derive(PartialEq)]
    struct Step {
        /// When it begins.
        hour: u32 = 0, in 0..=23;
        /// How slow it is.
        factor: f64 = 1.0;
    }
}

options! {
    struct Day {
        /// How deep,
        /// at most.
        depth: f64 = 0.5, in 0.0..=1.0;
        period: Duration = Duration::from_secs(3600), in ms(1)..=Duration::from_secs(86_400);
        retry_rate: Share = Share::percent(5.0);
        steps: Vec<Step> = vec![Step { hour: 8, factor: 2.0 }];
        note: Option<String> = None;
        loud: bool = false;
    }
}

#[test]
fn what_is_not_written_keeps_its_default() {
    let day: Day = parse(r#"{"period": "90s", "retry-rate": "2%", "steps": [{"hour": 3}], "note": "x", "loud": null}"#).unwrap();
    assert_eq!((day.depth, day.period, day.retry_rate.get()), (0.5, Duration::from_secs(90), 0.02));
    assert_eq!(day.steps, [Step { hour: 3, factor: 1.0 }]);
    assert_eq!((day.note.as_deref(), day.loud), (Some("x"), false));
    assert_eq!(parse::<Day>("").unwrap().steps, Day::default().steps);
}

#[test]
fn every_mistake_is_told_with_its_path() {
    let text = r#"{"depth": 2, "period": "48h", "steps": [{"hour": 24}, {"factor": "x"}], "loud": "yes", "dept": 1}"#;
    let problems = parse::<Day>(text).unwrap_err();
    let said: Vec<_> = problems.iter().map(|problem| (problem.path.as_str(), problem.message.as_str())).collect();
    assert_eq!(
        said,
        [
            ("/depth", "expected 0.0 to 1.0, found `2.0`"),
            ("/period", "expected 1ms to 24h, found `48h`"),
            ("/steps/0/hour", "expected 0 to 23, found `24`"),
            ("/steps/1/factor", "expected a number, found a text"),
            ("/loud", "expected `true` or `false`, found a text"),
            ("/dept", "unknown field `dept`"),
        ]
    );
    assert_eq!(problems[5].hint.as_deref(), Some("known fields: depth, period, retry-rate, steps, note, loud"));
}

#[test]
fn a_small_share_is_read_as_a_number_and_an_exponent_in_a_text_is_not() {
    for (written, share) in [("0.00005", 0.00005), ("1e-7", 1e-7), ("\"0.005%\"", 0.00005)] {
        let day: Day =
            parse(&(r#"{"retry-rate": "#.to_owned() + written + "}")).unwrap_or_else(|problems| panic!("{problems:?}"));
        assert!((day.retry_rate.get() - share).abs() < 1e-12, "{written}");
    }
    let problems = parse::<Day>(r#"{"retry-rate": "5e-05"}"#).unwrap_err();
    assert_eq!(problems[0].message, "`e-05` is no unit of a share; use % or none");
}

#[test]
fn what_is_no_map_is_refused() {
    assert_eq!(parse::<Day>("[]").unwrap_err()[0].message, "expected a map of fields, found a list");
    assert!(parse::<Day>("{").unwrap_err()[0].message.starts_with("the options are no JSON"));
    assert_eq!(parse::<()>(r#"{"a/b": 1}"#).unwrap_err()[0].path, "/a~1b");
}

#[test]
fn the_schema_has_descriptions_defaults_and_bounds() {
    let schema: Value = serde_json::from_str(&schema_of::<Day>()).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    let fields = &schema["properties"];
    assert_eq!(
        fields["depth"],
        json!({"type": "number", "description": "How deep, at most.", "default": 0.5, "minimum": 0.0, "maximum": 1.0})
    );
    assert_eq!(fields["period"]["description"], "From 1ms to 24h.");
    assert_eq!((&fields["period"]["default"], &fields["retry-rate"]["default"]), (&json!("1h"), &json!("5%")));
    assert_eq!(fields["steps"]["items"]["properties"]["hour"]["maximum"], 23);
    assert_eq!(fields["steps"]["default"], json!([{"hour": 8, "factor": 2.0}]));
    assert_eq!(fields["note"], json!({"type": "string"}));
}
