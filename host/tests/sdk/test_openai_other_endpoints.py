"""Completions, embeddings, moderations and what vLLM adds, through the official SDK."""

import asyncio
import base64
import json
import math
import struct
import urllib.error
import urllib.request

import openai
import pytest

import conftest

SCENARIO = str(conftest.HERE / "other-endpoints.yaml")
CATEGORIES = {
    "harassment", "harassment_threatening", "hate", "hate_threatening", "illicit", "illicit_violent", "self_harm",
    "self_harm_instructions", "self_harm_intent", "sexual", "sexual_minors", "violence", "violence_graphic",
}  # fmt: skip


@pytest.fixture(scope="module")
def place():
    process, addresses = conftest.start(SCENARIO)
    yield addresses
    process.terminate()
    assert process.wait(timeout=40) == 0


@pytest.fixture
def client(place):
    with openai.OpenAI(base_url=place["api"] + "/v1", api_key="sk-test", max_retries=0) as client:
        yield client


def cosine(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


# Embeddings


def test_an_embedding_is_a_unit_vector_of_the_models_length(client):
    for model, length in (("text-embedding-3-small", 1536), ("text-embedding-3-large", 3072)):
        answer = client.embeddings.create(model=model, input="The cat sits on the mat")
        assert (answer.object, answer.model, answer.data[0].index) == ("list", model, 0)
        vector = answer.data[0].embedding
        assert len(vector) == length
        assert math.isclose(cosine(vector, vector), 1, abs_tol=1e-5)
        assert answer.usage.prompt_tokens == answer.usage.total_tokens == 6


def test_base64_and_floats_are_the_same_vector(client):
    ask = {"model": "text-embedding-3-small", "input": ["one", "two"]}
    usual = client.embeddings.create(**ask)
    floats = client.embeddings.create(**ask, encoding_format="float")
    coded = client.embeddings.create(**ask, encoding_format="base64")
    for index in range(2):
        single = [struct.unpack("<f", struct.pack("<f", value))[0] for value in floats.data[index].embedding]
        assert usual.data[index].embedding == pytest.approx(single, abs=1e-9)
        raw = base64.b64decode(coded.data[index].embedding)
        assert list(struct.unpack(f"<{len(raw) // 4}f", raw)) == single


def test_similar_texts_are_nearer_and_equal_texts_are_equal(client):
    texts = ["How do I reset my password?", "I need to reset my password", "Boil the pasta until it is done", "How do I reset my password?"]
    data = client.embeddings.create(model="text-embedding-3-small", input=texts).data
    assert [entry.index for entry in data] == [0, 1, 2, 3]
    first, near, far, again = (entry.embedding for entry in data)
    assert first == again
    assert cosine(first, near) > cosine(first, far) + 0.3


def test_token_ids_give_the_vector_of_their_text(client):
    ask = lambda value: client.embeddings.create(model="text-embedding-3-small", input=value)  # noqa: E731
    assert ask([15339, 1917]).data[0].embedding == ask("hello world").data[0].embedding
    both = ask([[15339, 1917], [15339]])
    assert len(both.data) == 2 and both.usage.prompt_tokens == 3


def test_dimensions_shorten_a_vector_and_keep_its_direction(client):
    full = client.embeddings.create(model="text-embedding-3-small", input="hello").data[0].embedding
    short = client.embeddings.create(model="text-embedding-3-small", input="hello", dimensions=256).data[0].embedding
    scale = math.sqrt(cosine(full[:256], full[:256]))
    assert short == pytest.approx([value / scale for value in full[:256]], abs=1e-6)
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model="text-embedding-3-small", input="hello", dimensions=1537)
    assert caught.value.param == "dimensions"


@pytest.mark.parametrize("value", ["", [], ["a", ""], [["a"]], [[]]])
def test_what_cannot_be_embedded_is_refused(client, value):
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model="text-embedding-3-small", input=value)
    assert "'$.input' is invalid" in caught.value.message


def test_a_text_beyond_the_window_is_refused(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model="text-embedding-3-small", input=["short", "word " * 9000])
    assert "maximum context length is 8192 tokens" in caught.value.message
    many = client.embeddings.create(model="text-embedding-3-small", input=["word " * 200] * 60, dimensions=8)
    assert len(many.data) == 60 and many.usage.prompt_tokens > 8192


def test_embeddings_are_retried_exactly_as_scripted(place):
    with openai.OpenAI(base_url=place["api"] + "/v1", api_key="sk-test", max_retries=2) as client:
        raw = client.embeddings.with_raw_response.create(model="busy-twice", input="again and again", dimensions=4)
    assert raw.retries_taken == 2
    assert len(raw.parse().data[0].embedding) == 4


# Completions


def test_a_completion_has_text_reason_and_usage(client):
    answer = client.completions.create(model="instruct", prompt="Once upon a time", max_tokens=64)
    assert answer.object == "text_completion" and answer.id.startswith("cmpl-")
    choice = answer.choices[0]
    assert choice.text and choice.finish_reason == "stop" and choice.logprobs is None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (4, 24, 28)


def test_sixteen_tokens_are_the_default(client):
    answer = client.completions.create(model="instruct", prompt="Once")
    assert (answer.usage.completion_tokens, answer.choices[0].finish_reason) == (16, "length")


def test_a_stream_is_the_same_text_in_pieces(client):
    ask = {"model": "instruct", "prompt": "Once upon a time", "max_tokens": 64, "n": 2}
    whole = client.completions.create(**ask)
    texts, reasons, usage = ["", ""], [None, None], None
    for chunk in client.completions.create(**ask, stream=True, stream_options={"include_usage": True}):
        assert chunk.object == "text_completion" and chunk.id.startswith("cmpl-")
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            reasons[choice.index] = choice.finish_reason or reasons[choice.index]
        usage = chunk.usage or usage
    assert texts == [choice.text for choice in whole.choices]
    assert reasons == ["stop", "stop"]
    assert usage.completion_tokens == whole.usage.completion_tokens == 48


@pytest.mark.parametrize("prompt", ["A text", ["A text", "Another"], [32, 1495], [[32, 1495], [14364]]])
def test_all_four_forms_of_prompts_are_answered(client, prompt):
    answer = client.completions.create(model="instruct", prompt=prompt, max_tokens=4)
    wanted = len(prompt) if isinstance(prompt, list) and not isinstance(prompt[0], int) else 1
    assert [choice.index for choice in answer.choices] == list(range(wanted))


def test_a_prompt_is_echoed_and_scored(client):
    answer = client.completions.create(model="instruct", prompt="The cat sat", max_tokens=2, echo=True, logprobs=3)
    choice = answer.choices[0]
    assert choice.text.startswith("The cat sat")
    scores = choice.logprobs
    assert "".join(scores.tokens) == choice.text
    assert scores.token_logprobs[0] is None and all(value < 0 for value in scores.token_logprobs[1:])
    assert scores.top_logprobs[0] is None and all(len(top) == 3 for top in scores.top_logprobs[1:])
    for token, offset in zip(scores.tokens, scores.text_offset, strict=True):
        assert choice.text[offset : offset + len(token)] == token


def test_best_of_pays_for_all_and_shows_the_best(client):
    answer = client.completions.create(model="instruct", prompt="Once", n=1, best_of=3, max_tokens=8)
    assert len(answer.choices) == 1 and answer.usage.completion_tokens == 24


def test_stop_and_suffix_are_accepted(client):
    text = client.completions.create(model="instruct", prompt="Once", max_tokens=24).choices[0].text
    word = text.split()[3]
    stopped = client.completions.create(model="instruct", prompt="Once", max_tokens=24, stop=[word])
    assert word not in stopped.choices[0].text and stopped.choices[0].finish_reason in ("stop", "length")
    assert client.completions.create(model="instruct", prompt="def f():", suffix="return 1", max_tokens=4).choices[0].text


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"max_tokens": -1}, "max_tokens"),
        ({"n": 3, "best_of": 2}, "best_of"),
        ({"logprobs": 6}, "logprobs"),
        ({"temperature": 9}, "temperature"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["a", 1]}, "prompt[1]"),
        ({"stop": ["a"] * 5}, "stop"),
    ],
)
def test_a_bad_field_is_named(client, change, param):
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(**{"model": "instruct", "prompt": "x", **change})
    assert (caught.value.param, caught.value.type) == (param, "invalid_request_error")


def test_statuses_are_exceptions(client):
    with pytest.raises(openai.AuthenticationError):
        client.completions.create(model="refused", prompt="x")
    with pytest.raises(openai.NotFoundError) as caught:
        client.completions.create(model="unheard-of", prompt="x")
    assert caught.value.code == "model_not_found"


def test_what_breaks_inside_a_stream_reaches_the_application(client):
    def read(model):
        return [chunk for chunk in client.completions.create(model=model, prompt="x", max_tokens=24, stream=True)]

    with pytest.raises(openai.APIError, match="Lost"):
        read("error-event")
    with pytest.raises(openai.APIConnectionError):
        read("cut")
    with pytest.raises(json.JSONDecodeError):
        read("malformed")


def test_the_async_client_streams_too(place):
    async def run():
        async with openai.AsyncOpenAI(base_url=place["api"] + "/v1", api_key="sk-test") as client:
            stream = await client.completions.create(model="instruct", prompt="Once", max_tokens=8, stream=True)
            text = "".join([chunk.choices[0].text async for chunk in stream])
            vector = (await client.embeddings.create(model="text-embedding-3-small", input="x", dimensions=4)).data[0].embedding
            return text, vector

    text, vector = asyncio.run(run())
    assert text and len(vector) == 4


# Moderations


def test_a_moderation_has_all_categories(client):
    answer = client.moderations.create(input="I will kill you", model="omni-moderation-latest")
    assert answer.id.startswith("modr-") and answer.model == "omni-moderation-latest"
    (result,) = answer.results
    assert result.flagged and result.categories.violence and result.categories.harassment_threatening
    assert result.category_scores.violence > 0.5 > result.category_scores.sexual
    for part in (result.categories, result.category_scores, result.category_applied_input_types):
        assert set(type(part).model_fields) == CATEGORIES
        assert all(getattr(part, name) is not None for name in CATEGORIES)
    assert result.category_applied_input_types.hate == ["text"]


def test_texts_are_judged_one_by_one(client):
    answer = client.moderations.create(input=["hello", "you idiot", "nice weather"])
    assert [result.flagged for result in answer.results] == [False, True, False]
    again = client.moderations.create(input=["hello", "you idiot", "nice weather"])
    assert [one.category_scores for one in answer.results] == [one.category_scores for one in again.results]


def test_images_and_texts_are_judged_together(client):
    parts = [
        {"type": "text", "text": "what is this"},
        {"type": "image_url", "image_url": {"url": "https://example.com/gore.png"}},
    ]
    (result,) = client.moderations.create(input=parts).results
    assert result.flagged and result.categories.violence_graphic
    assert result.category_applied_input_types.violence == ["text", "image"]


def test_a_bad_moderation_is_named(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.moderations.create(input=[{"type": "smell"}])
    assert caught.value.param == "input[0].type"


# What vLLM adds


def fetch(place, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(place["api"] + path, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return answer.status, answer.read().decode()


def test_every_chunk_tells_what_it_has_cost_so_far(client):
    extra = {"stream_options": {"include_usage": True, "continuous_usage_stats": True}, "ignore_eos": True, "min_tokens": 40}
    for stream in (
        client.completions.create(model="instruct", prompt="Once", max_tokens=40, stream=True, extra_body=extra),
        client.chat.completions.create(
            model="instruct", messages=[{"role": "user", "content": "Once"}], max_tokens=40, stream=True, extra_body=extra
        ),
    ):
        chunks = list(stream)
        counts = [chunk.usage.completion_tokens for chunk in chunks]
        assert counts == sorted(counts) and counts[-1] == 40
        assert all(chunk.usage.total_tokens == chunk.usage.prompt_tokens + chunk.usage.completion_tokens for chunk in chunks)
        assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"


def test_probes_and_tokens_are_on_the_port_of_the_api(place):
    for path in ("/health", "/ping", "/livez", "/readyz"):
        assert fetch(place, path)[0] == 200
    assert json.loads(fetch(place, "/version")[1])["version"]
    cut = json.loads(fetch(place, "/tokenize", {"model": "instruct", "prompt": "Hello there"})[1])
    assert cut["count"] == len(cut["tokens"]) == 2 and cut["max_model_len"] == 4096
    text = json.loads(fetch(place, "/detokenize", {"model": "instruct", "tokens": cut["tokens"]})[1])
    assert text == {"prompt": "Hello there"}


def test_the_metrics_have_vllms_names(place, client):
    client.completions.create(model="instruct", prompt="Once", max_tokens=8)
    _, text = fetch(place, "/metrics")
    for name in (
        "vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc", "vllm:prompt_tokens_total",
        "vllm:generation_tokens_total", "vllm:request_success_total", "vllm:time_to_first_token_seconds_bucket",
        "vllm:inter_token_latency_seconds_bucket", "vllm:e2e_request_latency_seconds_bucket", "vllm:request_queue_time_seconds_sum",
    ):  # fmt: skip
        assert f'\n{name}{{model_name="instruct",engine="0"' in text, name
