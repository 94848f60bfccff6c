use serde_json::json;

use super::*;
use crate::builtin::testing;
use crate::types::request::{Message, Request, Role, Tool};

fn make(options: &Value) -> Arc<dyn Responder> {
    Make.make(options, &Setting::default()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn answer(options: &Value, request: Request) -> Result<Answer, BehaviorError> {
    let request = Arc::new(request);
    make(options).respond(&testing::call(&request, 7), 1).map(|mut answers| answers.remove(0))
}

fn text(template: &str, request: Request) -> String {
    match answer(&json!({ "text": template }), request).expect("an answer").items.remove(0) {
        Item::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

fn long_request() -> Request {
    let mut request = testing::request("one");
    let message = |role, text: &str| Message::new(role, text);
    request.messages.insert(0, message(Role::System, "be kind"));
    request.messages.push(message(Role::Assistant, "two"));
    request.messages.push(message(Role::User, "three"));
    request.messages.push(message(Role::Tool, "four"));
    request.tools = vec![Tool { name: "look_up".into(), is_free: false, parameters: None }];
    request.headers.insert("x-tenant", "acme".parse().expect("a value"));
    request.headers.insert("authorization", "Bearer secret".parse().expect("a value"));
    request
}

#[test]
fn a_template_sees_the_request() {
    for (template, expected) in [
        ("{{ model }} {{ attempt }} {{ turn }} {{ choice }} {{ max_tokens }}", "test 0 1 0 4096"),
        ("{{ last_user_text | upper }}", "THREE"),
        ("{{ system_text }}, {{ tool_result }}, {{ tools | join(' ') }}", "be kind, four, look_up"),
        (
            "{% for m in messages %}{{ m.role }}:{{ m.text }};{% endfor %}",
            "system:be kind;user:one;assistant:two;user:three;tool:four;",
        ),
        ("{{ headers['X-Tenant'] }} {{ headers.authorization is defined }}", "acme False"),
        ("{{ {'a': [1, last_user_text]} | tojson }}", "{\"a\": [1, \"three\"]}"),
        ("{% if draw('coin') < 2 %}yes{% endif %} {{ pick('x', ['same', 'same']) }}", "yes same"),
    ] {
        assert_eq!(text(template, long_request()), expected, "{template}");
    }
}

#[test]
fn filler_has_as_many_tokens_as_asked_for_and_differs_each_time() {
    let filler = text("{{ tokens(20) }}|{{ tokens(20) }}|{{ tokens(9, 'prose-de') }}", long_request());
    let parts: Vec<_> = filler.split('|').collect();
    assert_eq!(bpe_openai::o200k_base().count(parts[0]), 20);
    assert_ne!(parts[0], parts[1]);
    assert_eq!(filler, text("{{ tokens(20) }}|{{ tokens(20) }}|{{ tokens(9, 'prose-de') }}", long_request()));
}

#[test]
fn draws_are_keyed_by_name_and_choice_and_are_noted() {
    let responder = make(&json!({"text": "{{ draw('a') }} {{ draw('a') }} {{ draw('b') }}"}));
    let request = Arc::new(testing::request("hi"));
    let draws = crate::random::Draws::default();
    let mut call = testing::call(&request, 1);
    call.draws = Some(&draws);
    let answers = responder.respond(&call, 2).expect("answers");
    assert_ne!(answers[0], answers[1]);
    let drawn = draws.take();
    let names: Vec<_> = drawn.iter().map(|draw| draw.name.as_str()).collect();
    assert_eq!(names, ["a", "a", "b", "a", "a", "b"]);
    assert_eq!(drawn[0].value, drawn[1].value);
    assert_ne!(drawn[0].value, drawn[2].value);
}

#[test]
fn tool_calls_are_filled_in_and_left_out_when_their_name_is_empty() {
    let options = json!({
        "text": "",
        "reasoning": "They said {{ last_user_text }}.",
        "tool-calls": [
            {"name": "{{ tools[0] }}", "arguments": {"query": "\"{{ last_user_text }}\"", "limit": 3}},
            {"name": "{% if turn > 5 %}never{% endif %}"},
            {"name": "plain"},
        ],
    });
    let answer = answer(&options, long_request()).expect("an answer");
    let call =
        |name: &str, arguments: Option<&str>| Item::ToolCall { name: name.to_owned(), arguments: arguments.map(str::to_owned) };
    let filled = call("look_up", Some("{\"query\":\"\\\"three\\\"\",\"limit\":3}"));
    assert_eq!(answer.items, [Item::Reasoning("They said three.".to_owned()), filled, call("plain", None)]);
    assert_eq!(answer.finish, Finish::ToolCalls);
}

#[test]
fn a_template_that_never_ends_or_writes_too_much_is_stopped() {
    for (template, reason) in [
        ("{% for a in range(9000) %}{% for b in range(9000) %}{% endfor %}{% endfor %}", "fuel"),
        ("{{ 'x' * 2000000 }}", "more than 1048576 bytes"),
        ("{{ tokens(100001) }}", "no more"),
        ("{{ headers['x-none'] }}", "undefined"),
        ("{{ tokens(3, 'pros') }}", "there is no style `pros`"),
        ("{{ pick('a', []) }}", "at least one"),
    ] {
        let error = answer(&json!({ "text": template }), testing::request("hi")).expect_err(template).to_string();
        assert!(error.contains(reason) && error.contains("`/text`"), "{template}: {error}");
    }
}

#[test]
fn every_mistake_is_reported_with_its_line_when_the_template_is_made() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("reply.j2"), "fine\n{% if %}").expect("written");
    let setting = Setting { folder: folder.path().to_owned(), ..Setting::default() };
    let options = json!({
        "file": "reply.j2",
        "reasoning": "a\nb\n{%- include 'secrets' %}",
        "tool-calls": [{"arguments": {"a": ["{{ modle }}"]}}],
        "txt": "x",
    });
    let problems = Make.make(&options, &setting).err().expect("mistakes");
    let told: Vec<_> = problems.iter().map(|problem| (problem.pointer.as_str(), problem.message.as_str())).collect();
    assert_eq!(told[0].0, "/reasoning");
    assert!(told[0].1.starts_with("line 3 of the template: `include`"), "{told:?}");
    assert_eq!(told[1].0, "/file");
    assert!(told[1].1.starts_with("`reply.j2:2`: "), "{told:?}");
    assert_eq!(told[2], ("/tool-calls/0", "the field `name` is missing"));
    assert_eq!(told[3].0, "/tool-calls/0/arguments/a/0");
    assert_eq!(problems[3].hint.as_deref(), Some("did you mean `model`?"));
    assert_eq!(told[4].0, "/txt");
    for (options, message) in [
        (json!({}), "needs `text` or `file`"),
        (json!({"text": "a", "file": "b"}), "not both"),
        (json!({"file": "missing.j2"}), "there is no file `missing.j2`"),
        (json!({"text": "x".repeat(TEMPLATE_BYTES_MAX + 1)}), "at most"),
    ] {
        let problems = Make.make(&options, &setting).err().expect("a mistake");
        assert!(problems.len() == 1 && problems[0].message.contains(message), "{problems:?}");
    }
}
