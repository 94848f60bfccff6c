//! `workload:`, the traffic that a run brings itself: read by [`crate::workload::read`], and its models must be there.

use std::sync::Arc;

use crate::scenario::ModelEntry;
use crate::scenario::pattern::Index;
use crate::scenario::source::Source;
use crate::types::fields::Fields;
use crate::types::problem::{Problem, did_you_mean};
use crate::workload::{Workload, read};

/// Reads the section, if it is there.
pub(super) fn check(fields: &mut Fields<'_>, source: &Source, index: &Index, models: &[ModelEntry]) -> Option<Arc<Workload>> {
    let value = fields.value("workload")?;
    let pointer = fields.pointer("workload");
    let workload = read::read(value, &pointer, &|pointer| source.folder_of(pointer));
    let workload = workload.map_err(|problems| fields.extend(problems)).ok()?;
    let mut problems = Vec::new();
    for (number, class) in workload.classes.iter().enumerate() {
        if index.find(&class.model, |_| true).is_none() {
            let problem = Problem::new(
                format!("{pointer}/classes/{number}/model"),
                format!("no entry of `models` answers for `{}`", class.model),
            );
            let listed = models.iter().flat_map(|entry| &entry.list).map(String::as_str);
            problems.push(match did_you_mean(&class.model, listed) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem.hint("name a model that clients can ask for"),
            });
        }
    }
    let good = problems.is_empty();
    fields.extend(problems);
    good.then(|| Arc::new(workload))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::scenario::read::parse;

    const GOOD: &str = "simwright: 1\nmodels: [{ match: gpt-4o }]\nworkload:\n  arrivals: { poisson: { rate: 8 } }\n  \
                        classes: [{ model: gpt-4o, input: 500 }]\n";

    #[test]
    fn a_workload_is_read_and_its_mistakes_have_places() {
        let draft = parse("s.yaml", GOOD, Path::new("")).expect("readable");
        assert_eq!(draft.problems, []);
        assert_eq!(draft.scenario.workload.expect("a workload").classes[0].model, "gpt-4o");
        let bad = GOOD.replace("rate: 8", "rate: 8/year").replace("input: 500", "input: many");
        let problems = parse("s.yaml", &bad, Path::new("")).and_then(|draft| draft.whole()).expect_err("mistakes").problems;
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(said[0].starts_with("s.yaml:4:32: `year` is no unit of time"), "{said:?}");
        assert!(said[1].starts_with("s.yaml:5:37: expected a number of tokens"), "{said:?}");
        let bad = GOOD.replace("[{ model: gpt-4o,", "[{ model: gpt-4,");
        let problems = parse("s.yaml", &bad, Path::new("")).and_then(|draft| draft.whole()).expect_err("mistakes").problems;
        assert!(problems[0].to_string().starts_with("s.yaml:5:22: no entry of `models` answers for `gpt-4`"), "{problems:?}");
        assert_eq!(problems[0].hint.as_deref(), Some("did you mean `gpt-4o`?"));
    }
}
