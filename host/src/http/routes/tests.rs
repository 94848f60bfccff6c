//! Which path is whose.

use super::*;

fn found(method: &Method, path: &'static str) -> Result<(&'static str, &'static str), Miss> {
    find(method, path, |_| false).map(|found| {
        let name = match found.serves {
            Serves::Ask(endpoint) | Serves::Session(endpoint) => endpoint.name(),
            Serves::Recall(recall) => recall.name(),
            Serves::Models(_) => "models",
            Serves::Model(_) => "model",
            Serves::Files(_) => "files",
            Serves::Batches(bulk, _) => bulk.name(),
            Serves::Told(..) => "told",
            Serves::About(..) => "about",
            Serves::Fixed(..) => "fixed",
            Serves::Itself(_) => "itself",
        };
        (name, found.open)
    })
}

#[test]
fn paths_find_what_serves_them() {
    for root in ["/v1", "", "/openai/v1"] {
        let path: &'static str = format!("{root}/chat/completions").leak();
        assert_eq!(found(&Method::POST, path), Ok(("openai/chat", "")));
    }
    assert_eq!(found(&Method::GET, "/v1/models"), Ok(("models", "")));
    assert_eq!(found(&Method::GET, "/models/vendor/name"), Ok(("model", "vendor/name")));
    assert_eq!(found(&Method::GET, "/health"), Ok(("itself", "")));
    for path in ["/models/", "/v1/chat/completions/x", "/modelsx", "/v2/models", "/v1"] {
        assert_eq!(found(&Method::GET, path), Err(Miss::Path), "{path}");
    }
    assert_eq!(found(&Method::GET, "/v1/chat/completions"), Err(Miss::Method));
    assert_eq!(found(&Method::POST, "/v1/responses/input_tokens"), Ok(("openai/input_tokens", "")));
    assert_eq!(found(&Method::GET, "/v1/responses/resp_1"), Ok(("openai/response", "resp_1")));
    assert_eq!(found(&Method::GET, "/v1/responses/resp_1/input_items"), Ok(("openai/input_items", "resp_1")));
    assert_eq!(found(&Method::POST, "/v1/responses/resp_1/cancel"), Ok(("openai/cancel_response", "resp_1")));
    assert_eq!(found(&Method::DELETE, "/v1/responses/resp_1"), Ok(("openai/delete_response", "resp_1")));
}

#[test]
fn a_path_as_it_stands_comes_before_those_that_leave_a_part_open_unless_it_is_for_another_method() {
    assert_eq!(found(&Method::GET, "/v1/messages/batches"), Ok(("anthropic/batches", "")));
    assert_eq!(found(&Method::GET, "/v1/messages/batches/msgbatch_1"), Ok(("anthropic/batches", "msgbatch_1")));
    assert_eq!(found(&Method::GET, "/v1/responses/input_tokens"), Ok(("openai/response", "input_tokens")));
    assert_eq!(found(&Method::HEAD, "/v1/models"), Ok(("models", "")));
}

#[test]
fn of_vendors_with_one_path_the_one_is_found_whose_client_asks_and_else_the_first() {
    let whose =
        |path, name: &str| find(&Method::GET, path, |dialect| dialect.name() == name).map(|found| found.serves.dialect().name());
    for path in ["/v1/models", "/v1/models/a"] {
        for name in ["anthropic", "gemini"] {
            assert_eq!(whose(path, name), Ok(name), "{path}");
        }
        assert_eq!(whose(path, "nobody"), Ok("openai"), "{path}");
    }
    assert_eq!(whose("/v1/files", "anthropic"), Ok("openai"));
}

#[test]
fn every_endpoint_has_a_route_and_a_name_of_its_own() {
    for endpoint in crate::dialect::ENDPOINTS {
        // Its routes are those of scenarios.
        if endpoint.name() == "http/route" {
            continue;
        }
        let is_it = |route: &Route| matches!(route.serves, Serves::Ask(served) | Serves::Session(served) if served.name() == endpoint.name());
        assert!(ROUTES.iter().any(is_it), "{}", endpoint.name());
        assert!(endpoint.name().starts_with(&format!("{}/", endpoint.dialect().name())), "{}", endpoint.name());
        assert_eq!(crate::dialect::ENDPOINTS.iter().filter(|other| other.name() == endpoint.name()).count(), 1);
    }
}

#[test]
fn everything_that_is_served_is_described_and_the_other_way_round() {
    let (mut path, mut described) = (String::new(), Vec::new());
    for line in include_str!("../../../assets/openapi.yaml").lines() {
        if let Some(template) = line.strip_prefix("  /") {
            let (before, rest) = template.split_once('{').unwrap_or((template, ""));
            let after = rest.split_once('}').map_or("", |(_, after)| after);
            let open = if rest.is_empty() { "" } else { "{}" };
            path = format!("/{before}{open}{after}").trim_end_matches(':').to_owned();
        }
        if let Some(method @ ("get" | "post" | "delete")) = line.strip_prefix("    ").and_then(|line| line.strip_suffix(':')) {
            described.push(format!("{} {path}", method.to_uppercase()));
        }
    }
    for route in &ROUTES {
        let names = |root: &&str| described.contains(&format!("{} {root}{}", route.method, route.path));
        assert!(route.roots.iter().any(names), "{} {} is not in assets/openapi.yaml", route.method, route.path);
    }
    for known in described {
        let (method, path) = known.split_once(' ').expect("two words");
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        assert!(find(&method, path, |_| false).is_ok(), "{known} is not served");
    }
}

#[test]
fn what_waits_for_its_head_is_small() {
    fn size_of_answer<A, B, C, F>(_: fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }
    let answer = size_of_answer(answer);
    let playback = size_of::<crate::engine::playback::Playback>();
    assert!(answer <= 1_024 && playback <= 1_024, "answer {answer}, playback {playback} bytes");
}

#[test]
fn what_is_asked_for_has_no_credentials_in_it() {
    assert_eq!(target("some/model", Some("alt=sse&key=secret")), "some/model?alt=sse");
    assert_eq!(target("some/model", Some("key=secret")), "some/model");
    assert_eq!(target("", None), "");
}
