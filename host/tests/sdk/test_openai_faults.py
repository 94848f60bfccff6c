"""Every fault as the official SDK meets it: the exception it raises, what the application had received by then, and how often it tried."""

import json
import time

import openai
import pydantic
import pytest

from conftest import FOUR, WORDS, Trip, meeting, strikes

HELLO = [{"role": "user", "content": "Hello"}]
# The SDK's default is two retries; a time limit that no fault but `hang` and `stall` exceeds on a busy machine.
ATTEMPTS = 3


@pytest.fixture
def client(faulty):
    with openai.OpenAI(base_url=faulty["api"] + "/v1", api_key="sk-test") as client:
        yield client


@pytest.fixture
def struck(faulty):
    return strikes(faulty)


@pytest.fixture
def meet(client, struck):
    # `options` may hold a time limit.
    def read(model, stream, **options):
        reply = client.with_options(**options).chat.completions.create(model=model, messages=HELLO, stream=stream)
        if not stream:
            yield reply.choices[0].message.content
        for chunk in reply if stream else []:
            yield from (choice.delta.content for choice in chunk.choices)

    return meeting(struck, read)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "error", "attempts"),
    [
        ("status-400", openai.BadRequestError, 1),
        ("status-401", openai.AuthenticationError, 1),
        ("status-403", openai.PermissionDeniedError, 1),
        ("status-404", openai.NotFoundError, 1),
        ("status-408", openai.APIStatusError, ATTEMPTS),
        ("status-409", openai.ConflictError, ATTEMPTS),
        ("status-422", openai.UnprocessableEntityError, 1),
        ("status-429", openai.RateLimitError, ATTEMPTS),
        ("status-500", openai.InternalServerError, ATTEMPTS),
        ("status-502", openai.InternalServerError, ATTEMPTS),
        ("status-503", openai.InternalServerError, ATTEMPTS),
        ("status-504", openai.InternalServerError, ATTEMPTS),
        ("status-529", openai.InternalServerError, ATTEMPTS),
        ("slow-down", openai.RateLimitError, ATTEMPTS),
        # `x-should-retry` goes before the status.
        ("quota", openai.RateLimitError, 1),
        ("come-again", openai.BadRequestError, ATTEMPTS),
        # More than two minutes are not waited for: no retry at all.
        ("much-later", openai.RateLimitError, 1),
        ("context-length", openai.BadRequestError, 1),
    ],
)
def test_a_refusal_is_its_exception_and_is_retried_as_the_sdk_promises(meet, model, error, attempts, stream):
    came, raised, struck = meet(model, stream)
    assert (came, type(raised), struck) == ("", error, attempts)
    assert set(raised.response.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("model", "kind", "code", "param"),
    [
        ("status-429", "requests", "rate_limit_exceeded", None),
        ("slow-down", "rate_limit_error", "slow_down", None),
        ("quota", "insufficient_quota", "credit_balance_exhausted", None),
        ("status-503", "service_unavailable_error", "server_is_overloaded", None),
        ("context-length", "invalid_request_error", "context_length_exceeded", "messages"),
    ],
)
def test_an_exception_tells_type_code_and_param(meet, model, kind, code, param):
    _, raised, _ = meet(model, False)
    assert (raised.type, raised.code, raised.param) == (kind, code, param)


@pytest.mark.parametrize(("model", "seconds"), [("in-milliseconds", 0.7), ("in-seconds", 1.0), ("by-date", 1.5)])
def test_the_time_to_come_back_is_kept_in_every_form(client, struck, model, seconds):
    before, start = struck(model), time.monotonic()
    with pytest.raises(openai.RateLimitError):
        client.with_options(max_retries=1).chat.completions.create(model=model, messages=HELLO)
    # Never early; how late says something about the machine only. A hundredth for clocks that disagree.
    assert time.monotonic() - start >= seconds - 0.01
    assert struck(model) - before == 2


@pytest.mark.parametrize(
    ("model", "stream", "error", "came", "attempts"),
    [
        ("reset", False, openai.APIConnectionError, "", ATTEMPTS),
        ("reset", True, openai.APIConnectionError, "", ATTEMPTS),
        # A body that breaks off is retried as long as the application has seen nothing of it.
        ("cut-reset", False, openai.APIConnectionError, "", ATTEMPTS),
        ("cut-close", False, openai.APIConnectionError, "", ATTEMPTS),
        ("cut-reset", True, openai.APIConnectionError, FOUR, 1),
        ("cut-close", True, openai.APIConnectionError, FOUR, 1),
        # An early end in order is an end: the application has to notice.
        ("cut-end", False, json.JSONDecodeError, "", 1),
        ("cut-end", True, None, FOUR, 1),
        ("error-event", False, openai.InternalServerError, "", ATTEMPTS),
        ("error-event", True, openai.APIError, FOUR, 1),
        ("malformed-chunk", False, json.JSONDecodeError, "", 1),
        ("malformed-chunk", True, json.JSONDecodeError, FOUR, 1),
        ("truncated-json", False, json.JSONDecodeError, "", 1),
        # An event without its blank line is no event: it is lost without a word.
        ("truncated-json", True, None, FOUR, 1),
        ("split-utf8", False, UnicodeDecodeError, "", 1),
        ("split-utf8", True, UnicodeDecodeError, FOUR, 1),
        ("empty-body", False, json.JSONDecodeError, "", 1),
        ("empty-body", True, None, "", 1),
        # What the SDK does not notice.
        ("duplicate-chunk", True, None, WORDS.replace("five", "five five"), 1),
        ("swap-chunks", True, None, WORDS.replace("five six", "six five"), 1),
        ("missing-end", True, None, WORDS, 1),
        ("wrong-content-type", False, None, WORDS, 1),
        ("wrong-content-type", True, None, WORDS, 1),
        ("drip", False, None, WORDS, 1),
        ("drip", True, None, WORDS, 1),
        ("none", False, None, WORDS, 0),
        ("none", True, None, WORDS, 0),
    ],
)
def test_a_broken_reply_is_its_exception_after_what_came_before(meet, model, stream, error, came, attempts):
    found, raised, struck = meet(model, stream)
    assert (found, type(raised) if raised else None, struck) == (came, error, attempts)


@pytest.mark.parametrize(
    ("model", "stream", "came", "attempts"),
    [("hang", False, "", ATTEMPTS), ("hang", True, "", ATTEMPTS), ("stall", False, "", ATTEMPTS), ("stall", True, FOUR, 1)],
)
def test_silence_runs_into_the_clients_own_time_limit(meet, model, stream, came, attempts):
    found, raised, struck = meet(model, stream, timeout=0.5)
    assert (found, type(raised), struck) == (came, openai.APITimeoutError, attempts)


def test_an_error_event_has_the_servers_words(meet):
    _, raised, _ = meet("error-event", True)
    assert raised.message == "Lost"


@pytest.mark.parametrize(("model", "reason"), [("length", "length"), ("content-filter", "content_filter"), ("refusal", "stop")])
@pytest.mark.parametrize("stream", [False, True])
def test_an_early_finish_has_its_reason_and_counts_what_came(client, model, reason, stream):
    options = {"stream_options": {"include_usage": True}} if stream else {}
    reply = client.chat.completions.create(model=model, messages=HELLO, stream=stream, **options)
    if stream:
        content = refusal = ""
        for chunk in reply:
            for choice in chunk.choices:
                content += choice.delta.content or ""
                refusal += choice.delta.refusal or ""
                finish = choice.finish_reason or None
            usage = chunk.usage
    else:
        choice, usage = reply.choices[0], reply.usage
        content, refusal, finish = choice.message.content or "", choice.message.refusal or "", choice.finish_reason
    wanted = ("", "No.", 2) if model == "refusal" else (FOUR, "", 4)
    assert (content, refusal, finish, usage.completion_tokens) == (wanted[0], wanted[1], reason, wanted[2])


@pytest.mark.parametrize(
    ("model", "error"), [("length", openai.LengthFinishReasonError), ("content-filter", openai.ContentFilterFinishReasonError)]
)
def test_parsing_a_reply_that_finished_early_has_an_exception_of_its_own(client, model, error):
    with pytest.raises(error):
        client.chat.completions.parse(model=model, messages=HELLO, response_format=Trip)


def test_a_refusal_parses_to_nothing_with_the_models_words(client):
    message = client.chat.completions.parse(model="refusal", messages=HELLO, response_format=Trip).choices[0].message
    assert (message.parsed, message.refusal) == (None, "No.")


def test_structured_output_that_breaks_its_schema_fails_validation(client, struck):
    for number in range(10):
        messages = [{"role": "user", "content": f"Number {number}"}]
        with pytest.raises(pydantic.ValidationError) as caught:
            client.chat.completions.parse(model="schema-violation", messages=messages, response_format=Trip)
        # JSON it is; what is wrong is a missing, mistyped or unknown member.
        assert {error["type"] for error in caught.value.errors()} <= {"missing", "int_parsing", "int_type", "string_type", "extra_forbidden"}
    assert struck("schema-violation") == 10


def test_tool_arguments_are_no_json_mistyped_or_incomplete(client):
    tool = {"type": "function", "function": {"name": "plan_trip", "parameters": Trip.model_json_schema()}}
    found = set()
    for number in range(30):
        messages = [{"role": "user", "content": f"Number {number}"}]
        reply = client.chat.completions.create(model="bad-tool-arguments", messages=messages, tools=[tool], tool_choice="required")
        assert reply.choices[0].finish_reason == "tool_calls"
        with pytest.raises(pydantic.ValidationError) as caught:
            Trip.model_validate_json(reply.choices[0].message.tool_calls[0].function.arguments)
        found |= {error["type"] for error in caught.value.errors()}
    assert {"json_invalid", "missing"} < found and found & {"int_parsing", "int_type", "string_type"}, found


def test_wrong_counts_are_not_those_of_the_same_request_without_the_fault(client):
    options = {"stream": True, "stream_options": {"include_usage": True}}
    last = lambda model: [chunk for chunk in client.chat.completions.create(model=model, messages=HELLO, **options)][-1].usage
    true, wrong = last("none"), last("wrong-usage")
    assert (true.prompt_tokens, true.completion_tokens) != (wrong.prompt_tokens, wrong.completion_tokens)
    assert wrong.total_tokens == wrong.prompt_tokens + wrong.completion_tokens
