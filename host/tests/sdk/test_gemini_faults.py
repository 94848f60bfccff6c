"""Every fault as the official Google SDK meets it: its exception, what had come by then, and how often it tried."""

import json

import httpx2
import pydantic
import pytest
from google import genai
from google.genai import errors, types

from conftest import FOUR, WORDS, Trip, meeting, sample

# The SDK retries only for who asks; without a delay of its own, nobody waits here.
ATTEMPTS = 3
RETRIES = types.HttpRetryOptions(attempts=ATTEMPTS, initial_delay=0.001, max_delay=0.002, jitter=0)


def client_of(server, **options):
    return genai.Client(api_key="k", http_options=types.HttpOptions(base_url=server["api"], **options))


@pytest.fixture
def meet(vendors, struck):
    def read(model, stream, **options):
        with client_of(vendors, **options) as client:
            ask = {"model": model, "contents": "Hello"}
            if not stream:
                yield client.models.generate_content(**ask).text
            for chunk in client.models.generate_content_stream(**ask) if stream else []:
                yield chunk.text

    return meeting(struck, read)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "status", "retried"),
    [
        ("status-400", "INVALID_ARGUMENT", False),
        ("status-401", "UNAUTHENTICATED", False),
        ("status-403", "PERMISSION_DENIED", False),
        ("status-404", "NOT_FOUND", False),
        ("status-408", "DEADLINE_EXCEEDED", True),
        ("status-409", "ABORTED", False),
        ("status-422", "INVALID_ARGUMENT", False),
        ("status-429", "RESOURCE_EXHAUSTED", True),
        ("status-500", "INTERNAL", True),
        ("status-502", "UNAVAILABLE", True),
        ("status-503", "UNAVAILABLE", True),
        ("status-504", "DEADLINE_EXCEEDED", True),
        ("slow-down", "RESOURCE_EXHAUSTED", True),
        # The SDK looks at the status alone.
        ("quota", "RESOURCE_EXHAUSTED", True),
        ("context-length", "INVALID_ARGUMENT", False),
    ],
)
def test_a_refusal_is_its_exception_and_is_retried_for_who_asks(meet, model, status, retried, stream):
    for options, attempts in (({}, 1), ({"retry_options": RETRIES}, ATTEMPTS if retried else 1)):
        came, raised, struck = meet(model, stream, **options)
        wanted = errors.ClientError if raised.code < 500 else errors.ServerError
        assert (came, type(raised), raised.status, struck) == ("", wanted, status, attempts)
        if model.startswith("status-"):
            assert raised.code == int(model[-3:])
        assert raised.details["error"]["code"] == raised.code


def test_an_exception_tells_when_to_come_back_in_its_details(meet):
    [detail] = meet("in-seconds", False)[1].details["error"]["details"]
    assert detail == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.900s"}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("status-503", "overloaded"),
        ("status-429", "Resource has been exhausted"),
        ("quota", "exceeded your current quota"),
        ("context-length", "exceeds the maximum number of tokens allowed (8)"),
    ],
)
def test_an_exception_has_the_vendors_words(meet, model, message):
    assert message in meet(model, False)[1].message


def test_attempts_without_a_mark_are_known_by_their_repetition(vendors):
    """This SDK does not say which attempt it makes: the same request once more is the next one."""
    seen = lambda status: sample(vendors["admin"], "simwright_requests_total", model="twice-refused", status=status)
    before = [seen(status) for status in ("429", "503", "200")]
    with client_of(vendors, retry_options=RETRIES) as client:
        assert client.models.generate_content(model="twice-refused", contents="Only here").text == WORDS
    assert [seen(status) for status in ("429", "503", "200")] == [count + 1 for count in before]


@pytest.mark.parametrize(
    ("model", "stream", "error", "came", "attempts"),
    [
        ("reset", False, httpx2.TransportError, "", 1),
        ("reset", True, httpx2.TransportError, "", 1),
        ("cut-reset", False, httpx2.TransportError, "", 1),
        ("cut-close", False, httpx2.TransportError, "", 1),
        ("cut-reset", True, httpx2.TransportError, FOUR, 1),
        ("cut-close", True, httpx2.TransportError, FOUR, 1),
        ("cut-end", False, json.JSONDecodeError, "", 1),
        # An early end in order is an end: the application has to notice.
        ("cut-end", True, None, FOUR, 1),
        ("error-event", False, errors.ServerError, "", 1),
        ("error-event", True, errors.ServerError, FOUR, 1),
        ("malformed-chunk", False, json.JSONDecodeError, "", 1),
        ("malformed-chunk", True, errors.UnknownApiResponseError, FOUR, 1),
        ("truncated-json", False, json.JSONDecodeError, "", 1),
        # What is left at the end is read even without its blank line.
        ("truncated-json", True, errors.UnknownApiResponseError, FOUR, 1),
        # A character that is split is replaced without a word.
        ("split-utf8", False, None, "one two three four\ufffd five six seven eight nine ten", 1),
        ("split-utf8", True, None, WORDS.replace("five", "five\ufffd\ufffd"), 1),
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
    assert (found, struck) == (came, attempts), repr(raised)
    assert raised is None if error is None else isinstance(raised, error), repr(raised)


def test_an_empty_body_is_an_empty_response(meet):
    assert meet("empty-body", False) == ("", None, 1)


@pytest.mark.parametrize(("model", "stream", "came"), [("hang", False, ""), ("hang", True, ""), ("stall", False, ""), ("stall", True, FOUR)])
def test_silence_runs_into_the_clients_own_time_limit(meet, model, stream, came):
    # In milliseconds.
    found, raised, struck = meet(model, stream, timeout=500)
    assert (found, struck) == (came, 1) and isinstance(raised, httpx2.TimeoutException), repr(raised)


def test_an_error_inside_a_stream_has_the_servers_words(meet):
    _, raised, _ = meet("error-event", True)
    assert (raised.code, raised.status, raised.message) == (503, "UNAVAILABLE", "Lost")


@pytest.mark.parametrize(("model", "reason", "text", "tokens"), [("length", "MAX_TOKENS", FOUR, 4), ("content-filter", "SAFETY", FOUR, 4), ("refusal", "SAFETY", "No.", 2)])
@pytest.mark.parametrize("stream", [False, True])
def test_an_early_finish_has_its_reason_and_counts_what_came(vendors, model, reason, text, tokens, stream):
    with client_of(vendors) as client:
        ask = client.models.generate_content_stream if stream else client.models.generate_content
        answer = ask(model=model, contents="Hello")
        responses = list(answer) if stream else [answer]
    parts = [part for response in responses for part in response.candidates[0].content.parts]
    assert "".join(part.text for part in parts) == text
    last = responses[-1]
    assert (last.candidates[0].finish_reason.value, last.usage_metadata.candidates_token_count) == (reason, tokens)


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_is_blocked_has_feedback_and_no_candidate(vendors, stream):
    with client_of(vendors) as client:
        ask = client.models.generate_content_stream if stream else client.models.generate_content
        answer = ask(model="blocked", contents="Hello")
        [response] = list(answer) if stream else [answer]
    assert response.candidates is None and response.prompt_feedback.block_reason == types.BlockedReason.SAFETY
    assert response.usage_metadata.prompt_token_count == response.usage_metadata.total_token_count > 0


def test_structured_output_that_breaks_its_schema_fails_validation(vendors, struck):
    before = struck("schema-violation")
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Trip)
    with client_of(vendors) as client:
        for number in range(5):
            text = client.models.generate_content(model="schema-violation", contents=f"Number {number}", config=config).text
            with pytest.raises(pydantic.ValidationError):
                Trip.model_validate_json(text)
    assert struck("schema-violation") - before == 5


def test_wrong_counts_are_not_those_of_the_same_request_without_the_fault(vendors):
    with client_of(vendors) as client:
        usage = lambda model: client.models.generate_content(model=model, contents="Hello").usage_metadata
        true, wrong = usage("none"), usage("wrong-usage")
    assert (true.prompt_token_count, true.candidates_token_count) != (wrong.prompt_token_count, wrong.candidates_token_count)
