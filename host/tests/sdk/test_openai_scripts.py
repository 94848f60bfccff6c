"""A scripted request fails as often as its script says, and the SDK's own retries get past it."""

import openai
import pytest

HELLO = [{"role": "user", "content": "Hello"}]
NAME = "simwright_requests_total"


def test_two_retries_get_past_a_script_that_fails_twice(client, metrics):
    answered = metrics(NAME, model="fails-twice", status="200")
    refused = metrics(NAME, model="fails-twice", status="429")
    faults = metrics("simwright_faults_total", model="fails-twice", kind="cut-reset")
    for _ in range(2):
        # The same request again meets the same script: the SDK says which attempt it is.
        reply = client.with_options(max_retries=2).chat.completions.create(model="fails-twice", messages=HELLO)
        assert reply.choices[0].message.content
    assert metrics(NAME, model="fails-twice", status="200") == answered + 2
    assert metrics(NAME, model="fails-twice", status="429") == refused + 2
    assert metrics("simwright_faults_total", model="fails-twice", kind="cut-reset") == faults + 2


def test_one_retry_ends_at_the_second_step(client):
    with pytest.raises(openai.APIConnectionError):
        client.with_options(max_retries=1).chat.completions.create(model="fails-twice", messages=HELLO)


def test_a_stream_gets_past_a_script_too(client):
    stream = client.with_options(max_retries=2).chat.completions.create(model="fails-twice", messages=HELLO, stream=True)
    assert len([chunk for chunk in stream if chunk.choices and chunk.choices[0].delta.content]) > 1
