//! `criteria:`: promises by which a run is judged, one a line, in the grammar of [`crate::types::criterion`].

use serde_json::Value;

use crate::scenario::ModelEntry;
use crate::types::criterion::{Criterion, Mistake, parse};
use crate::types::fields::{Fields, kind_of};
use crate::types::limits::CRITERIA_MAX;
use crate::types::problem::{Problem, did_you_mean};

/// Reads the list; a criterion may name one of `models`.
pub(super) fn check(fields: &mut Fields<'_>, models: &[ModelEntry]) -> Vec<Criterion> {
    let items = fields.list("criteria");
    if items.len() > CRITERIA_MAX {
        fields.problem("criteria", format!("these are {} criteria, and a scenario may have {CRITERIA_MAX}", items.len()));
        return Vec::new();
    }
    let mut criteria = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let pointer = format!("{}/{index}", fields.pointer("criteria"));
        match read(item, &pointer, models) {
            Ok(criterion) => criteria.push(criterion),
            Err(problems) => fields.extend(problems),
        }
    }
    criteria
}

fn read(item: &Value, pointer: &str, models: &[ModelEntry]) -> Result<Criterion, Vec<Problem>> {
    let Value::String(text) = item else {
        let problem = Problem::new(pointer, format!("expected a criterion, found {}", kind_of(item)));
        return Err(vec![problem.hint("write for example `p99 ttft < 500ms`; a text with `: ` or ` #` in it needs quotes")]);
    };
    let criterion =
        parse(text).map_err(|mistakes| mistakes.iter().map(|mistake| problem(pointer, text, mistake)).collect::<Vec<_>>())?;
    match &criterion.model {
        Some(model) if models.iter().all(|entry| entry.name != *model) => {
            let known = || models.iter().map(|entry| entry.name.as_str());
            let hint = match did_you_mean(model, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!(
                    "a criterion names the entry and not the model that a client asks for: {}",
                    known().collect::<Vec<_>>().join(", ")
                ),
            };
            Err(vec![Problem::new(pointer, format!("no model entry is called `{model}`")).hint(hint)])
        }
        _ => Ok(criterion),
    }
}

fn problem(pointer: &str, text: &str, mistake: &Mistake) -> Problem {
    let message = format!("in `{text}` at character {}: {}", mistake.at, mistake.message);
    Problem::new(pointer, message).hint(mistake.hint.clone())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::scenario::read::parse;

    #[test]
    fn every_criterion_is_read_and_every_mistake_told_with_its_line() {
        let good = "simwright: 1\nmodels: [{ match: gpt-4o }]\ncriteria:\n  - p99 ttft of gpt-4o < 500ms\n  - errors < 0.1%\n";
        let scenario = parse("s.yaml", good, Path::new("")).expect("readable").scenario;
        assert_eq!(
            scenario.criteria.iter().map(|one| one.text.as_str()).collect::<Vec<_>>(),
            ["p99 ttft of gpt-4o < 500ms", "errors < 0.1%"]
        );
        let bad = good.replace("of gpt-4o", "of gtp-4o").replace("errors < 0.1%", "error < 0.1\n  - 5\n  - ttft < 1s");
        let problems = parse("s.yaml", &bad, Path::new("")).expect("readable").problems;
        let said: Vec<_> = problems.iter().map(|problem| (problem.pointer.as_str(), problem.to_string())).collect();
        let expected = [
            ("/criteria/0", "did you mean `gpt-4o`?"),
            ("/criteria/1", "in `error < 0.1` at character 1: `error` is no metric"),
            ("/criteria/2", "expected a criterion, found a number"),
            ("/criteria/3", "which of the times is meant?"),
        ];
        assert_eq!(said.len(), expected.len(), "{said:?}");
        for ((pointer, text), (expected_pointer, part)) in said.iter().zip(expected) {
            assert!(*pointer == expected_pointer && text.contains(part), "{pointer}: {text}");
        }
    }
}
