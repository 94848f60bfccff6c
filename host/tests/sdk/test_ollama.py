"""The official Ollama SDK, streamed and not: every field that applications read."""

import base64
import json

import httpx
import ollama
import openai
import pydantic
import pytest

from conftest import HERE, start

HELLO = [{"role": "user", "content": "Say hello to the whole crew, please."}]


class City(pydantic.BaseModel):
    name: str
    population: int


def get_weather(city: str, days: int) -> str:
    """
    The weather in a city.

    Args:
      city: where
      days: how many

    Returns:
      str: the weather
    """
    return f"{city} {days}"


@pytest.fixture(scope="module")
def server():
    process, addresses = start(str(HERE / "ollama.yaml"))
    yield addresses
    process.terminate()
    assert process.wait(timeout=40) == 0


@pytest.fixture
def client(server):
    return ollama.Client(host=server["api"])


@pytest.fixture
def broken(faulty):
    return ollama.Client(host=faulty["api"])


def test_a_whole_chat_has_everything(client):
    reply = client.chat("plain", messages=HELLO)
    assert reply.model == "plain"
    assert reply.done is True
    assert reply.done_reason == "stop"
    assert reply.message.role == "assistant"
    assert reply.message.content
    assert reply.eval_count == 24
    assert reply.prompt_eval_count > 5
    # The first token is planned after 5 ms and 23 others with 1 ms between.
    assert reply.total_duration == 28_000_000
    assert reply.load_duration + reply.prompt_eval_duration == 5_000_000
    assert reply.eval_duration == 23_000_000
    assert reply.created_at.endswith("Z")


def test_a_stream_is_the_whole_in_pieces(client):
    whole = client.chat("plain", messages=HELLO).message.content
    parts = list(client.chat("plain", messages=HELLO, stream=True))
    assert [part.done for part in parts] == [False] * 24 + [True]
    assert "".join(part.message.content for part in parts) == whole
    assert parts[-1].done_reason == "stop"
    assert parts[-1].eval_count == 24
    assert parts[0].eval_count is None
    times = [part.created_at for part in parts]
    assert times == sorted(times) and len(set(times)) == 24


def test_generate_whole_and_streamed(client):
    whole = client.generate("plain", prompt="Once upon a time", system="Be brief", options={"seed": 1, "temperature": 0})
    assert whole.response and whole.done
    parts = list(client.generate("plain", prompt="Once upon a time", system="Be brief", stream=True))
    assert "".join(part.response for part in parts) == whole.response
    assert whole.eval_count == 24


def test_the_bound_on_tokens_ends_a_reply(client):
    reply = client.chat("plain", messages=HELLO, options={"num_predict": 5})
    assert reply.eval_count == 5
    assert reply.done_reason == "length"


def test_a_stop_text_ends_a_reply(client):
    reply = client.chat("fixed", messages=HELLO, options={"stop": ["five", " three"]})
    assert (reply.message.content, reply.done_reason) == ("one two", "stop")


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_that_a_script_calls_arrives(client, stream):
    reply = client.chat("calls-tool", messages=HELLO, tools=[get_weather], stream=stream)
    parts = list(reply) if stream else [reply]
    calls = [call for part in parts for call in part.message.tool_calls or []]
    assert [call.function.name for call in calls] == ["get_weather"]
    assert isinstance(calls[0].function.arguments["city"], str)
    assert isinstance(calls[0].function.arguments["days"], int)
    follow_up = HELLO + [
        {"role": "assistant", "content": "", "tool_calls": [calls[0].model_dump()]},
        {"role": "tool", "content": "sunny", "tool_name": "get_weather"},
    ]
    assert client.chat("plain", messages=follow_up, tools=[get_weather]).done


def test_structure_and_json(client):
    reply = client.chat("plain", messages=HELLO, format=City.model_json_schema())
    City.model_validate_json(reply.message.content)
    reply = client.chat("plain", messages=HELLO, format="json")
    assert isinstance(json.loads(reply.message.content), dict)


def test_images_count(client):
    image = base64.b64encode(b"not really an image").decode()
    plain = client.chat("plain", messages=HELLO)
    seen = client.chat("plain", messages=[{**HELLO[0], "images": [image]}])
    assert seen.prompt_eval_count == plain.prompt_eval_count + 576


def test_thoughts_come_apart(client):
    reply = client.chat("thinks", messages=HELLO, think=True)
    assert reply.message.thinking and reply.message.content
    parts = list(client.chat("thinks", messages=HELLO, think="high", stream=True))
    assert "".join(part.message.thinking or "" for part in parts) == reply.message.thinking


def test_probabilities(client):
    reply = client.chat("plain", messages=HELLO, logprobs=True, top_logprobs=2)
    assert len(reply.logprobs) == 24
    assert all(entry.logprob < 0 and len(entry.top_logprobs) == 2 for entry in reply.logprobs)


def test_models(client):
    listed = {model.model for model in client.list().models}
    assert {"plain:latest", "slow:latest"} <= listed
    shown = client.show("plain")
    assert shown.modelinfo["simwright.context_length"] == 4096
    assert "completion" in shown.capabilities
    assert {model.model for model in client.ps().models} == listed
    assert client.pull("plain").status == "success"
    assert [part.status for part in client.pull("plain", stream=True)] == ["success"]


def test_a_name_without_a_tag_is_the_latest(client):
    assert client.chat("plain:latest", messages=HELLO).message.content == client.chat("plain", messages=HELLO).message.content
    assert client.show("plain:latest").modelinfo == client.show("plain").modelinfo
    assert client.embed("plain:latest", input="a cat").embeddings == client.embed("plain", input="a cat").embeddings
    with pytest.raises(ollama.ResponseError) as caught:
        client.chat("plain:8b", messages=HELLO)
    assert caught.value.status_code == 404


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_goes_on_from_a_context(client, stream):
    def last(**more):
        reply = client.generate("plain", prompt="Once upon a time", stream=stream, **more)
        return list(reply)[-1] if stream else reply

    first = last()
    assert len(first.context) == first.prompt_eval_count + first.eval_count
    second = last(context=first.context)
    assert second.prompt_eval_count == first.prompt_eval_count + len(first.context)
    assert second.context[: len(first.context)] == first.context
    assert last(raw=True).context is None


def test_a_hole_in_a_text_is_filled(client):
    assert client.generate("plain", prompt="def f(x):", suffix="return y").response
    assert "insert" in client.show("plain").capabilities


@pytest.mark.parametrize("think", [True, "low", "medium", "high"])
def test_every_way_to_ask_for_thoughts(client, think):
    assert client.generate("thinks", prompt="Why?", think=think).thinking
    assert client.generate("thinks", prompt="Why?", think=False).thinking is None


def test_openais_client_is_served_for_the_key_that_the_vendor_names(server):
    with openai.OpenAI(base_url=server["api"] + "/v1/", api_key="ollama") as client:
        assert client.chat.completions.create(model="plain", messages=HELLO).choices[0].message.content
        assert "plain" in [model.id for model in client.models.list()]


def test_loading_takes_no_words(client):
    assert client.generate("plain").done_reason == "load"
    assert client.generate("plain", keep_alive=0).done_reason == "unload"
    assert client.chat("plain").done_reason == "load"


def test_embeddings(client):
    reply = client.embed("plain", input=["a cat", "a cat", "quarterly revenue"])
    [one, same, other] = reply.embeddings
    assert list(one) == list(same) and list(one) != list(other)
    assert abs(sum(value * value for value in one) - 1) < 1e-3
    assert len(client.embed("plain", input="a cat", dimensions=64).embeddings[0]) == 64
    assert list(client.embeddings("plain", prompt="a cat").embedding)


def test_an_unknown_model_is_a_404(client):
    for ask in [
        lambda: client.chat("nope", messages=HELLO),
        lambda: list(client.generate("nope", prompt="x", stream=True)),
        lambda: client.show("nope"),
    ]:
        with pytest.raises(ollama.ResponseError) as caught:
            ask()
        assert (caught.value.status_code, caught.value.error) == (404, "model 'nope' not found")


def test_bad_requests_are_400(client):
    with pytest.raises(ollama.ResponseError) as caught:
        client.chat("plain", messages=HELLO, options={"num_predict": "many"})
    assert (caught.value.status_code, caught.value.error) == (400, 'option "num_predict" must be of type integer')


@pytest.mark.parametrize("status", [429, 500, 503])
def test_refusals_have_their_status_and_are_not_tried_again(client, metrics, status):
    before = metrics("simwright_requests_total", model=f"fails-{status}")
    with pytest.raises(ollama.ResponseError) as caught:
        client.chat(f"fails-{status}", messages=HELLO)
    assert caught.value.status_code == status
    assert metrics("simwright_requests_total", model=f"fails-{status}") == before + 1


def test_an_error_inside_a_stream_raises_without_a_status(broken):
    parts = []
    with pytest.raises(ollama.ResponseError) as caught:
        for part in broken.chat("error-event", messages=HELLO, stream=True):
            parts.append(part.message.content)
    assert (caught.value.status_code, caught.value.error) == (-1, "Lost")
    assert "".join(parts) == "one two three four"


@pytest.mark.parametrize("model", ["cut-reset", "cut-close"])
def test_a_cut_reaches_the_application(broken, model):
    parts = []
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        for part in broken.chat(model, messages=HELLO, stream=True):
            parts.append(part.message.content)
    assert "".join(parts) == "one two three four"


@pytest.mark.parametrize("model", ["cut-end", "missing-end"])
def test_a_stream_without_its_last_line_just_ends(broken, model):
    parts = list(broken.chat(model, messages=HELLO, stream=True))
    assert not any(part.done for part in parts)


@pytest.mark.parametrize("model", ["malformed-chunk", "truncated-json"])
def test_a_broken_line_is_no_json(broken, model):
    with pytest.raises(json.JSONDecodeError):
        list(broken.chat(model, messages=HELLO, stream=True))


def test_a_reply_that_is_too_long_ends_with_its_reason(broken):
    assert broken.chat("length", messages=HELLO).done_reason == "length"
    assert list(broken.chat("length", messages=HELLO, stream=True))[-1].done_reason == "length"


def test_a_server_that_is_gone_is_a_connection_error():
    with pytest.raises(ConnectionError):
        ollama.Client(host="http://127.0.0.1:9").chat("plain", messages=HELLO)
