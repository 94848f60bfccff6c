//! `empirical`: values as they were measured, from a file, from a list, or from percentiles.
//!
//! `file` (CSV, below the scenario's folder) has one value a line in `column` (a name of the header, or a number from 1; the
//! first if not given), delays in `unit` (`us`, `ms` or `s`; `ms` if not given). `values` is a list. Both are drawn as they
//! are, each as often as it is there. `quantiles` is a map such as `{ p50: 20ms, p90: 45ms, p99: 120ms }`: log-normal from one to the
//! next. `min` and `max` leave out what lies outside.

use serde_json::Value;

use crate::grammar::file;
use crate::grammar::law::{Scope, read_fields, within};
use crate::grammar::unit::Unit;
use crate::stats::law::Law;
use crate::types::fields::{Fields, kind_of};
use crate::types::limits::{DELAY_FILE_BYTES_MAX, DELAY_VALUES_MAX};
use crate::types::problem::{Problem, did_you_mean};
use crate::types::schema;

/// Lines that are named one by one; of more, only the number is told.
const LINES_NAMED: usize = 5;

/// Reads the parameters.
pub(super) fn read(value: &Value, pointer: &str, scope: Scope<'_>) -> Result<Law, Vec<Problem>> {
    read_fields(value, pointer, |fields| {
        let sources = ["file", "values", "quantiles"].map(|name| fields.value(name));
        if sources.iter().flatten().count() != 1 {
            let message = "expected one of `file`, `values` and `quantiles`";
            fields.extend(vec![Problem::new(pointer, message)]);
            return None;
        }
        let law = if sources[0].is_some() {
            from_file(fields, scope)
        } else if let Some(values) = sources[1] {
            from_values(fields, scope.unit, values)
        } else {
            sources[2].and_then(|quantiles| from_quantiles(fields, scope.unit, quantiles))
        };
        within(fields, scope.unit, law)
    })
}

/// JSON Schema of the parameters.
pub(super) fn schema(unit: Unit) -> Value {
    let percentile = serde_json::json!({
        "type": "object", "description": "Percentiles such as `p50` and `p99.9`, at least two.", "minProperties": 2,
        "patternProperties": { "^p[0-9]+(\\.[0-9]+)?$": unit.schema("This share of the values is shorter.") },
        "additionalProperties": false,
    });
    let column_unit = (unit == Unit::Delay).then(|| ("unit", schema::word("The unit of the column.", &["us", "ms", "s"])));
    let fields = [
        ("file", schema::text("A CSV file, from the scenario's folder.")),
        (
            "column",
            serde_json::json!({ "type": ["string", "integer"], "description": "The column's name in the header, or its number from 1." }),
        ),
        ("values", schema::list("Values, each drawn as often as it is here.", unit.schema("One of them."))),
        ("quantiles", percentile),
        ("min", unit.schema("What is shorter is left out.")),
        ("max", unit.schema("What is longer is left out.")),
    ];
    schema::object(fields.into_iter().chain(column_unit))
}

fn from_values(fields: &mut Fields<'_>, unit: Unit, values: &Value) -> Option<Law> {
    let Value::Array(items) = values else {
        fields.problem("values", format!("expected a list of {}, found {}", unit.nouns().1, kind_of(values)));
        return None;
    };
    let (mut parsed, mut problems) = (Vec::with_capacity(items.len()), Vec::new());
    for (index, item) in items.iter().enumerate() {
        match unit.parse(item) {
            Ok(value) => parsed.push(value),
            Err(message) => problems.push(Problem::new(format!("{}/{index}", fields.pointer("values")), message)),
        }
    }
    let good = problems.is_empty();
    fields.extend(problems);
    if items.is_empty() {
        fields.problem("values", "there is no value; give one at least");
    }
    Law::of_values(parsed).filter(|_| good)
}

fn from_quantiles(fields: &mut Fields<'_>, unit: Unit, quantiles: &Value) -> Option<Law> {
    let Value::Object(map) = quantiles else {
        fields
            .problem("quantiles", format!("expected a map from percentiles to {}, found {}", unit.nouns().1, kind_of(quantiles)));
        return None;
    };
    let (mut points, mut problems) = (Vec::with_capacity(map.len()), Vec::new());
    for (name, value) in map {
        let pointer = format!("{}/{}", fields.pointer("quantiles"), crate::types::fields::escape(name));
        let percent = name.strip_prefix('p').and_then(|digits| digits.parse::<f64>().ok()).filter(|p| *p > 0.0 && *p < 100.0);
        match (percent, unit.parse(value)) {
            (None, _) => {
                let message = format!("`{name}` is no percentile; write for example `p50` or `p99.9`");
                problems.push(Problem::new(pointer, message).at_key());
            }
            (Some(_), Err(message)) => problems.push(Problem::new(pointer, message)),
            (Some(_), Ok(0.0)) => {
                problems.push(Problem::new(pointer, format!("`{name}` is 0; give a longer one, such as `{}`", unit.small())));
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

/// Which column of a file holds the delays.
enum Column<'a> {
    Number(usize),
    Name(&'a str),
}

fn from_file(fields: &mut Fields<'_>, scope: Scope<'_>) -> Option<Law> {
    let column = match fields.value("column") {
        None => Some(Column::Number(0)),
        Some(Value::String(name)) => Some(Column::Name(name)),
        Some(_) => fields.integer("column", 1..=1_000).map(|number| Column::Number(number as usize - 1)),
    };
    let word = if scope.unit == Unit::Delay { fields.text("unit") } else { None };
    let factor = match word {
        None if scope.unit == Unit::Tokens => 1.0,
        None | Some("ms") => 1e6,
        Some("us") => 1e3,
        Some("s") => 1e9,
        Some(other) => {
            fields.problem("unit", format!("`{other}` is no unit of a column; use us, ms or s"));
            return None;
        }
    };
    let (file, column) = (fields.text("file")?, column?);
    let Some(folder) = scope.folder else {
        fields.problem("file", "a plugin's law cannot read files; give `values` or `quantiles`");
        return None;
    };
    let text = file::read(folder, file, DELAY_FILE_BYTES_MAX).map_err(|message| ("file", message));
    match text.and_then(|text| values(file, &text, &column, factor, scope.unit)) {
        Ok(values) => Law::of_values(values),
        Err((name, message)) => {
            fields.problem(name, message);
            None
        }
    }
}

/// A mistake, and which field it belongs to.
type Wrong = (&'static str, String);

/// What one column of `text` holds, times `factor`.
fn values(file: &str, text: &str, column: &Column<'_>, factor: f64, unit: Unit) -> Result<Vec<f64>, Wrong> {
    let mut rows = csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let mut row = csv::StringRecord::new();
    let (mut values, mut wrong, mut index) = (Vec::new(), Vec::new(), None);
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
        match value_of(row.get(index), factor, unit) {
            Ok(value) => values.push(value),
            Err(message) => wrong.push(format!("{file}:{line}: {message}")),
        }
        if values.len() > DELAY_VALUES_MAX {
            return Err(("file", format!("`{file}` has more than {DELAY_VALUES_MAX} values; a part of them is enough")));
        }
    }
    if !wrong.is_empty() {
        let more = wrong.len().saturating_sub(LINES_NAMED);
        wrong.truncate(LINES_NAMED);
        let rest = if more > 0 { format!("; and {more} more lines") } else { String::new() };
        return Err(("file", format!("{}{rest}", wrong.join("; "))));
    }
    if values.is_empty() {
        return Err(("file", format!("`{file}` holds no {}", unit.nouns().0)));
    }
    Ok(values)
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

fn value_of(cell: Option<&str>, factor: f64, unit: Unit) -> Result<f64, String> {
    let cell = cell.ok_or("there is no such column in this line")?;
    let number: f64 = cell.parse().map_err(|_| format!("`{cell}` is no number"))?;
    let value = number * factor;
    if !(0.0..=unit.max()).contains(&value) {
        let most = if unit == Unit::Delay { "an hour".to_owned() } else { unit.max().to_string() };
        return Err(format!("`{cell}` is no {} from 0 to {most}", unit.nouns().0));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::grammar::law::Kind;

    fn law_of(options: Value, file: &str) -> Result<Law, Vec<String>> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("gaps.csv"), file).expect("written");
        let kind = Kind::find("empirical").expect("a kind");
        let said = |problem: Problem| format!("{} {}", problem.pointer, problem.message);
        kind.read(&options, "", Scope::delay(Some(folder.path()))).map_err(|problems| problems.into_iter().map(said).collect())
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
