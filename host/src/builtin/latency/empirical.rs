//! `empirical`: delays as they were measured, from a file, from a list, or from percentiles.
//!
//! `file` (CSV, below the scenario's folder) has one delay a line in `column` (a name of the header, or a number from 1; the
//! first if not given), in `unit` (`us`, `ms` or `s`; `ms` if not given). `values` is a list of durations. Both are drawn as they
//! are, each as often as it is there. `quantiles` is a map such as `{ p50: 20ms, p90: 45ms, p99: 120ms }`: log-normal from one to the
//! next. `min` and `max` leave out what lies outside.

use serde_json::Value;

use crate::builtin::file;
use crate::builtin::latency::law::{Folder, read_fields, within};
use crate::stats::law::Law;
use crate::types::fields::{Fields, kind_of};
use crate::types::limits::{DELAY_FILE_BYTES_MAX, DELAY_US_MAX, DELAY_VALUES_MAX};
use crate::types::problem::{Problem, did_you_mean};
use crate::types::quantity::parse_duration_us;
use crate::types::schema;

/// Lines that are named one by one; of more, only the number is told.
const LINES_NAMED: usize = 5;

/// Reads the parameters.
pub(super) fn read(value: &Value, pointer: &str, folder: Folder<'_>) -> Result<Law, Vec<Problem>> {
    read_fields(value, pointer, |fields| {
        let sources = ["file", "values", "quantiles"].map(|name| fields.value(name));
        if sources.iter().flatten().count() != 1 {
            let message = "expected one of `file`, `values` and `quantiles`";
            fields.extend(vec![Problem::new(pointer, message)]);
            return None;
        }
        let law = if sources[0].is_some() {
            from_file(fields, folder)
        } else if let Some(values) = sources[1] {
            from_values(fields, values)
        } else {
            sources[2].and_then(|quantiles| from_quantiles(fields, quantiles))
        };
        within(fields, law)
    })
}

/// JSON Schema of the parameters.
pub(super) fn schema() -> Value {
    let percentile = serde_json::json!({
        "type": "object", "description": "Percentiles such as `p50` and `p99.9`, at least two.", "minProperties": 2,
        "patternProperties": { "^p[0-9]+(\\.[0-9]+)?$": schema::duration("This share of the delays is shorter.") },
        "additionalProperties": false,
    });
    schema::object([
        ("file", schema::text("A CSV file, from the scenario's folder.")),
        (
            "column",
            serde_json::json!({ "type": ["string", "integer"], "description": "The column's name in the header, or its number from 1." }),
        ),
        ("unit", schema::word("The unit of the column.", &["us", "ms", "s"])),
        ("values", schema::list("Delays, each drawn as often as it is here.", schema::duration("A delay."))),
        ("quantiles", percentile),
        ("min", schema::duration("Shorter delays are left out.")),
        ("max", schema::duration("Longer delays are left out.")),
    ])
}

fn from_values(fields: &mut Fields<'_>, values: &Value) -> Option<Law> {
    let Value::Array(items) = values else {
        fields.problem("values", format!("expected a list of durations, found {}", kind_of(values)));
        return None;
    };
    let (mut delays, mut problems) = (Vec::with_capacity(items.len()), Vec::new());
    for (index, item) in items.iter().enumerate() {
        match duration_ns(item) {
            Ok(ns) => delays.push(ns),
            Err(message) => problems.push(Problem::new(format!("{}/{index}", fields.pointer("values")), message)),
        }
    }
    let good = problems.is_empty();
    fields.extend(problems);
    if items.is_empty() {
        fields.problem("values", "there is no value; give one at least");
    }
    Law::of_values(delays).filter(|_| good)
}

fn from_quantiles(fields: &mut Fields<'_>, quantiles: &Value) -> Option<Law> {
    let Value::Object(map) = quantiles else {
        fields.problem("quantiles", format!("expected a map from percentiles to durations, found {}", kind_of(quantiles)));
        return None;
    };
    let (mut points, mut problems) = (Vec::with_capacity(map.len()), Vec::new());
    for (name, value) in map {
        let pointer = format!("{}/{}", fields.pointer("quantiles"), crate::types::fields::escape(name));
        let percent = name.strip_prefix('p').and_then(|digits| digits.parse::<f64>().ok()).filter(|p| *p > 0.0 && *p < 100.0);
        match (percent, duration_ns(value)) {
            (None, _) => {
                let message = format!("`{name}` is no percentile; write for example `p50` or `p99.9`");
                problems.push(Problem::new(pointer, message).at_key());
            }
            (Some(_), Err(message)) => problems.push(Problem::new(pointer, message)),
            (Some(_), Ok(0.0)) => {
                problems.push(Problem::new(pointer, format!("`{name}` is 0; give a longer one, such as `1us`")));
            }
            (Some(percent), Ok(ns)) => points.push((percent / 100.0, ns)),
        }
    }
    let good = problems.is_empty();
    fields.extend(problems);
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let law = Law::of_quantiles(&points);
    if good && law.is_none() {
        fields.problem("quantiles", "expected two percentiles at least, each longer than the one below it");
    }
    law.filter(|_| good)
}

fn duration_ns(value: &Value) -> Result<f64, String> {
    let us = match value {
        Value::String(text) => parse_duration_us(text)?,
        Value::Number(number) if number.as_u64() == Some(0) => 0,
        Value::Number(number) => parse_duration_us(&number.to_string())?,
        other => return Err(format!("expected a duration such as `350ms`, found {}", kind_of(other))),
    };
    if us > DELAY_US_MAX { Err("longer than an hour; give a delay of at most `1h`".to_owned()) } else { Ok(us as f64 * 1e3) }
}

/// Which column of a file holds the delays.
enum Column<'a> {
    Number(usize),
    Name(&'a str),
}

fn from_file(fields: &mut Fields<'_>, folder: Folder<'_>) -> Option<Law> {
    let column = match fields.value("column") {
        None => Some(Column::Number(0)),
        Some(Value::String(name)) => Some(Column::Name(name)),
        Some(_) => fields.integer("column", 1..=1_000).map(|number| Column::Number(number as usize - 1)),
    };
    let ns_per_unit = match fields.text("unit") {
        None | Some("ms") => 1e6,
        Some("us") => 1e3,
        Some("s") => 1e9,
        Some(other) => {
            fields.problem("unit", format!("`{other}` is no unit of a column; use us, ms or s"));
            return None;
        }
    };
    let (file, column) = (fields.text("file")?, column?);
    let Some(folder) = folder else {
        fields.problem("file", "a plugin's law cannot read files; give `values` or `quantiles`");
        return None;
    };
    let text = file::read(folder, file, DELAY_FILE_BYTES_MAX).map_err(|message| ("file", message));
    match text.and_then(|text| delays(file, &text, &column, ns_per_unit)) {
        Ok(delays) => Law::of_values(delays),
        Err((name, message)) => {
            fields.problem(name, message);
            None
        }
    }
}

/// A mistake, and which field it belongs to.
type Wrong = (&'static str, String);

/// The delays of one column of `text` in nanoseconds.
fn delays(file: &str, text: &str, column: &Column<'_>, ns_per_unit: f64) -> Result<Vec<f64>, Wrong> {
    let mut rows = csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let mut row = csv::StringRecord::new();
    let (mut delays, mut wrong, mut index) = (Vec::new(), Vec::new(), None);
    loop {
        match rows.read_record(&mut row) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return Err(("file", format!("`{file}`: {error}"))),
        }
        let line = row.position().map_or(0, csv::Position::line);
        let index = match index {
            Some(index) => index,
            None => {
                let (found, is_header) = first_row(file, &row, column)?;
                index = Some(found);
                if is_header {
                    continue;
                }
                found
            }
        };
        match delay_ns(row.get(index), ns_per_unit) {
            Ok(ns) => delays.push(ns),
            Err(message) => wrong.push(format!("{file}:{line}: {message}")),
        }
        if delays.len() > DELAY_VALUES_MAX {
            return Err(("file", format!("`{file}` has more than {DELAY_VALUES_MAX} delays; a part of them is enough")));
        }
    }
    if !wrong.is_empty() {
        let more = wrong.len().saturating_sub(LINES_NAMED);
        wrong.truncate(LINES_NAMED);
        let rest = if more > 0 { format!("; and {more} more lines") } else { String::new() };
        return Err(("file", format!("{}{rest}", wrong.join("; "))));
    }
    if delays.is_empty() {
        return Err(("file", format!("`{file}` holds no delay")));
    }
    Ok(delays)
}

/// The index of the column, and whether `row`, the first of the file, is a header.
fn first_row(file: &str, row: &csv::StringRecord, column: &Column<'_>) -> Result<(usize, bool), Wrong> {
    match column {
        Column::Number(index) => Ok((*index, row.get(*index).is_some_and(|cell| cell.parse::<f64>().is_err()))),
        Column::Name(name) => row.iter().position(|cell| cell == *name).map(|index| (index, true)).ok_or_else(|| {
            let hint = match did_you_mean(name, row.iter()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its first line says: {}", row.iter().take(20).collect::<Vec<_>>().join(", ")),
            };
            ("column", format!("`{file}` has no column `{name}`; {hint}"))
        }),
    }
}

fn delay_ns(cell: Option<&str>, ns_per_unit: f64) -> Result<f64, String> {
    let cell = cell.ok_or("there is no such column in this line")?;
    let number: f64 = cell.parse().map_err(|_| format!("`{cell}` is no number"))?;
    let ns = number * ns_per_unit;
    if !(0.0..=DELAY_US_MAX as f64 * 1e3).contains(&ns) {
        return Err(format!("`{cell}` is no delay from 0 to an hour"));
    }
    Ok(ns)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::builtin::latency::law::Kind;

    fn law_of(options: Value, file: &str) -> Result<Law, Vec<String>> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("gaps.csv"), file).expect("written");
        let kind = Kind::find("empirical").expect("a kind");
        let said = |problem: Problem| format!("{} {}", problem.pointer, problem.message);
        kind.read(&options, "", Some(folder.path())).map_err(|problems| problems.into_iter().map(said).collect())
    }

    #[test]
    fn a_column_is_found_by_name_by_number_and_without_a_header() {
        let milliseconds = |law: Law| [0.0, 0.4, 0.9].map(|u| law.quantile(u) / 1e6);
        let file = "id,ttft_ms,\"gap, ms\"\n1,30,3\n2,10,1\n3,20,2\n";
        let by_name = law_of(json!({"file": "gaps.csv", "column": "ttft_ms"}), file).expect("a law");
        assert_eq!(milliseconds(by_name), [10.0, 20.0, 30.0]);
        let quoted = law_of(json!({"file": "gaps.csv", "column": "gap, ms", "unit": "s"}), file).expect("a law");
        assert_eq!(milliseconds(quoted), [1_000.0, 2_000.0, 3_000.0]);
        let by_number = law_of(json!({"file": "gaps.csv", "column": 2, "max": "15ms"}), file).expect("a law");
        assert_eq!(milliseconds(by_number), [10.0, 10.0, 10.0]);
        let bare = law_of(json!({"file": "gaps.csv", "unit": "us"}), "1500\n500\n1000\n").expect("a law");
        assert_eq!(milliseconds(bare), [0.5, 1.0, 1.5]);
    }

    #[test]
    fn a_bad_file_is_named_with_its_lines() {
        let file = |text: &str| law_of(json!({"file": "gaps.csv", "column": "ms"}), text).expect_err("mistakes");
        assert_eq!(
            file("id,ms\n1,5\n2,\n3,-4\n4\n"),
            ["/file gaps.csv:3: `` is no number; gaps.csv:4: `-4` is no delay from 0 to an hour; \
             gaps.csv:5: there is no such column in this line"]
        );
        assert!(file(&format!("ms\n{}", "x\n".repeat(9)))[0].ends_with("gaps.csv:6: `x` is no number; and 4 more lines"));
        assert_eq!(file("ms\n"), ["/file `gaps.csv` holds no delay"]);
        assert_eq!(file("mss,id\n1,2\n"), ["/column `gaps.csv` has no column `ms`; did you mean `mss`?"]);
        let none = law_of(json!({"file": "none.csv"}), "").expect_err("no file");
        assert!(none[0].starts_with("/file there is no file") && none[0].contains("none.csv"), "{none:?}");
    }

    #[test]
    fn values_and_quantiles_need_no_file() {
        let law = law_of(json!({"values": ["10ms", "1s", 0]}), "").expect("a law");
        assert_eq!([0.0, 0.4, 0.9].map(|u| law.quantile(u) / 1e6), [0.0, 10.0, 1_000.0]);
        let law = law_of(json!({"quantiles": {"p99": "120ms", "p50": "20ms", "p99.9": "300ms"}}), "").expect("a law");
        for (p, ms) in [(0.5, 20.0), (0.99, 120.0), (0.999, 300.0)] {
            assert!((law.quantile(p) / 1e6 - ms).abs() < 1e-9, "{p}");
        }
    }

    #[test]
    fn every_mistake_is_reported_where_it_stands() {
        for (options, expected) in [
            (json!({}), vec![" expected one of `file`, `values` and `quantiles`"]),
            (json!({"values": ["1ms"], "file": "gaps.csv"}), vec![" expected one of `file`, `values` and `quantiles`"]),
            (
                json!({"values": ["1ms", 5, "2h"]}),
                vec![
                    "/values/1 `5` has no unit; write for example `5ms`",
                    "/values/2 longer than an hour; give a delay of at most `1h`",
                ],
            ),
            (
                json!({"quantiles": {"p50": "5ms", "p99": "1ms"}}),
                vec!["/quantiles expected two percentiles at least, each longer than the one below it"],
            ),
            (
                json!({"quantiles": {"p50": "5ms", "median": "1ms", "p100": "9ms"}}),
                vec![
                    "/quantiles/median `median` is no percentile; write for example `p50` or `p99.9`",
                    "/quantiles/p100 `p100` is no percentile; write for example `p50` or `p99.9`",
                ],
            ),
            (
                json!({"values": ["1ms"], "max": "1us"}),
                vec!["/max less than one draw in a million lies below `max`; widen the bounds"],
            ),
            (json!({"file": "gaps.csv", "unit": "min"}), vec!["/unit `min` is no unit of a column; use us, ms or s"]),
        ] {
            assert_eq!(law_of(options, "1\n").expect_err("mistakes"), expected);
        }
    }
}
