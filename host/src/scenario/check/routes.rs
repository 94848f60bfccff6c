//! `routes:`, paths that a scenario serves itself.
//!
//! A route's own `json` or `template` becomes the first reply of the entries that answer for its model, under the condition that a request
//! came by the route: so everything else, faults and incidents too, applies to it as to any reply.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use crate::scenario::pattern::matches;
use crate::scenario::routes::{PathPattern, RouteEntry};
use crate::scenario::when::{Condition, When};
use crate::scenario::{BehaviorUse, ModelEntry};
use crate::types::fields::Fields;
use crate::types::limits::SCENARIO_ROUTES_MAX;
use crate::types::problem::{Problem, did_you_mean};

/// Methods that routes may have; requests without one of their own are for `POST`.
pub(in crate::scenario) const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
/// Content types that answers may have.
pub(in crate::scenario) const CONTENT_TYPES: [&str; 6] =
    ["application/json", "application/x-ndjson", "application/xml", "text/csv", "text/html", "text/plain"];

/// Reads the list, and adds what routes answer to `models`.
pub(super) fn check(fields: &mut Fields<'_>, models: &mut [ModelEntry]) -> Vec<RouteEntry> {
    let items = fields.list("routes");
    if items.len() > SCENARIO_ROUTES_MAX {
        fields.problem("routes", format!("these are {} routes, and a scenario may have {SCENARIO_ROUTES_MAX}", items.len()));
        return Vec::new();
    }
    let mut routes: Vec<RouteEntry> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let pointer = format!("{}/{index}", fields.pointer("routes"));
        let mut section = Fields::of(item, pointer.as_str());
        if let Some(route) = route(&mut section, pointer, &routes, index as u32, models) {
            routes.push(route);
        }
        fields.extend(section.finish());
    }
    routes
}

fn route(
    fields: &mut Fields<'_>,
    pointer: String,
    above: &[RouteEntry],
    index: u32,
    models: &mut [ModelEntry],
) -> Option<RouteEntry> {
    ["path", "model"].into_iter().for_each(|name| fields.require(name));
    let method = fields.word("method", &METHODS).unwrap_or("POST");
    let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::POST);
    let path = fields.text("path").map(PathPattern::parse);
    let status = fields.integer("status", 200..=599).unwrap_or(200) as u16;
    let is_sse = fields.word("stream", &["sse"]).is_some();
    if is_sse && status != 200 {
        fields.problem("status", "a stream of events has the status 200; leave `status` or `stream` out");
    }
    let answer = answer(fields);
    let is_json = answer.as_ref().is_some_and(|answer| answer.name == "fixed");
    let content_type = fields.word("content-type", &CONTENT_TYPES);
    let content_type = content_type.unwrap_or(if is_json { "application/json" } else { "text/plain; charset=utf-8" });
    let model = fields.text("model").unwrap_or_default().to_owned();
    if !model.is_empty() {
        asks(fields, &model, answer, index, models);
    }
    let path = match path? {
        Ok(path) => path,
        Err(reason) => {
            fields.problem("path", reason);
            return None;
        }
    };
    if let Some(taker) = above.iter().position(|other| other.method == method && other.path.covers(&path)) {
        let message = format!("requests never come here: route {} above takes them", taker + 1);
        let problem =
            Problem::new(fields.pointer("path"), message).hint("the first route that fits answers; move this one above it");
        fields.extend(vec![problem]);
    }
    Some(RouteEntry { method, path, model, status, is_sse, content_type, pointer })
}

/// What the route answers itself, if it does.
fn answer(fields: &mut Fields<'_>) -> Option<BehaviorUse> {
    let (value, template) = (fields.value("json"), fields.value("template"));
    if value.is_some() && template.is_some() {
        let problem = Problem::new(fields.pointer("template"), "there is a `json` too, and a route has one answer").at_key();
        fields.extend(vec![problem.hint("leave one of them out")]);
    }
    let used = |name: &str, options: Value, pointer: String| BehaviorUse {
        name: name.to_owned(),
        options,
        when: None,
        fallback: None,
        pointer,
    };
    match (value, template) {
        (Some(value), _) => Some(used("fixed", json!({ "text": value.to_string() }), fields.pointer("json"))),
        (None, Some(Value::String(text))) => Some(used("template", json!({ "text": text }), fields.pointer("template"))),
        (None, Some(options @ Value::Object(_))) => Some(used("template", options.clone(), fields.pointer("template"))),
        (None, Some(_)) => {
            fields.problem("template", "expected a text, or the options of `template`");
            None
        }
        (None, None) => None,
    }
}

/// Lets the entries that answer for `model` give `answer` to what comes by the route `index`.
fn asks(fields: &mut Fields<'_>, model: &str, answer: Option<BehaviorUse>, index: u32, models: &mut [ModelEntry]) {
    let fits = |entry: &ModelEntry| entry.matches.iter().any(|pattern| matches(pattern, model));
    if !models.iter().any(fits) {
        let problem = Problem::new(fields.pointer("model"), format!("no entry of `models` answers for `{model}`"));
        let known: Vec<&str> = models.iter().flat_map(|entry| entry.matches.iter().map(String::as_str)).collect();
        let hint = match did_you_mean(model, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add `- match: {model}` to `models`"),
        };
        return fields.extend(vec![problem.hint(hint)]);
    }
    let Some(answer) = answer else { return };
    let when = Some(Arc::new(When::all(vec![Condition::Route(index)])));
    let answer = BehaviorUse { when, ..answer };
    models.iter_mut().filter(|entry| fits(entry)).for_each(|entry| entry.reply.insert(0, answer.clone()));
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::scenario::read::parse;
    use crate::scenario::{Draft, routes::RouteEntry};

    fn read(routes: &str) -> Draft {
        let text = format!("simwright: 1\nmodels: [{{ match: [retrieval, queue-*] }}]\nroutes:\n{routes}");
        parse("s.yaml", &text, Path::new("")).expect("readable")
    }

    fn problems(routes: &str) -> Vec<String> {
        read(routes).problems.iter().map(|problem| format!("{}: {}", problem.pointer, problem.message)).collect()
    }

    #[test]
    fn a_route_has_documented_defaults() {
        let draft = read(
            "  - { path: /search, model: retrieval }\n  - { method: GET, path: '/queues/{id}', model: queue-1, json: {a: 1}, status: 201 }\n",
        );
        assert!(draft.problems.is_empty(), "{:?}", draft.problems);
        let told = |route: &RouteEntry| (route.method.to_string(), route.status, route.is_sse, route.content_type);
        let routes: Vec<_> = draft.scenario.routes.iter().map(told).collect();
        assert_eq!(routes[0], ("POST".to_owned(), 200, false, "text/plain; charset=utf-8"));
        assert_eq!(routes[1], ("GET".to_owned(), 201, false, "application/json"));
        let reply = &draft.scenario.models[0].reply[0];
        assert_eq!((reply.name.as_str(), &reply.options["text"], reply.when.is_some()), ("fixed", &r#"{"a":1}"#.into(), true));
    }

    #[test]
    fn mistakes_are_told_where_they_are() {
        let table = [
            ("  - { path: /a }\n", "/routes/0: the field `model` is missing"),
            ("  - { path: a, model: retrieval }\n", "/routes/0/path: a path begins with `/`"),
            ("  - { path: /a, model: retrival }\n", "/routes/0/model: no entry of `models` answers for `retrival`"),
            ("  - { path: /a, model: retrieval, json: 1, template: x }\n", "/routes/0/template: there is a `json` too"),
            ("  - { path: /a, model: retrieval, template: 1 }\n", "/routes/0/template: expected a text"),
            ("  - { path: /a, model: retrieval, stream: sse, status: 201 }\n", "/routes/0/status: a stream of events"),
            ("  - { path: /a, model: retrieval, methd: GET }\n", "/routes/0/methd: "),
            (
                "  - { path: '/a/{x}', model: retrieval }\n  - { path: /a/b, model: retrieval }\n",
                "/routes/1/path: requests never come here: route 1 above takes them",
            ),
        ];
        for (routes, expected) in table {
            let found = problems(routes);
            assert!(matches!(&found[..], [one] if one.starts_with(expected)), "{routes}: {found:?}");
        }
        assert!(
            problems("  - { path: '/a/{x}', model: retrieval }\n  - { path: '/a/{y}', method: GET, model: retrieval }\n")
                .is_empty()
        );
    }
}
