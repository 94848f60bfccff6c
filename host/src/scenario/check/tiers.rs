//! `tiers:`, which callers may ask for how much.

use serde_json::Value;

use crate::scenario::Tier;
use crate::scenario::check::{check_name, fault_of_name, limits};
use crate::scenario::pattern::covers;
use crate::types::fields::Fields;
use crate::types::limits::SCENARIO_TIERS_MAX;
use crate::types::problem::Problem;

/// Reads the list.
pub(super) fn check(fields: &mut Fields<'_>) -> Vec<Tier> {
    let items = fields.list("tiers");
    if items.len() > SCENARIO_TIERS_MAX {
        fields.problem("tiers", format!("these are {} tiers, and a scenario may have {SCENARIO_TIERS_MAX}", items.len()));
        return Vec::new();
    }
    let mut tiers: Vec<Tier> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let pointer = format!("{}/{index}", fields.pointer("tiers"));
        let mut section = Fields::of(item, pointer.as_str());
        let tier = tier(&mut section, &pointer, &tiers);
        fields.extend(section.finish());
        tiers.push(tier);
    }
    tiers
}

fn tier(fields: &mut Fields<'_>, pointer: &str, above: &[Tier]) -> Tier {
    fields.require("name");
    let name = fields.text("name").unwrap_or_default().to_owned();
    if fields.value("name").is_some_and(Value::is_string) {
        check_name(fields, "name", &name);
        if let Some(twin) = above.iter().position(|other| other.name == name && !name.is_empty()) {
            fields.problem("name", format!("tier {} has the name `{name}` too", twin + 1));
        }
    }
    let tenants: Vec<String> = match fields.value("tenants") {
        None => vec!["*".to_owned()],
        Some(_) => fields.texts("tenants").into_iter().map(str::to_owned).collect(),
    };
    if fields.value("tenants").is_some_and(|value| value.as_array().is_some_and(Vec::is_empty)) {
        fields.problem(
            "tenants",
            "expected at least one name or pattern, found an empty list; without `tenants` it is for everyone",
        );
    }
    check_tenants(fields, pointer, &tenants, above);
    let limits = limits::limits(fields);
    let priority = fields.integer("priority", 0..=255).unwrap_or(0) as u8;
    Tier { name, tenants, limits, priority }
}

/// Notes patterns that are unfit, or that a tier above takes away.
fn check_tenants(fields: &mut Fields<'_>, tier: &str, tenants: &[String], above: &[Tier]) {
    let is_list = fields.value("tenants").is_some_and(Value::is_array);
    let is_given = fields.value("tenants").is_some();
    for (index, pattern) in tenants.iter().enumerate() {
        let pointer = match (is_given, is_list) {
            (true, true) => format!("{}/{index}", fields.pointer("tenants")),
            (true, false) => fields.pointer("tenants"),
            (false, _) => tier.to_owned(),
        };
        let taker = above.iter().find_map(|tier| Some((tier.tenants.iter().find(|other| covers(other, pattern))?, &tier.name)));
        let problem = match (fault_of_name(pattern), taker) {
            (Some(message), _) => Problem::new(pointer, message),
            (None, Some((other, name))) => {
                let message = format!("`{pattern}` never comes here: `{other}` of the tier `{name}` above takes it");
                Problem::new(pointer, message).hint("the first tier that fits counts; move this one above it")
            }
            (None, None) => continue,
        };
        fields.extend(vec![problem]);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::scenario::read::parse;
    use crate::types::allowance::Window;

    const S: u64 = 1_000_000_000;

    #[test]
    fn tiers_have_tenants_and_limits_over_several_windows() {
        let text = "simwright: 1\nmodels: [{ match: gpt-4o }]\ntiers:\n  - { name: gold, tenants: acme-*, requests: [10/s, 600/min, 10_000/day], concurrency: 4, priority: 9 }\n  \
                    - { name: rest, tokens: { limit: 30_000/min, burst: 5_000 } }\n";
        let scenario = parse("s.yaml", text, Path::new("")).expect("readable");
        assert_eq!(scenario.problems, []);
        let [gold, rest] = &scenario.scenario.tiers[..] else { panic!("two tiers") };
        let windows = [Window::whole(10, S), Window::whole(600, 60 * S), Window::whole(10_000, 86_400 * S)];
        assert_eq!((&gold.limits.requests[..], gold.limits.concurrency, gold.priority), (&windows[..], Some(4), 9));
        assert_eq!(rest.limits.tokens, [Window { limit: 30_000, period_ns: 60 * S, burst: 5_000 }]);
        let tier = |tenant| scenario.scenario.tier_of(|| tenant);
        assert_eq!([tier("acme-1"), tier("other"), tier("")], [Some(0), Some(1), Some(1)]);
    }

    #[test]
    fn what_a_model_writes_itself_refuses_and_what_is_built_in_announces() {
        let text = "simwright: 1\nmodels:\n  - match: a\n  - { match: b, rate-limits: { requests-per-minute: 5, tokens: 9/s } }\n  \
                    - { match: c, rate-limits: { requests: 5/min, refuse: false } }\n";
        let draft = parse("s.yaml", text, Path::new("")).expect("readable");
        assert_eq!(draft.problems, []);
        let limits: Vec<_> = draft.scenario.models.iter().map(|model| &model.rate_limits).collect();
        assert_eq!(limits.iter().map(|limits| limits.refuse).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(limits[0].tokens, [Window::whole(2_000_000, 60 * S)]);
        assert_eq!(
            (&limits[1].requests[..], &limits[1].tokens[..]),
            (&[Window::whole(5, 60 * S)][..], &[Window::whole(9, S)][..])
        );
        assert_eq!(limits[2].tokens, []);
    }

    #[test]
    fn every_mistake_of_tiers_is_told_with_its_place() {
        let text = "simwright: 1
models: [{ match: gpt-4o, rate-limits: { requests: 60/min, requests-per-minute: 5 } }]
tiers:
  - { name: all, tenants: ['acme-*', '*'], requests: [-5/s, 0/min, 10/fortnight, 5, 7/s, 8/s] }
  - { name: all, tenants: acme-gold, tokens: [1.5/s, 3/minut, { limit: 2 , burst: 0 }, true], concurrency: 0 }
  - { tenants: [], priority: 300, request: 5/s }
  - { name: last, tokens: [1/s, 1/min, 1/h, 1/day, 2/day] }
";
        let problems = parse("s.yaml", text, Path::new("")).expect("readable").problems;
        let said: Vec<_> = problems.iter().map(|problem| format!("{}: {problem}", problem.pointer)).collect();
        let expected = [
            ("/models/0/rate-limits/requests-per-minute", "leave one of them out"),
            ("/tiers/0/requests", "these are 6 windows"),
            ("/tiers/0/requests/0", "`-5/s` is less than nothing"),
            ("/tiers/0/requests/1", "`0/min` allows nothing"),
            ("/tiers/0/requests/2", "`fortnight` is no window"),
            ("/tiers/0/requests/3", "write for example `5/min`"),
            ("/tiers/0/requests/5", "another limit over this window"),
            ("/tiers/1/name", "tier 1 has the name `all` too"),
            ("/tiers/1/tenants", "`acme-gold` never comes here: `acme-*` of the tier `all` above takes it"),
            ("/tiers/1/tokens/0", "`1.5` is no whole number"),
            ("/tiers/1/tokens/1", "did you mean `minute`?"),
            ("/tiers/1/tokens/2/limit", "expected a text"),
            ("/tiers/1/tokens/2/burst", "expected a whole number from 1"),
            ("/tiers/1/tokens/3", "expected a limit, found"),
            ("/tiers/1/concurrency", "expected a whole number from 1"),
            ("/tiers/2", "name"),
            ("/tiers/2/tenants", "at least one name or pattern"),
            ("/tiers/2/priority", "from 0 to 255"),
            ("/tiers/2/request", "requests"),
            ("/tiers/3", "`*` never comes here"),
            ("/tiers/3/tokens", "these are 5 windows"),
            ("/tiers/3/tokens/4", "another limit over this window"),
        ];
        for (pointer, part) in expected {
            let told = said.iter().any(|said| said.starts_with(&format!("{pointer}: ")) && said.contains(part));
            assert!(told, "{pointer}: {part}\nin {said:#?}");
        }
        assert_eq!(said.len(), expected.len(), "{said:#?}");
    }
}
