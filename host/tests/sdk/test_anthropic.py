"""The official Anthropic SDK, streamed and not, in both generations of the API: every field that applications read."""

import asyncio
import base64
import datetime
import json

import anthropic
import pydantic
import pytest

HELLO = [{"role": "user", "content": "Say hello to the whole crew, please."}]
ASK = {"model": "plain", "max_tokens": 200, "messages": HELLO}
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
}
FORCED = {"tools": [WEATHER], "tool_choice": {"type": "any"}}
THINKING = {"type": "enabled", "budget_tokens": 1024}
OLDER = {"anthropic-version": "2023-06-01"}


class Trip(pydantic.BaseModel):
    city: str
    days: int


@pytest.fixture(params=["2026-10-21", "2023-06-01"])
def client(request, vendors):
    """A client in each generation; it takes no answer that does not fit the vendor's own types."""
    headers = {"anthropic-version": request.param}
    options = {"base_url": vendors["api"], "default_headers": headers, "max_retries": 0, "_strict_response_validation": True}
    with anthropic.Anthropic(api_key="sk-test", **options) as client:
        yield client


def test_a_whole_message_has_everything(client):
    message = client.messages.create(**ASK)
    assert message.id.startswith("msg_01") and (message.type, message.role, message.model) == ("message", "assistant", "plain")
    [block] = message.content
    assert block.type == "text" and block.text and block.citations is None
    assert (message.stop_reason, message.stop_sequence, message.stop_details) == ("end_turn", None, None)
    assert message.usage.output_tokens == 24 and message.usage.input_tokens > 5
    assert (message.usage.cache_creation_input_tokens, message.usage.cache_read_input_tokens) == (0, 0)
    assert message.usage.service_tier == "standard"
    assert message._request_id.startswith("req_01")


def test_headers_are_the_vendors(client):
    raw = client.messages.with_raw_response.create(**ASK)
    assert raw.headers["content-type"] == "application/json"
    assert raw.headers["request-id"].startswith("req_01") and raw.headers["anthropic-organization-id"]
    for budget in ("requests", "tokens"):
        limit = int(raw.headers[f"anthropic-ratelimit-{budget}-limit"])
        assert 0 < int(raw.headers[f"anthropic-ratelimit-{budget}-remaining"]) < limit
        reset = datetime.datetime.fromisoformat(raw.headers[f"anthropic-ratelimit-{budget}-reset"])
        assert reset.tzinfo is not None


def test_events_come_in_the_vendors_order(client):
    events = list(client.messages.create(**ASK, stream=True))
    kinds = [event.type for event in events]
    # The SDK keeps `ping` to itself.
    middle = ["content_block_delta"] * 24
    assert kinds == ["message_start", "content_block_start", *middle, "content_block_stop", "message_delta", "message_stop"]
    start, end = events[0].message, events[-2]
    assert (start.content, start.stop_reason, start.usage.output_tokens) == ([], None, 1)
    assert (end.delta.stop_reason, end.usage.output_tokens) == ("end_turn", 24)
    assert end.usage.input_tokens == start.usage.input_tokens > 5


def test_a_ping_follows_the_first_block(vendors):
    with anthropic.Anthropic(base_url=vendors["api"], api_key="k") as client:
        with client.messages.with_streaming_response.create(**ASK, stream=True) as raw:
            names = [line[7:] for line in raw.iter_lines() if line.startswith("event: ")]
    assert names[:4] == ["message_start", "content_block_start", "ping", "content_block_delta"]
    assert names.count("ping") == 1


def test_a_stream_is_the_same_message_in_pieces(client):
    whole = client.messages.create(**ASK)
    with client.messages.stream(**ASK) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == final.content[0].text == whole.content[0].text
    assert (final.stop_reason, final.usage.output_tokens) == (whole.stop_reason, whole.usage.output_tokens)


def test_the_same_request_has_the_same_text(client):
    texts = {client.messages.create(**ASK).content[0].text for _ in range(3)}
    other = client.messages.create(**{**ASK, "messages": [{"role": "user", "content": "Something else"}]})
    assert len(texts) == 1 and other.content[0].text not in texts


def test_a_token_limit_cuts_and_says_so(client):
    message = client.messages.create(**{**ASK, "max_tokens": 7})
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 7)


def test_a_limit_of_none_reads_the_prompt_and_says_nothing(client):
    message = client.messages.create(**{**ASK, "max_tokens": 0})
    assert (message.content, message.stop_reason, message.usage.output_tokens) == ([], "max_tokens", 0)


def test_a_stop_sequence_ends_the_message_before_it(client):
    message = client.messages.create(**{**ASK, "model": "words"}, stop_sequences=["never", " four"])
    assert message.content[0].text == "one two three"
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", " four")
    events = list(client.messages.create(**{**ASK, "model": "words"}, stop_sequences=["never", " four"], stream=True))
    assert (events[-2].delta.stop_reason, events[-2].delta.stop_sequence) == ("stop_sequence", " four")


def test_a_forced_tool_is_used_with_input_that_fits(client):
    message = client.messages.create(**ASK, **FORCED)
    assert message.stop_reason == "tool_use"
    [block] = message.content
    assert block.type == "tool_use" and block.id.startswith("toolu_01") and block.name == "get_weather"
    assert block.input["unit"] in ("celsius", "fahrenheit") and isinstance(block.input["city"], str)


def test_a_tools_input_streams_as_json_text(client):
    whole = client.messages.create(**ASK, **FORCED).content[0]
    with client.messages.stream(**ASK, **FORCED) as stream:
        events = list(stream)
        final = stream.get_final_message()
    pieces = [event.partial_json for event in events if event.type == "input_json"]
    assert pieces[0] == "" and len(pieces) > 3
    assert json.loads("".join(pieces)) == final.content[0].input == whole.input


def test_a_named_tool_is_the_one_used(client):
    other = {**WEATHER, "name": "get_tides"}
    choice = {"type": "tool", "name": "get_tides"}
    message = client.messages.create(**ASK, tools=[WEATHER, other], tool_choice=choice)
    assert message.content[0].name == "get_tides"


def test_no_tool_is_used_against_the_clients_will(client):
    message = client.messages.create(**ASK, tools=[WEATHER], tool_choice={"type": "none"})
    assert [block.type for block in message.content] == ["text"]


@pytest.mark.parametrize("stream", [False, True])
def test_several_tools_follow_a_text_and_their_results_are_understood(client, stream):
    tools = [WEATHER, {"name": "wait", "input_schema": {"type": "object", "properties": {}}}]
    ask = {**ASK, "model": "two-tools", "tools": tools}

    def send(messages):
        if not stream:
            return client.messages.create(**{**ask, "messages": messages})
        with client.messages.stream(**{**ask, "messages": messages}) as opened:
            return opened.get_final_message()

    first = send(HELLO)
    assert [block.type for block in first.content] == ["text", "tool_use", "tool_use"]
    assert [block.name for block in first.content[1:]] == ["get_weather", "wait"]
    results = [{"type": "tool_result", "tool_use_id": block.id, "content": "rain"} for block in first.content[1:]]
    turn = [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    second = send(HELLO + turn)
    assert (second.stop_reason, second.content[0].text) == ("end_turn", "It rains.")


@pytest.mark.parametrize("stream", [False, True])
def test_thoughts_come_signed_before_the_text(client, stream):
    ask = {**ASK, "model": "thinker", "max_tokens": 2000, "thinking": THINKING}
    if stream:
        with client.messages.stream(**ask) as opened:
            kinds = [event.type for event in opened]
            message = opened.get_final_message()
        assert kinds.count("thinking") > 1 and kinds.count("signature") == 1
    else:
        message = client.messages.create(**ask)
    thoughts, text = message.content
    assert (thoughts.type, thoughts.thinking, text.text) == ("thinking", "Let me think.", "So be it.")
    assert thoughts.signature and 0 < message.usage.output_tokens_details.thinking_tokens < message.usage.output_tokens
    # What came back is understood when it is sent again.
    turn = [{"role": "assistant", "content": message.content}, {"role": "user", "content": "Go on"}]
    assert client.messages.create(**{**ask, "messages": HELLO + turn}).content


@pytest.mark.parametrize("stream", [False, True])
def test_thoughts_may_be_omitted(client, stream):
    ask = {**ASK, "model": "thinker", "max_tokens": 2000, "thinking": {"type": "adaptive", "display": "omitted"}}
    if stream:
        with client.messages.stream(**ask) as opened:
            message = opened.get_final_message()
    else:
        message = client.messages.create(**ask)
    thoughts = message.content[0]
    assert (thoughts.type, thoughts.thinking) == ("thinking", "") and thoughts.signature


def test_who_wants_no_thoughts_gets_none(client):
    message = client.messages.create(**{**ASK, "model": "thinker"}, thinking={"type": "disabled"})
    assert [block.type for block in message.content] == ["text"]


def test_parse_gives_a_model_of_the_schema(client):
    message = client.messages.parse(**ASK, output_format=Trip)
    assert isinstance(message.parsed_output, Trip)


def test_parse_streams_too(client):
    with client.messages.stream(**ASK, output_format=Trip) as stream:
        final = stream.get_final_message()
    assert isinstance(final.parsed_output, Trip)


def test_tokens_are_counted_as_a_message_counts_them(client):
    ask = {"model": "plain", "messages": HELLO, "system": "Be brief.", "tools": [WEATHER]}
    count = client.messages.count_tokens(**ask).input_tokens
    assert count == client.messages.create(**ask, max_tokens=1).usage.input_tokens
    assert count > client.messages.count_tokens(model="plain", messages=HELLO).input_tokens


def test_images_and_documents_are_counted(client):
    plain = client.messages.count_tokens(model="plain", messages=HELLO).input_tokens
    data = base64.b64encode(b"anything").decode()
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    page = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": data}}
    for block in (image, page):
        content = [{"type": "text", "text": HELLO[0]["content"]}, block]
        ask = {"model": "plain", "messages": [{"role": "user", "content": content}]}
        assert client.messages.count_tokens(**ask).input_tokens > plain + 1000
        assert client.messages.create(**ask, max_tokens=5).content


def test_what_is_marked_for_the_cache_is_written_to_it(client):
    system = [{"type": "text", "text": "You are brief. " * 20, "cache_control": {"type": "ephemeral"}}]
    usage = client.messages.create(**ASK, system=system).usage
    assert usage.cache_creation_input_tokens + usage.cache_read_input_tokens > 50
    assert usage.cache_creation.ephemeral_5m_input_tokens == usage.cache_creation_input_tokens


def test_instructions_may_come_between_turns(client):
    messages = [*HELLO, {"role": "assistant", "content": "Hi"}, {"role": "system", "content": "In French"}, {"role": "user", "content": "Go"}]
    assert client.messages.create(**{**ASK, "messages": messages}).content


def test_models_are_listed_and_retrieved(client):
    models = {model.id: model for model in client.models.list()}
    assert {"plain", "vendor/plain"} <= set(models)
    plain = models["plain"]
    assert (plain.type, plain.display_name, plain.lifecycle) == ("model", "plain", "active")
    assert (plain.max_input_tokens, plain.max_tokens) == (4096, 1024)
    assert isinstance(plain.created_at, datetime.datetime)
    assert client.models.retrieve("vendor/plain").id == "vendor/plain"


def test_models_come_in_pages_that_the_sdk_turns(client):
    first = client.models.list(limit=1)
    assert (len(first.data), first.has_more, first.last_id) == (1, True, first.data[0].id)
    everything = [model.id for model in client.models.list(limit=1)]
    assert everything == [model.id for model in client.models.list()] and len(everything) >= 2
    before = client.models.list(before_id=everything[-1], limit=1000)
    assert [model.id for model in before.data] == everything[:-1] and not before.has_more
    assert client.models.list(lifecycle=["retired"]).data == []
    with pytest.raises(anthropic.BadRequestError, match="limit"):
        client.models.list(limit=1001)
    with pytest.raises(anthropic.NotFoundError):
        client.models.list(after_id="nobody")


def test_an_unknown_model_is_not_found(client):
    for ask in (lambda: client.messages.create(**{**ASK, "model": "claude-unheard-of"}), lambda: client.models.retrieve("claude-unheard-of")):
        with pytest.raises(anthropic.NotFoundError) as caught:
            ask()
        assert caught.value.type == "not_found_error" and "claude-unheard-of" in caught.value.api_message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"messages": []}, "messages: at least one message is required"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages.0.role: "),
        ({"max_tokens": -1}, "max_tokens: Input should be greater than or equal to 0"),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, "thinking.budget_tokens: "),
        ({"tools": [{"name": "a b", "input_schema": {"type": "object"}}]}, "tools.0.name: "),
        ({"tool_choice": {"type": "any"}}, "tool_choice: "),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text: Field required"),
        ({"messages": [{"role": "user", "content": "word " * 6000}]}, "prompt is too long: "),
    ],
)
def test_a_bad_field_is_named(client, change, message):
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.create(**{**ASK, **change})
    assert caught.value.type == "invalid_request_error"
    assert caught.value.api_message.startswith(message)
    assert caught.value.request_id == caught.value.body["request_id"]


@pytest.mark.parametrize("field", [{"temperature": 1.0}, {"top_p": 1.0}, {"top_k": 1}])
def test_sampling_is_for_the_older_generation(vendors, field):
    options = {"base_url": vendors["api"], "api_key": "k", "max_retries": 0}
    with anthropic.Anthropic(**options, default_headers=OLDER) as older, anthropic.Anthropic(**options) as newer:
        assert older.messages.create(**ASK, extra_body=field).content
        with pytest.raises(anthropic.BadRequestError) as caught:
            newer.messages.create(**ASK, extra_body=field)
    assert caught.value.api_message.startswith(next(iter(field)))


def test_a_version_that_nobody_knows_is_refused(vendors):
    with anthropic.Anthropic(base_url=vendors["api"], api_key="k", default_headers={"anthropic-version": "2020-01-01"}) as client:
        with pytest.raises(anthropic.BadRequestError) as caught:
            client.messages.create(**ASK)
    assert "not a valid version" in caught.value.api_message


def test_the_async_client_streams(vendors):
    async def run():
        async with anthropic.AsyncAnthropic(base_url=vendors["api"], api_key="k") as client:

            async def one(number):
                messages = [{"role": "user", "content": f"Number {number % 4}"}]
                async with client.messages.stream(model="plain", max_tokens=100, messages=messages) as stream:
                    return "".join([text async for text in stream.text_stream])

            return await asyncio.gather(*(one(number) for number in range(32)))

    assert len(set(asyncio.run(run()))) == 4
