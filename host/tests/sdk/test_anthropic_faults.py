"""Every fault as the official Anthropic SDK meets it: its exception, what had come by then, and how often it tried."""

import json
import time

import anthropic
import httpx2
import pydantic
import pytest

from conftest import FOUR, WORDS, Trip, meeting, sample

HELLO = [{"role": "user", "content": "Hello"}]
# The SDK's default is two retries.
ATTEMPTS = 3


@pytest.fixture
def client(vendors):
    with anthropic.Anthropic(base_url=vendors["api"], api_key="k") as client:
        yield client


@pytest.fixture
def meet(client, struck):
    def read(model, stream, **options):
        reply = client.with_options(**options).messages.create(model=model, max_tokens=100, messages=HELLO, stream=stream)
        if not stream:
            yield from (block.text for block in reply.content)
        for event in reply if stream else []:
            if event.type == "content_block_delta":
                yield event.delta.text

    return meeting(struck, read)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "error", "kind", "attempts"),
    [
        ("status-400", anthropic.BadRequestError, "invalid_request_error", 1),
        ("status-401", anthropic.AuthenticationError, "authentication_error", 1),
        ("status-402", anthropic.PaymentRequiredError, "billing_error", 1),
        ("status-403", anthropic.PermissionDeniedError, "permission_error", 1),
        ("status-404", anthropic.NotFoundError, "not_found_error", 1),
        ("status-408", anthropic.RequestTimeoutError, "invalid_request_error", ATTEMPTS),
        ("status-409", anthropic.ConflictError, "conflict_error", ATTEMPTS),
        ("status-413", anthropic.ContentTooLargeError, "request_too_large", 1),
        ("status-422", anthropic.UnprocessableEntityError, "invalid_request_error", 1),
        ("status-429", anthropic.RateLimitError, "rate_limit_error", ATTEMPTS),
        ("status-500", anthropic.InternalServerError, "api_error", ATTEMPTS),
        ("status-502", anthropic.InternalServerError, "api_error", ATTEMPTS),
        ("status-503", anthropic.ServiceUnavailableError, "overloaded_error", ATTEMPTS),
        ("status-504", anthropic.GatewayTimeoutError, "timeout_error", ATTEMPTS),
        ("status-529", anthropic.OverloadedError, "overloaded_error", ATTEMPTS),
        ("slow-down", anthropic.RateLimitError, "rate_limit_error", ATTEMPTS),
        # `x-should-retry` goes before the status.
        ("quota", anthropic.RateLimitError, "rate_limit_error", 1),
        ("context-length", anthropic.BadRequestError, "invalid_request_error", 1),
    ],
)
def test_a_refusal_is_its_exception_and_is_retried_as_the_sdk_promises(meet, model, error, kind, attempts, stream):
    came, raised, struck = meet(model, stream)
    # Of a code that the SDK knows it makes a subclass.
    assert isinstance(raised, error), raised
    assert (came, raised.type, struck) == ("", kind, attempts)
    assert raised.request_id.startswith("req_01") and raised.request_id == raised.body["request_id"]


@pytest.mark.parametrize(
    ("model", "code", "message"),
    [
        ("slow-down", "ramp_limit_exceeded", "increasing too quickly"),
        ("quota", "enforced_spend_limit_reached", "usage limits"),
        ("status-529", None, "Overloaded"),
        ("status-401", None, "invalid x-api-key"),
        ("context-length", None, "prompt is too long: "),
    ],
)
def test_an_exception_tells_the_vendors_code_and_words(meet, model, code, message):
    _, raised, _ = meet(model, False)
    assert raised.error_code == code and message in raised.api_message


def test_attempts_are_known_by_the_sdks_own_mark(client, vendors):
    """A script of two failures is behind after two retries, as often as the same is asked."""
    refused = lambda: sample(vendors["admin"], "simwright_requests_total", model="twice-busy", status="429")
    before = refused()
    for _ in range(2):
        assert client.messages.create(model="twice-busy", max_tokens=100, messages=HELLO).content[0].text == WORDS
    assert refused() == before + 2
    with pytest.raises(anthropic.APIConnectionError):
        client.with_options(max_retries=1).messages.create(model="twice-busy", max_tokens=100, messages=HELLO)


@pytest.mark.parametrize(("model", "seconds"), [("in-seconds", 1.0), ("by-date", 1.5)])
def test_the_time_to_come_back_is_kept(client, struck, model, seconds):
    before, start = struck(model), time.monotonic()
    with pytest.raises(anthropic.RateLimitError):
        client.with_options(max_retries=1).messages.create(model=model, max_tokens=100, messages=HELLO)
    # Never early; how late says something about the machine only. A hundredth for clocks that disagree.
    assert time.monotonic() - start >= seconds - 0.01
    assert struck(model) - before == 2


@pytest.mark.parametrize(
    ("model", "stream", "error", "came", "attempts"),
    [
        ("reset", False, anthropic.APIConnectionError, "", ATTEMPTS),
        ("reset", True, anthropic.APIConnectionError, "", ATTEMPTS),
        # A body that breaks off is retried as long as the application has seen nothing of it.
        ("cut-reset", False, anthropic.APIConnectionError, "", ATTEMPTS),
        ("cut-close", False, anthropic.APIConnectionError, "", ATTEMPTS),
        # Inside a stream the transport's own exception comes through.
        ("cut-reset", True, httpx2.TransportError, FOUR, 1),
        ("cut-close", True, httpx2.TransportError, FOUR, 1),
        # An early end in order is an end: the application has to notice.
        ("cut-end", False, json.JSONDecodeError, "", 1),
        ("cut-end", True, None, FOUR, 1),
        ("error-event", False, anthropic.InternalServerError, "", ATTEMPTS),
        ("error-event", True, anthropic.APIStatusError, FOUR, 1),
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
        ("wrong-content-type", True, None, WORDS, 1),
        ("drip", False, None, WORDS, 1),
        ("drip", True, None, WORDS, 1),
        ("none", False, None, WORDS, 0),
        ("none", True, None, WORDS, 0),
    ],
)
def test_a_broken_reply_is_its_exception_after_what_came_before(meet, model, stream, error, came, attempts):
    found, raised, struck = meet(model, stream)
    assert (found, struck) == (came, attempts), raised
    assert raised is None if error is None else isinstance(raised, error), repr(raised)


@pytest.mark.parametrize(
    ("model", "stream", "came", "attempts"), [("hang", False, "", ATTEMPTS), ("hang", True, "", ATTEMPTS), ("stall", False, "", ATTEMPTS)]
)
def test_silence_runs_into_the_clients_own_time_limit(meet, model, stream, came, attempts):
    found, raised, struck = meet(model, stream, timeout=0.5)
    assert (found, type(raised), struck) == (came, anthropic.APITimeoutError, attempts)


def test_silence_inside_a_stream_is_the_transports_time_limit(meet):
    found, raised, struck = meet("stall", True, timeout=0.5)
    assert (found, struck) == (FOUR, 1) and isinstance(raised, (httpx2.TimeoutException, anthropic.APITimeoutError)), repr(raised)


def test_an_error_event_has_the_servers_words_and_a_status_of_200(meet):
    _, raised, _ = meet("error-event", True)
    assert (raised.api_message, raised.type, raised.status_code) == ("Lost", "overloaded_error", 200)


@pytest.mark.parametrize(
    ("model", "reason", "text", "tokens"),
    [
        ("length", "max_tokens", FOUR, 4),
        ("content-filter", "refusal", FOUR, 4),
        ("blocked", "refusal", "", 0),
        ("refusal", "refusal", "No.", 2),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_early_finish_has_its_reason_and_counts_what_came(client, model, reason, text, tokens, stream):
    ask = {"model": model, "max_tokens": 100, "messages": HELLO}
    if stream:
        with client.messages.stream(**ask) as opened:
            message = opened.get_final_message()
    else:
        message = client.messages.create(**ask)
    assert "".join(block.text for block in message.content) == text
    assert (message.stop_reason, message.usage.output_tokens) == (reason, tokens)
    assert (message.stop_details is not None) == (reason == "refusal")


def test_structured_output_that_breaks_its_schema_fails_validation(client, struck):
    before = struck("schema-violation")
    for number in range(5):
        messages = [{"role": "user", "content": f"Number {number}"}]
        with pytest.raises(pydantic.ValidationError):
            client.messages.parse(model="schema-violation", max_tokens=500, messages=messages, output_format=Trip)
    assert struck("schema-violation") - before == 5


def test_a_tools_input_is_mistyped_or_incomplete(client):
    tool = {"name": "plan_trip", "input_schema": Trip.model_json_schema()}
    for number in range(10):
        messages = [{"role": "user", "content": f"Number {number}"}]
        ask = {"model": "bad-tool-arguments", "max_tokens": 500, "messages": messages}
        message = client.messages.create(**ask, tools=[tool], tool_choice={"type": "any"})
        with pytest.raises(pydantic.ValidationError):
            Trip.model_validate(message.content[0].input)


def test_wrong_counts_are_not_those_of_the_same_request_without_the_fault(client):
    usage = lambda model: client.messages.create(model=model, max_tokens=100, messages=HELLO).usage
    true, wrong = usage("none"), usage("wrong-usage")
    assert (true.input_tokens, true.output_tokens) != (wrong.input_tokens, wrong.output_tokens)
