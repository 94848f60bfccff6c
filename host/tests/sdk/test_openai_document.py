"""Answers are as OpenAI's own description of its API has them: every object, every chunk, every event, and no field beside."""

import json

import openai
import pytest

from conftest import ask, events, whole
from vendor_documents import document

HELLO = [{"role": "user", "content": "Say hello to the whole crew, please."}]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "The weather.", "parameters": CITY, "strict": True}}
SQL = {"type": "custom", "custom": {"name": "run_sql", "description": "Runs SQL."}}
SHAPE = {"name": "place", "schema": CITY, "strict": True}


@pytest.fixture
def api(described):
    return described["api"] + "/v1"


def mistakes(schema, *values):
    return {mistake for value in values for mistake in document("openai").mistakes(schema, value)}


def test_what_is_not_as_described_is_found(api):
    answer = whole(api, "POST", "/chat/completions", {"model": "plain", "messages": HELLO})
    schema = document("openai").answer("post", "/chat/completions")
    [choice] = answer["choices"]
    without = {key: value for key, value in answer.items() if key != "created"}
    misspelt = {**answer, "usage": {**answer["usage"], "prompt_token": 1}}
    assert mistakes(schema, answer) == set()
    assert mistakes(schema, without) == {": 'created' is a required property"}
    assert mistakes(schema, misspelt) == {"usage.prompt_token: the document does not know this field"}
    assert mistakes(schema, {**answer, "choices": [{**choice, "finish_reason": None}]}) != set()
    assert mistakes(schema, {**answer, "choices": [{**choice, "message": {**choice["message"], "role": "user"}}]}) != set()


CHATS = {
    "text": {},
    "two choices": {"n": 2},
    "log probabilities": {"logprobs": True, "top_logprobs": 2},
    "usage": {"stream_options": {"include_usage": True}},
    "usage all along": {"stream_options": {"include_usage": True, "continuous_usage_stats": True}},
    "no obfuscation": {"stream_options": {"include_obfuscation": False}},
    "a bound": {"max_completion_tokens": 4},
    "a function": {"tools": [WEATHER], "tool_choice": "required"},
    "parallel functions": {"tools": [WEATHER, SQL], "tool_choice": "auto", "parallel_tool_calls": True},
    "a custom tool": {"tools": [SQL], "tool_choice": {"type": "custom", "custom": {"name": "run_sql"}}},
    "a schema": {"response_format": {"type": "json_schema", "json_schema": SHAPE}},
    "thoughts": {"model": "thinker", "reasoning_effort": "low"},
    "a refusal": {"model": "refusal"},
    "a filter": {"model": "filtered"},
    "metadata": {"store": True, "metadata": {"a": "b"}, "service_tier": "auto"},
}


@pytest.mark.parametrize("case", CHATS)
def test_chat_completions(api, case):
    body = {"model": "plain", "messages": HELLO, **CHATS[case]}
    path = "/chat/completions"
    chunk = document("openai").answer("post", path, kind="text/event-stream")
    assert mistakes(chunk, *events(api, path, body)) == set()
    if "stream_options" not in body:
        assert mistakes(document("openai").answer("post", path), whole(api, "POST", path, body)) == set()


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"prompt": ["One", "Two"], "n": 2},
        {"prompt": [32, 1495], "logprobs": 2},
        {"echo": True, "logprobs": 0, "max_tokens": 4},
        {"model": "filtered"},
    ],
    ids=str,
)
def test_completions(api, case):
    body = {"model": "plain", "prompt": "Once upon a time", **case}
    schema = document("openai").answer("post", "/completions")
    # The document has one schema for both: a stream's events are such objects.
    found = mistakes(schema, whole(api, "POST", "/completions", body), *events(api, "/completions", body))
    assert found == set()


@pytest.mark.parametrize("case", [{}, {"input": ["One", "Two"]}, {"input": [15339, 1917], "dimensions": 8}], ids=str)
def test_embeddings(api, case):
    body = {"model": "text-embedding-3-small", "input": "Hello", "encoding_format": "float", **case}
    assert mistakes(document("openai").answer("post", "/embeddings"), whole(api, "POST", "/embeddings", body)) == set()


@pytest.mark.parametrize("case", ["I will kill you", ["Hello", "Hi"], [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]], ids=str)
def test_moderations(api, case):
    answer = whole(api, "POST", "/moderations", {"input": case})
    assert mistakes(document("openai").answer("post", "/moderations"), answer) == set()


def test_models(api):
    listed = whole(api, "GET", "/models")
    assert mistakes(document("openai").answer("get", "/models"), listed) == set()
    assert mistakes(document("openai").answer("get", "/models/{model}"), whole(api, "GET", "/models/plain")) == set()


FUNCTION = {"type": "function", "name": "get_weather", "description": "The weather.", "parameters": CITY, "strict": True}
FREE = {"type": "custom", "name": "run_sql", "description": "Runs SQL."}
CALLED = [
    {"role": "user", "content": [{"type": "input_text", "text": "Hello"}]},
    {"role": "assistant", "content": "Well?"},
    {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
]
RESPONSES = {
    "text": {},
    "items": {"input": CALLED, "tools": [FUNCTION]},
    "instructions": {"instructions": "Be brief.", "metadata": {"a": "b"}},
    "thoughts": {"reasoning": {"effort": "low", "summary": "auto"}},
    "hidden thoughts": {"model": "thinker", "reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"], "store": False},
    "a function": {"tools": [FUNCTION], "tool_choice": "required"},
    "a named function": {"tools": [FUNCTION, FREE], "tool_choice": {"type": "function", "name": "get_weather"}},
    "a custom tool": {"tools": [FREE], "tool_choice": {"type": "custom", "name": "run_sql"}},
    "tools that are not run": {"tools": [{"type": "web_search"}, {"type": "file_search", "vector_store_ids": ["vs_1"]}]},
    "a bound": {"max_output_tokens": 16},
    "a schema": {"text": {"format": {"type": "json_schema", **SHAPE}, "verbosity": "low"}},
    "any object": {"input": "Say it in JSON.", "text": {"format": {"type": "json_object"}}},
    "log probabilities": {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
    "no obfuscation": {"stream_options": {"include_obfuscation": False}},
    "a refusal": {"model": "refusal"},
    "a filter": {"model": "filtered"},
    "an error": {"model": "broken"},
}


@pytest.mark.parametrize("case", RESPONSES)
def test_responses_and_their_events(api, case):
    body = {"model": "plain", "input": "Say hello to the whole crew, please.", **RESPONSES[case]}
    kinds = document("openai").by_type("ResponseStreamEvent")
    found = set()
    for event in events(api, "/responses", body):
        found |= {f"{event['type']}: {mistake}" for mistake in mistakes(kinds[event["type"]], event)}
    if case not in ("an error", "no obfuscation"):
        found |= mistakes(document("openai").answer("post", "/responses"), whole(api, "POST", "/responses", body))
    assert found == set()


def test_the_cases_have_every_event_that_there_is(api):
    seen = set()
    for case in ("text", "thoughts", "a function", "a custom tool", "a bound", "a refusal", "an error"):
        body = {"model": "plain", "input": "Say hello to the whole crew, please.", **RESPONSES[case]}
        seen |= {event["type"].removeprefix("response.") for event in events(api, "/responses", body)}
    parts = {f"{part}.{end}" for part in ("output_item", "content_part", "reasoning_summary_part") for end in ("added", "done")}
    pieces = {"output_text", "refusal", "reasoning_summary_text", "function_call_arguments", "custom_tool_call_input"}
    pieces = {f"{piece}.{end}" for piece in pieces for end in ("delta", "done")}
    assert seen == {"created", "in_progress", "completed", "incomplete", "error", "failed"} | parts | pieces


def test_responses_that_are_kept(api):
    made = whole(api, "POST", "/responses", {"model": "plain", "input": CALLED, "tools": [FUNCTION]})
    path = "/responses/" + made["id"]
    assert mistakes(document("openai").answer("get", "/responses/{response_id}"), whole(api, "GET", path)) == set()
    items = whole(api, "GET", path + "/input_items")
    assert len(items["data"]) == len(CALLED)
    assert mistakes(document("openai").answer("get", "/responses/{response_id}/input_items"), items) == set()


def test_input_tokens(api):
    answer = whole(api, "POST", "/responses/input_tokens", {"model": "plain", "input": "Hello"})
    assert mistakes(document("openai").answer("post", "/responses/input_tokens"), answer) == set()


@pytest.fixture
def client(api):
    with openai.OpenAI(base_url=api, api_key="sk-test", max_retries=0) as client:
        yield client


def upload(client, *models):
    requests = (
        {"custom_id": f"{model}-{index}", "method": "POST", "url": "/v1/chat/completions", "body": {"model": model, "messages": HELLO}}
        for index, model in enumerate(models)
    )
    content = "\n".join(map(json.dumps, requests)).encode()
    return client.files.create(file=("in.jsonl", content), purpose="batch")


def test_files(api, client):
    path = "/files/" + upload(client, "plain").id
    assert mistakes(document("openai").answer("get", "/files"), whole(api, "GET", "/files")) == set()
    assert mistakes(document("openai").answer("get", "/files/{file_id}"), whole(api, "GET", path)) == set()
    raw = client.files.with_raw_response.create(file=("in.txt", b"Hello"), purpose="user_data", expires_after={"anchor": "created_at", "seconds": 3600})
    assert mistakes(document("openai").answer("post", "/files"), json.loads(raw.content)) == set()
    assert mistakes(document("openai").answer("delete", "/files/{file_id}"), whole(api, "DELETE", path)) == set()


@pytest.mark.parametrize(("models", "status"), [(["plain"], "completed"), (["status-400"], "completed"), (["plain", "slow"], "failed")], ids=str)
def test_batches(api, client, models, status):
    body = {"input_file_id": upload(client, *models).id, "endpoint": "/v1/chat/completions", "completion_window": "24h", "metadata": {"a": "b"}}
    batch = whole(api, "POST", "/batches", body)
    assert mistakes(document("openai").answer("post", "/batches"), batch) == set()
    while batch["status"] not in ("completed", "failed"):
        batch = whole(api, "GET", "/batches/" + batch["id"])
        assert mistakes(document("openai").answer("get", "/batches/{batch_id}"), batch) == set()
    assert batch["status"] == status
    assert mistakes(document("openai").answer("get", "/batches"), whole(api, "GET", "/batches")) == set()
    for file, schema in (("output_file_id", "CreateChatCompletionResponse"), ("error_file_id", "ErrorResponse")):
        if batch[file]:
            _, text = ask(api, "GET", f"/files/{batch[file]}/content")
            bodies = [json.loads(line)["response"]["body"] for line in text.splitlines()]
            assert len(bodies) == 1 and mistakes(document("openai").schema(schema), *bodies) == set()


REFUSED = ["status-400", "status-401", "status-403", "status-404", "status-409", "status-422", "status-429", "status-500", "status-503"]
REFUSED += ["quota", "slow-down", "context-length", "unheard-of"]


@pytest.mark.parametrize("path", ["/chat/completions", "/completions", "/responses", "/embeddings"])
def test_errors(api, path):
    schema = document("openai").schema("ErrorResponse")
    asked = {"messages": HELLO} if "chat" in path else {"prompt": "Hello"} if path == "/completions" else {"input": "Hello"}
    bodies = [{"model": model, **asked} for model in REFUSED] + [{}, {"model": 1}, {"model": "plain", **asked, "temperature": "hot", "input": [{}]}]
    for body in bodies:
        status, text = ask(api, "POST", path, body)
        assert status >= 400, body
        assert mistakes(schema, json.loads(text)) == set()


def test_an_error_inside_a_stream(api):
    *_, last = events(api, "/chat/completions", {"model": "broken", "messages": HELLO})
    assert mistakes(document("openai").schema("ErrorResponse"), last) == set()


def test_realtime(client):
    kinds = document("openai").by_type("RealtimeServerEvent")
    tool = {key: value for key, value in FUNCTION.items() if key != "strict"}
    found, seen = set(), set()
    with client.realtime.connect(model="plain") as connection:

        def until(kind):
            while True:
                event = json.loads(connection.recv_bytes())
                seen.add(event["type"])
                found.update(f"{event['type']}: {mistake}" for mistake in mistakes(kinds[event["type"]], event))
                if event["type"] == kind:
                    return

        connection.session.update(session={"type": "realtime", "tools": [tool], "instructions": "Be brief."})
        connection.conversation.item.create(item={"id": "mine", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]})
        connection.conversation.item.retrieve(item_id="mine")
        connection.conversation.item.delete(item_id="mine")
        connection.input_audio_buffer.append(audio="AAAA")
        until("error")
        connection.response.create(response={"metadata": {"a": "b"}, "tool_choice": "none"})
        until("response.done")
        connection.response.create(response={"tool_choice": "required"})
        until("response.done")
        connection.input_audio_buffer.clear()
        until("input_audio_buffer.cleared")
    assert found == set()
    assert len(seen) == 19, sorted(seen)
