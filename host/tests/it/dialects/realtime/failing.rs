use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Client, SCENARIO, TEN, kinds, requests, running, text};
use crate::support::host::{TestHost, eventually};

#[test]
fn a_clients_mistake_is_an_error_event_about_its_event() {
    let host = TestHost::start(SCENARIO);
    let mut client = Client::enter(&host, "rt-400");
    client.ask("Hi");
    let heard = client.hear_to("error");
    assert!(!kinds(&heard).contains(&"response.created"), "{heard:?}");
    let error = &heard.last().expect("an event")["error"];
    assert_eq!((&error["type"], &error["event_id"]), (&json!("invalid_request_error"), &json!("mine")));
    assert_eq!(requests(&host, "rt-400", 400), 1.0);
}

#[test]
fn a_limit_fails_the_response_that_runs_into_it_and_the_session_goes_on() {
    let host = TestHost::start(SCENARIO);
    let mut client = Client::enter(&host, "rt-429");
    for count in [1.0, 2.0] {
        client.ask("Hi");
        let heard = client.hear_to("rate_limits.updated");
        assert_eq!(kinds(&heard[heard.len() - 3..]), ["response.created", "response.done", "rate_limits.updated"]);
        let done = &heard[heard.len() - 2]["response"];
        let error =
            json!({"type": "requests", "code": "rate_limit_exceeded", "message": "Rate limit reached. Please try again later."});
        assert_eq!((&done["status"], &done["status_details"]), (&json!("failed"), &json!({"type": "failed", "error": error})));
        assert_eq!((&done["output"], &done["usage"]["total_tokens"]), (&json!([]), &json!(0)));
        assert_eq!(requests(&host, "rt-429", 429), count);
    }
}

#[test]
fn a_failed_response_is_over_for_a_client_that_has_said_more_already() {
    let host = TestHost::start(SCENARIO);
    let (create, cancel) = (json!({"type": "response.create"}), json!({"type": "response.cancel"}));
    let mut client = Client::enter(&host, "rt-busy");
    // Both are on their way before the first is answered.
    for event in [&create, &cancel] {
        client.0.write(Message::text(event.to_string())).expect("taken");
    }
    client.0.flush().expect("sent");
    let heard = client.hear_to("error");
    assert_eq!(kinds(&heard), ["response.created", "response.done", "rate_limits.updated", "error"]);
    assert_eq!(heard[3]["error"]["code"], "response_cancel_not_active");
    for event in [&create, &create] {
        client.0.write(Message::text(event.to_string())).expect("taken");
    }
    client.0.flush().expect("sent");
    for _ in 0..2 {
        assert_eq!(kinds(&client.hear_to("rate_limits.updated")), ["response.created", "response.done", "rate_limits.updated"]);
    }
}

#[test]
fn an_error_before_the_first_token_fails_a_response_that_has_begun() {
    let host = TestHost::start(SCENARIO);
    let mut client = Client::enter(&host, "rt-early");
    client.say(&json!({"type": "response.create"}));
    let heard = client.hear_to("rate_limits.updated");
    assert_eq!(kinds(&heard), ["response.created", "error", "response.done", "rate_limits.updated"]);
    assert_eq!((&heard[1]["error"]["message"], &heard[2]["response"]["status"]), (&json!("Lost"), &json!("failed")));
    assert_eq!(requests(&host, "rt-early", 500), 1.0);
}

#[test]
fn a_response_that_a_station_turns_away_fails() {
    let host = TestHost::start(SCENARIO);
    let mut first = Client::enter(&host, "rt-desk");
    first.ask("Hi");
    first.hear_to("response.output_text.delta");
    // Nobody waits for longer than 30 ms.
    let mut client = Client::enter(&host, "rt-desk");
    let events = client.answer("Hi");
    let done = &events.last().expect("an event")["response"];
    assert_eq!((&done["status"], &done["output"]), (&json!("failed"), &json!([])), "{done}");
    assert!(done["status_details"]["error"]["message"].is_string(), "{done}");
    drop((first, client));
    eventually("nothing runs", || running(&host, "rt-desk") == 0.0);
}

#[test]
fn an_error_inside_a_response_fails_it_and_the_session_goes_on() {
    let host = TestHost::start(SCENARIO);
    let mut client = Client::enter(&host, "rt-error");
    for _ in 0..2 {
        let events = client.answer("Hi");
        assert_eq!(text(&events), "one two three four");
        let error = events.iter().find(|event| event["type"] == "error").expect("an error");
        assert_eq!((&error["error"]["type"], &error["error"]["message"]), (&json!("server_error"), &json!("Lost")));
        let done = &events.last().expect("an event")["response"];
        assert_eq!((&done["status"], &done["status_details"]["error"]["message"]), (&json!("failed"), &json!("Lost")));
    }
}

#[test]
fn a_cut_ends_the_connection_after_the_tokens_before_it() {
    let host = TestHost::start(SCENARIO);
    for (model, is_tidy) in [("rt-cut-close", false), ("rt-cut-reset", false), ("rt-cut-end", true)] {
        let mut client = Client::enter(&host, model);
        client.ask("Hi");
        let (heard, ended) = client.hear_out();
        let events: Vec<Value> =
            heard.into_iter().map(|message| serde_json::from_slice(&message.into_data()).expect("JSON")).collect();
        assert_eq!(text(&events), "one two three four", "{model}");
        assert_eq!(matches!(ended, Ok(Some(CloseCode::Normal))), is_tidy, "{model}: {ended:?}");
        eventually("nothing runs", || running(&host, model) == 0.0);
    }
    for model in ["rt-hang", "rt-reset"] {
        let mut client = Client::enter(&host, model);
        client.ask("Hi");
        client.hear_to("conversation.item.done");
        let (heard, ended) = client.hear_out();
        assert!(heard.is_empty() && ended.is_err(), "{model}: {heard:?} {ended:?}");
    }
}

#[test]
fn a_stall_holds_back_what_comes_after_it() {
    let host = TestHost::start(SCENARIO);
    let mut client = Client::enter(&host, "rt-stall");
    let start = Instant::now();
    assert_eq!(text(&client.answer("Hi")), TEN);
    assert!(start.elapsed() >= Duration::from_millis(350), "{:?}", start.elapsed());
}

#[test]
fn an_early_end_is_told_as_incomplete() {
    let host = TestHost::start(SCENARIO);
    for (model, reason) in [("rt-length", "max_output_tokens"), ("rt-content-filter", "content_filter")] {
        let events = Client::enter(&host, model).answer("Hi");
        let done = &events.last().expect("an event")["response"];
        assert_eq!((&done["status"], &done["status_details"]["reason"]), (&json!("incomplete"), &json!(reason)));
        assert_eq!(text(&events), "one two three four");
    }
}

#[test]
fn damage_is_done_to_messages() {
    let host = TestHost::start(SCENARIO);
    let heard = |model: &str| {
        let mut client = Client::enter(&host, model);
        client.ask("Hi");
        // What the server answers to this comes after the response.
        eventually("the response is over", || requests(&host, model, 200) == 1.0);
        client.say(&json!({"type": "input_audio_buffer.clear"}));
        let mut heard = Vec::new();
        loop {
            match client.0.read() {
                Ok(message) if message.to_text().is_ok_and(|text| text.contains("input_audio_buffer.cleared")) => {
                    return (heard, None);
                }
                Ok(message) => heard.push(message),
                Err(error) => return (heard, Some(error)),
            }
        }
    };
    let json_of = |message: &Message| serde_json::from_slice::<Value>(&message.clone().into_data());
    let broken = |heard: &[Message]| heard.iter().filter(|message| json_of(message).is_err()).count();
    let count = |heard: &[Message], kind: &str| {
        heard.iter().filter_map(|message| json_of(message).ok()).filter(|event| event["type"] == kind).count()
    };
    for model in ["rt-malformed", "rt-truncated"] {
        let (heard, error) = heard(model);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(broken(&heard), 1, "{model}");
        assert_eq!(count(&heard, "response.done"), usize::from(model == "rt-malformed"), "{model}");
    }
    let (_, error) = heard("rt-split");
    assert!(matches!(error, Some(Error::Utf8(_))), "{error:?}");
    assert_eq!(count(&heard("rt-duplicate").0, "response.output_text.delta"), 11);
    let (messages, _) = heard("rt-missing-end");
    assert_eq!((count(&messages, "response.output_item.done"), count(&messages, "response.done")), (1, 0));
    let (messages, _) = heard("rt-empty");
    assert_eq!(count(&messages, "response.created"), 0);
    let (messages, _) = heard("rt-wrong-type");
    let binary = messages.iter().filter(|message| message.is_binary()).count();
    assert!(binary >= 10, "{binary}");
    assert_eq!(text(&Client::enter(&host, "rt-drip").answer("Hi")), TEN);
}
