//! `api:`, how the doors behave where vendors leave it open.

use crate::types::fields::Fields;
use crate::types::limits::KEEP_ALIVE_US_MIN;
use crate::types::manners::Manners;

/// Reads the section; without one the doors are lenient.
pub(super) fn check(fields: &mut Fields<'_>) -> Manners {
    let Some(section) = fields.value("api") else { return Manners::default() };
    let pointer = fields.pointer("api");
    let mut own = Fields::of(section, pointer);
    let is_strict = own.word("unknown-fields", &["ignore", "reject"]) == Some("reject");
    let has_overrides = own.flag("overrides").unwrap_or(false);
    let shows_vllm_metrics = own.flag("vllm-metrics").unwrap_or(false);
    let keep_alive_us = own.duration_us("keep-alive");
    if keep_alive_us.is_some_and(|us| us < KEEP_ALIVE_US_MIN) {
        own.problem("keep-alive", format!("expected {} ms or more", KEEP_ALIVE_US_MIN / 1_000));
    }
    let filters_later = own.word("azure-filters", &["default", "asynchronous"]) == Some("asynchronous");
    let batch_window_us = own.duration_us("batch-window");
    fields.extend(own.finish());
    Manners { is_strict, has_overrides, keep_alive_us, shows_vllm_metrics, filters_later, batch_window_us }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::scenario::read::parse;

    #[test]
    fn the_doors_are_lenient_unless_the_scenario_says_otherwise() {
        let read = |api: &str| {
            parse("s.yaml", &format!("simwright: 1\n{api}models: [{{ match: m }}]\n"), Path::new("")).expect("readable")
        };
        assert!(!read("").scenario.api.is_strict);
        assert!(!read("api: { unknown-fields: ignore }\n").scenario.api.is_strict);
        assert!(read("api: { unknown-fields: reject }\n").scenario.api.is_strict);
        assert!(read("api: { vllm-metrics: true }\n").scenario.api.shows_vllm_metrics);
        assert!(!read("api: { azure-filters: default }\n").scenario.api.filters_later);
        assert!(read("api: { azure-filters: asynchronous }\n").scenario.api.filters_later);
        assert_eq!(read("api: { keep-alive: 15s }\n").scenario.api.keep_alive_us, Some(15_000_000));
        assert_eq!(read("api: { batch-window: 10s }\n").scenario.api.batch_window_us, Some(10_000_000));
        let wrong = read("api: { keep-alive: 1us }\n").problems;
        assert!(wrong.len() == 1 && wrong[0].to_string().contains("10 ms or more"), "{wrong:?}");
        let wrong = read("api: { unknown-fields: refuse, unknown: 1 }\n").problems;
        assert_eq!(wrong.iter().map(|problem| &*problem.pointer).collect::<Vec<_>>(), ["/api/unknown-fields", "/api/unknown"]);
    }
}
