//! `reload:`, how changes of this scenario take over.

use serde_json::Value;

use crate::scenario::canary::CanarySettings;
use crate::types::fields::Fields;

/// Reads the section; without one, or without a canary in it, changes take over at once.
pub(super) fn check(fields: &mut Fields<'_>) -> Option<CanarySettings> {
    let section = fields.value("reload")?;
    let pointer = fields.pointer("reload");
    let mut own = Fields::of(section, pointer);
    let canary: Option<&Value> = own.value("canary");
    let read = canary.map(|canary| CanarySettings::read(canary, &own.pointer("canary")));
    fields.extend(own.finish());
    match read? {
        Ok(canary) => Some(canary),
        Err(problems) => {
            fields.extend(problems);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::scenario::read::parse;

    #[test]
    fn a_canary_is_read_and_its_mistakes_have_places() {
        let text = |canary: &str| format!("simwright: 1\nreload:\n  canary: {canary}\nmodels: [{{ match: m }}]\n");
        let good = parse("s.yaml", &text("{ share: 10%, for: 30s }"), Path::new("")).expect("readable");
        assert!(good.problems.is_empty() && good.scenario.canary.is_some_and(|canary| canary.share == 0.1));
        let bad = parse("s.yaml", &text("{ share: 10 }"), Path::new("")).expect("readable");
        assert!(bad.problems.len() == 2 && bad.scenario.canary.is_none(), "{:?}", bad.problems);
        assert_eq!(bad.problems[0].pointer, "/reload/canary/share");
        let unknown = parse("s.yaml", "simwright: 1\nreload: { canry: {} }\nmodels: [{ match: m }]\n", Path::new(""));
        assert!(unknown.expect("readable").problems[0].hint.as_deref().is_some_and(|hint| hint.contains("`canary`")));
    }
}
