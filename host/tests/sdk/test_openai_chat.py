"""The official OpenAI SDK, streamed and not: every field that applications read."""

import json
import re

import openai
import pydantic
import pytest

HELLO = [{"role": "user", "content": "Say hello to the whole crew, please."}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                "days": {"type": "integer", "minimum": 1, "maximum": 7},
            },
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}


class Step(pydantic.BaseModel):
    explanation: str
    output: str


class Answer(pydantic.BaseModel):
    steps: list[Step]
    final_answer: str
    confidence: float


def test_a_whole_reply_has_everything(client):
    reply = client.chat.completions.create(model="plain", messages=HELLO)
    assert reply.id.startswith("chatcmpl-")
    assert reply.object == "chat.completion"
    assert reply.model == "plain"
    [choice] = reply.choices
    assert choice.index == 0
    assert choice.finish_reason == "stop"
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.message.refusal is None
    assert choice.logprobs is None
    assert reply.usage.completion_tokens == 24
    assert reply.usage.prompt_tokens > 5
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert reply._request_id.startswith("req_")


def test_headers_are_the_vendors(client):
    raw = client.chat.completions.with_raw_response.create(model="plain", messages=HELLO)
    assert raw.headers["content-type"] == "application/json"
    assert raw.headers["openai-version"] == "2020-10-01"
    assert int(raw.headers["openai-processing-ms"]) >= 0
    for budget in ("requests", "tokens"):
        limit = int(raw.headers[f"x-ratelimit-limit-{budget}"])
        assert 0 < int(raw.headers[f"x-ratelimit-remaining-{budget}"]) < limit
        assert re.fullmatch(r"(\d+m)?(\d+(\.\d+)?s|\d+ms)", raw.headers[f"x-ratelimit-reset-{budget}"])
    assert raw.headers["x-request-id"].startswith("req_")


def test_a_stream_is_the_same_reply_in_pieces(client):
    whole = client.chat.completions.create(model="plain", messages=HELLO)
    chunks = list(client.chat.completions.create(model="plain", messages=HELLO, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[0].choices[0].delta.content == ""
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert len({chunk.id for chunk in chunks}) == 1
    assert len({chunk.created for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in chunks)
    assert len(chunks) == 24 + 2


def test_usage_comes_in_a_chunk_of_its_own(client):
    options = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="plain", messages=HELLO, stream=True, stream_options=options))
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 24
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_the_same_request_has_the_same_text(client):
    texts = {client.chat.completions.create(model="plain", messages=HELLO).choices[0].message.content for _ in range(5)}
    assert len(texts) == 1
    other = client.chat.completions.create(model="plain", messages=[{"role": "user", "content": "Something else"}])
    assert other.choices[0].message.content not in texts


def test_several_choices_differ_and_share_the_usage(client):
    reply = client.chat.completions.create(model="plain", messages=HELLO, n=3)
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in reply.choices}) == 3
    assert reply.usage.completion_tokens == 72


def test_several_choices_interleave_in_a_stream(client):
    texts, finished = {0: "", 1: ""}, []
    for chunk in client.chat.completions.create(model="plain", messages=HELLO, n=2, stream=True):
        [choice] = chunk.choices
        texts[choice.index] += choice.delta.content or ""
        if choice.finish_reason:
            finished.append((choice.index, choice.finish_reason))
    whole = client.chat.completions.create(model="plain", messages=HELLO, n=2)
    assert texts == {choice.index: choice.message.content for choice in whole.choices}
    assert sorted(finished) == [(0, "stop"), (1, "stop")]


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_a_token_limit_cuts_and_says_so(client, limit):
    reply = client.chat.completions.create(model="plain", messages=HELLO, **{limit: 7})
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.completion_tokens == 7


def test_a_stop_text_ends_the_reply_before_it(client):
    whole = client.chat.completions.create(model="plain", messages=HELLO)
    words = whole.choices[0].message.content.split()
    # The stop texts are part of the request, so its text is its own: any common letter will occur in it.
    reply = client.chat.completions.create(model="plain", messages=HELLO, stop=[words[3], "e"])
    assert reply.choices[0].finish_reason == "stop"
    assert "e" not in reply.choices[0].message.content
    assert reply.usage.completion_tokens < 24


def test_logprobs_cover_every_token(client):
    reply = client.chat.completions.create(model="plain", messages=HELLO, logprobs=True, top_logprobs=3)
    tokens = reply.choices[0].logprobs.content
    assert "".join(token.token for token in tokens) == reply.choices[0].message.content
    for token in tokens:
        assert token.logprob <= 0
        assert bytes(token.bytes).decode() == token.token
        assert len(token.top_logprobs) == 3
        values = [top.logprob for top in token.top_logprobs]
        assert values == sorted(values, reverse=True)


def test_logprobs_stream_with_their_tokens(client):
    stream = client.chat.completions.create(model="plain", messages=HELLO, logprobs=True, top_logprobs=2, stream=True)
    pieces = [chunk.choices[0] for chunk in stream]
    with_text = [choice for choice in pieces if choice.delta.content]
    assert all(choice.logprobs.content[0].token == choice.delta.content for choice in with_text)


def test_a_required_tool_is_called_with_arguments_that_fit(client):
    reply = client.chat.completions.create(model="plain", messages=HELLO, tools=[WEATHER], tool_choice="required")
    [choice] = reply.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    [call] = choice.message.tool_calls
    assert call.id.startswith("call_")
    assert call.type == "function"
    assert call.function.name == "get_weather"
    arguments = json.loads(call.function.arguments)
    assert arguments["unit"] in ("celsius", "fahrenheit")
    assert isinstance(arguments["city"], str)
    assert 1 <= arguments.get("days", 1) <= 7


def test_a_tool_call_streams_in_several_deltas(client):
    arguments = dict(model="plain", messages=HELLO, tools=[WEATHER], tool_choice="required")
    whole = client.chat.completions.create(**arguments).choices[0].message.tool_calls[0]
    deltas = [chunk.choices[0] for chunk in client.chat.completions.create(**arguments, stream=True)]
    calls = [choice.delta.tool_calls[0] for choice in deltas if choice.delta.tool_calls]
    assert calls[0].id and calls[0].function.name == "get_weather"
    assert all(call.id is None and call.function.name is None for call in calls[1:])
    assert len(calls) > 3
    assert "".join(call.function.arguments for call in calls) == whole.function.arguments
    assert deltas[-1].finish_reason == "tool_calls"


def test_the_streaming_helper_accumulates_a_tool_call(client):
    with client.chat.completions.stream(model="plain", messages=HELLO, tools=[WEATHER], tool_choice="required") as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.tool_calls[0].function.name == "get_weather"


def test_a_named_tool_is_the_one_called(client):
    other = json.loads(json.dumps(WEATHER))
    other["function"]["name"] = "get_tides"
    choice = {"type": "function", "function": {"name": "get_tides"}}
    reply = client.chat.completions.create(model="plain", messages=HELLO, tools=[WEATHER, other], tool_choice=choice)
    assert reply.choices[0].message.tool_calls[0].function.name == "get_tides"


def test_no_tool_is_called_against_the_clients_will(client):
    reply = client.chat.completions.create(model="plain", messages=HELLO, tools=[WEATHER], tool_choice="none")
    assert reply.choices[0].message.tool_calls is None
    assert reply.choices[0].message.content


def test_parse_gives_a_model_of_the_schema(client):
    reply = client.chat.completions.parse(model="plain", messages=HELLO, response_format=Answer, max_tokens=1000)
    parsed = reply.choices[0].message.parsed
    assert isinstance(parsed, Answer)


def test_parse_streams_too(client):
    with client.chat.completions.stream(model="plain", messages=HELLO, response_format=Answer, max_tokens=1000) as stream:
        final = stream.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, Answer)


def test_parse_raises_when_the_reply_is_cut(client):
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(model="plain", messages=HELLO, response_format=Answer, max_tokens=3)


def test_json_mode_gives_an_object(client):
    messages = [{"role": "user", "content": "Some JSON, please."}]
    reply = client.chat.completions.create(model="plain", messages=messages, response_format={"type": "json_object"}, max_tokens=1000)
    assert isinstance(json.loads(reply.choices[0].message.content), dict)


def test_an_impossible_schema_is_a_bad_request(client):
    schema = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 5, "maximum": 1}}, "required": ["a"]}
    response_format = {"type": "json_schema", "json_schema": {"name": "impossible", "schema": schema}}
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="plain", messages=HELLO, response_format=response_format)
    assert caught.value.param == "response_format"
    assert "impossible" in caught.value.message
