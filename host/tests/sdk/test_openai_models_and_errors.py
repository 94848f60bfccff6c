"""Models, and every exception that the SDK raises, with exact retry counts."""

import asyncio

import openai
import pytest

HELLO = [{"role": "user", "content": "Hello"}]


def test_models_are_listed(client):
    models = {model.id: model for model in client.models.list()}
    assert {"plain", "support", "vendor/plain-with-slash"} <= set(models)
    assert models["plain"].object == "model"
    assert models["plain"].owned_by == "simwright"


@pytest.mark.parametrize("name", ["plain", "vendor/plain-with-slash"])
def test_a_model_is_retrieved(client, name):
    assert client.models.retrieve(name).id == name


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-unheard-of", messages=HELLO)
    assert caught.value.code == "model_not_found"
    assert "gpt-unheard-of" in caught.value.message
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-unheard-of")


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("fails-401", openai.AuthenticationError),
        ("fails-403", openai.PermissionDeniedError),
        ("fails-429", openai.RateLimitError),
        ("fails-500", openai.InternalServerError),
        ("fails-503", openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_status_is_its_exception(client, model, error, stream):
    with pytest.raises(error) as caught:
        client.chat.completions.create(model=model, messages=HELLO, stream=stream)
    assert str(caught.value.status_code) == model[-3:]
    assert set(caught.value.response.json()["error"]) == {"message", "type", "param", "code"}
    assert caught.value.request_id.startswith("req_")


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
        ({"temperature": 9}, "temperature"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"top_p": -1}, "top_p"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
    ],
)
def test_a_bad_field_is_named(client, change, param):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**{"model": "plain", "messages": HELLO, **change})
    assert caught.value.type == "invalid_request_error"
    assert caught.value.param == param


def test_a_prompt_longer_than_the_window_is_refused(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="plain", messages=[{"role": "user", "content": "word " * 6000}])
    assert caught.value.code == "context_length_exceeded"


def test_retries_happen_exactly_as_often_as_the_client_says(server, metrics):
    before = metrics("simwright_faults_total", model="fails-429")
    with openai.OpenAI(base_url=server["api"] + "/v1", api_key="sk-test", max_retries=2) as client:
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model="fails-429", messages=HELLO)
    assert metrics("simwright_faults_total", model="fails-429") - before == 3
    assert caught.value.response.headers["retry-after-ms"] == "20"
    assert caught.value.response.headers["retry-after"] == "1"


def test_attempts_draw_their_own_luck(server):
    """At a rate of one half, six attempts are enough for nearly everybody: 40 requests, each its own text."""
    with openai.OpenAI(base_url=server["api"] + "/v1", api_key="sk-test", max_retries=0) as client:
        failures = 0
        for number in range(200):
            try:
                client.chat.completions.create(model="fails-half", messages=[{"role": "user", "content": f"Number {number}"}])
            except openai.InternalServerError:
                failures += 1
    # 200 draws at one half: within five standard deviations, the same every time because the scenario fixes the seed.
    assert 65 <= failures <= 135


def test_the_async_client_streams(server):
    async def run():
        async with openai.AsyncOpenAI(base_url=server["api"] + "/v1", api_key="sk-test") as client:

            async def one(number):
                messages = [{"role": "user", "content": f"Number {number % 4}"}]
                stream = await client.chat.completions.create(model="slow", messages=messages, stream=True)
                return number % 4, "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

            return await asyncio.gather(*(one(number) for number in range(64)))

    texts = asyncio.run(run())
    assert len(set(texts)) == 4


def test_a_persona_from_a_plugin_calls_tools_and_answers(client):
    order = {"type": "function", "function": {"name": "lookup_order", "parameters": {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]}}}
    messages = [{"role": "user", "content": "Where is my order?"}]
    first = client.chat.completions.create(model="support", messages=messages, tools=[order])
    assert first.choices[0].finish_reason == "tool_calls"
    call = first.choices[0].message.tool_calls[0]
    messages += [first.choices[0].message.to_dict(), {"role": "tool", "tool_call_id": call.id, "content": '{"status":"shipped"}'}]
    second = client.chat.completions.create(model="support", messages=messages, tools=[order])
    assert second.choices[0].finish_reason == "stop"
    assert second.choices[0].message.content


def test_all_three_behaviours_come_from_plugins(client, metrics):
    reply = client.chat.completions.create(model="plugins", messages=HELLO)
    assert reply.choices[0].message.content
    for plugin in ("brown-out", "retry-storm", "support-desk"):
        assert metrics("simwright_plugin_calls_total", plugin=plugin) >= 1
