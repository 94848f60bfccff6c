"""Answers are as Anthropic's, Google's and Microsoft's own descriptions of their APIs have them, and no field beside."""

import json

import pytest

from conftest import ask, events, whole
from vendor_documents import document

HELLO = [{"role": "user", "content": "Say hello to the whole crew, please."}]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}

# Anthropic

KEY = {"x-api-key": "key", "anthropic-version": "2023-06-01"}
WEATHER = {"name": "get_weather", "description": "The weather.", "input_schema": CITY}
MESSAGES = {
    "text": {},
    "a system prompt": {"system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]},
    "a tool": {"tools": [WEATHER], "tool_choice": {"type": "any"}},
    "a bound": {"max_tokens": 4},
    "a stop": {"model": "words", "stop_sequences": ["five"]},
    "thoughts": {"model": "thinker", "max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1024}},
    "a schema": {"output_config": {"format": {"type": "json_schema", "schema": CITY}}},
    "a refusal": {"model": "refusal"},
    "a filter": {"model": "filtered"},
}


def claude(schema, *values):
    return {mistake for value in values for mistake in document("anthropic").mistakes(schema, value)}


@pytest.mark.parametrize("case", MESSAGES)
def test_messages_and_their_events(described, case):
    body = {"model": "plain", "max_tokens": 100, "messages": HELLO, **MESSAGES[case]}
    kinds = document("anthropic").by_type("MessageStreamEvent")
    found = claude(document("anthropic").answer("post", "/v1/messages"), whole(described["api"], "POST", "/v1/messages", body, KEY))
    for event in events(described["api"], "/v1/messages", body, KEY):
        # The document has no word of `ping`, which the vendor's guide to streams has.
        if event["type"] != "ping":
            found |= {f"{event['type']}: {mistake}" for mistake in claude(kinds[event["type"]], event)}
    assert found == set()


def test_counts_of_tokens(described):
    answer = whole(described["api"], "POST", "/v1/messages/count_tokens", {"model": "plain", "messages": HELLO}, KEY)
    assert claude(document("anthropic").answer("post", "/v1/messages/count_tokens"), answer) == set()


def test_models_of_anthropic(described):
    listed = whole(described["api"], "GET", "/v1/models", headers=KEY)
    assert claude(document("anthropic").answer("get", "/v1/models"), listed) == set()
    one = whole(described["api"], "GET", "/v1/models/plain", headers=KEY)
    assert claude(document("anthropic").answer("get", "/v1/models/{model_id}"), one) == set()


def test_message_batches(described):
    params = {"max_tokens": 50, "messages": HELLO}
    requests = [{"custom_id": model, "params": {"model": model, **params}} for model in ("plain", "status-400")]
    path = "/v1/messages/batches"
    batch = whole(described["api"], "POST", path, {"requests": requests}, KEY)
    assert claude(document("anthropic").answer("post", path), batch) == set()
    while batch["processing_status"] != "ended":
        batch = whole(described["api"], "GET", f"{path}/{batch['id']}", headers=KEY)
        assert claude(document("anthropic").answer("get", path + "/{message_batch_id}"), batch) == set()
    assert claude(document("anthropic").answer("get", path), whole(described["api"], "GET", path, headers=KEY)) == set()
    _, text = ask(described["api"], "GET", f"{path}/{batch['id']}/results", headers=KEY)
    results = [json.loads(line) for line in text.splitlines()]
    assert len(results) == 2
    assert claude(document("anthropic").schema("MessageBatchIndividualResponse"), *results) == set()
    deleted = whole(described["api"], "DELETE", f"{path}/{batch['id']}", headers=KEY)
    assert claude(document("anthropic").answer("delete", path + "/{message_batch_id}"), deleted) == set()


REFUSED = [400, 401, 403, 404, 409, 413, 422, 429, 500, 503, 504, 529]


@pytest.mark.parametrize("model", [*(f"status-{status}" for status in REFUSED), "quota", "slow-down", "context-length", "unheard-of", 1])
def test_errors_of_anthropic(described, model):
    status, text = ask(described["api"], "POST", "/v1/messages", {"model": model, "max_tokens": 9, "messages": HELLO}, KEY)
    assert status >= 400
    assert claude(document("anthropic").schema("ErrorResponse"), json.loads(text)) == set()


# Google

GOOGLE = {"x-goog-api-key": "key"}
ASKED = {"contents": [{"role": "user", "parts": [{"text": "Say hello to the whole crew, please."}]}]}
DECLARED = [{"functionDeclarations": [{"name": "get_weather", "parametersJsonSchema": CITY}]}]
GENERATED = {
    "text": {},
    "two candidates": {"generationConfig": {"candidateCount": 2}},
    "a bound": {"generationConfig": {"maxOutputTokens": 4}},
    "a schema": {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": CITY}},
    "a function": {"tools": DECLARED, "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
    "thoughts": {"model": "thinker", "generationConfig": {"thinkingConfig": {"includeThoughts": True}}},
    "a refusal": {"model": "refusal"},
    "a filter": {"model": "filtered"},
    "a blocked prompt": {"model": "blocked"},
}


def gemini(schema, *values):
    return {mistake for value in values for mistake in document("gemini").mistakes(document("gemini").schema(schema), value)}


@pytest.mark.parametrize("case", GENERATED)
def test_generated_content(described, case):
    body = {**ASKED, **GENERATED[case]}
    path = f"/v1beta/models/{body.pop('model', 'plain')}"
    assert gemini("GenerateContentResponse", whole(described["api"], "POST", path + ":generateContent", body, GOOGLE)) == set()
    status, text = ask(described["api"], "POST", path + ":streamGenerateContent", body, GOOGLE)
    assert status == 200
    chunks = json.loads(text)
    assert chunks and gemini("GenerateContentResponse", *chunks) == set()


def test_what_else_gemini_answers(described):
    get = lambda path: whole(described["api"], "GET", "/v1beta/models" + path, headers=GOOGLE)
    post = lambda path, body: whole(described["api"], "POST", "/v1beta/models/" + path, body, GOOGLE)
    part = {"parts": [{"text": "Hello"}]}
    embed = "gemini-embedding-001:"
    assert gemini("CountTokensResponse", post("plain:countTokens", ASKED)) == set()
    assert gemini("EmbedContentResponse", post(embed + "embedContent", {"content": part, "outputDimensionality": 8})) == set()
    one = {"model": "models/gemini-embedding-001", "content": part}
    assert gemini("BatchEmbedContentsResponse", post(embed + "batchEmbedContents", {"requests": [one, one]})) == set()
    assert gemini("ListModelsResponse", get("")) == gemini("Model", get("/plain")) == set()


# Microsoft

AZURE = {"api-key": "key"}
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "The weather.", "parameters": CITY}}
DEPLOYED = {
    "text": {},
    "two choices": {"n": 2},
    "log probabilities": {"logprobs": True, "top_logprobs": 2},
    "usage": {"stream_options": {"include_usage": True}},
    "a bound": {"max_tokens": 4},
    "a function": {"tools": [TOOL], "tool_choice": "required"},
    "a refusal": {"model": "refusal"},
    "a filter": {"model": "filtered"},
}


def azure(schema, *values):
    schema = document("openai", "azure").schema(schema) if isinstance(schema, str) else schema
    return {mistake for value in values for mistake in document("openai", "azure").mistakes(schema, value)}


def place(deployment, operation):
    return f"/openai/deployments/{deployment}/{operation}?api-version=2024-10-21"


@pytest.mark.parametrize("case", DEPLOYED)
def test_chat_completions_of_deployments(described, case):
    body = {"messages": HELLO, **DEPLOYED[case]}
    path = place(body.pop("model", "plain"), "chat/completions")
    assert azure("createChatCompletionStreamResponse", *events(described["api"], path, body, AZURE)) == set()
    if "stream_options" not in body:
        assert azure("createChatCompletionResponse", whole(described["api"], "POST", path, body, AZURE)) == set()


def test_completions_and_embeddings_of_deployments(described):
    answer = whole(described["api"], "POST", place("plain", "completions"), {"prompt": "Once", "max_tokens": 8}, AZURE)
    assert azure("createCompletionResponse", answer) == set()
    answer = whole(described["api"], "POST", place("text-embedding-3-small", "embeddings"), {"input": ["a", "b"]}, AZURE)
    assert azure(document("openai", "azure").answer("post", "/deployments/{deployment-id}/embeddings"), answer) == set()


@pytest.mark.parametrize("model", [*(f"status-{status}" for status in REFUSED), "filtered-prompt", "context-length", "unheard-of"])
def test_errors_of_azure(described, model):
    status, text = ask(described["api"], "POST", place(model, "chat/completions"), {"messages": HELLO}, AZURE)
    assert status >= 400
    assert azure("errorResponse", json.loads(text)) == set()
