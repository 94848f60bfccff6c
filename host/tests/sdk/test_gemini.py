"""The official Google SDK, streamed and not, in both versions of the path: every field that applications read."""

import asyncio
import math

import httpx
import openai
import pydantic
import pytest
from google import genai
from google.genai import errors, types

HELLO = "Say hello to the whole crew, please."
WEATHER = types.FunctionDeclaration(
    name="get_weather",
    description="The weather in a city.",
    parameters=types.Schema(
        type="OBJECT",
        properties={"city": types.Schema(type="STRING"), "unit": types.Schema(type="STRING", enum=["celsius", "fahrenheit"])},
        required=["city", "unit"],
    ),
)
WAIT = types.FunctionDeclaration(name="wait", parameters=types.Schema(type="OBJECT", properties={}))
FORCED = types.GenerateContentConfig(
    tools=[types.Tool(function_declarations=[WEATHER])],
    tool_config=types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY")),
)


class Trip(pydantic.BaseModel):
    city: str
    days: int


def client_of(server, **options):
    return genai.Client(api_key="k", http_options=types.HttpOptions(base_url=server["api"], **options))


@pytest.fixture(params=[None, "v1beta"])
def client(request, vendors):
    """A client with the SDK's own version in the path, and one with the version that older ones have."""
    version = {"api_version": request.param} if request.param else {}
    with client_of(vendors, **version) as client:
        yield client


def generate(client, stream, model="plain", contents=HELLO, config=None):
    """The responses to a request: several of a stream, else one."""
    if stream:
        return list(client.models.generate_content_stream(model=model, contents=contents, config=config))
    return [client.models.generate_content(model=model, contents=contents, config=config)]


def parts_of(responses):
    return [part for response in responses for part in response.candidates[0].content.parts]


def test_a_whole_response_has_everything(client):
    response = client.models.generate_content(model="plain", contents=HELLO)
    [candidate] = response.candidates
    assert (candidate.index, candidate.finish_reason, candidate.content.role) == (0, types.FinishReason.STOP, "model")
    assert response.text == candidate.content.parts[0].text != ""
    assert (response.model_version, response.prompt_feedback) == ("plain", None) and response.response_id
    usage = response.usage_metadata
    assert usage.candidates_token_count == 24 and usage.prompt_token_count > 5 and usage.thoughts_token_count is None
    assert usage.total_token_count == usage.prompt_token_count + 24
    assert usage.prompt_tokens_details[0].token_count == usage.prompt_token_count


def test_a_stream_is_the_same_response_in_pieces(client):
    [whole] = generate(client, False)
    chunks = generate(client, True)
    assert "".join(chunk.text for chunk in chunks) == whole.text
    assert len(chunks) == 24 + 1
    assert [chunk.candidates[0].finish_reason for chunk in chunks] == [None] * 24 + [types.FinishReason.STOP]
    assert len({chunk.response_id for chunk in chunks}) == 1
    assert chunks[0].usage_metadata.prompt_token_count == whole.usage_metadata.prompt_token_count
    assert chunks[-1].usage_metadata.candidates_token_count == 24


def test_headers_are_the_vendors(client):
    response = client.models.generate_content(model="plain", contents=HELLO)
    headers = {name.lower(): value for name, value in response.sdk_http_response.headers.items()}
    assert headers["content-type"].startswith("application/json") and headers["x-content-type-options"] == "nosniff"
    assert not any("ratelimit" in name for name in headers)


def test_the_same_request_has_the_same_text(client):
    texts = {client.models.generate_content(model="plain", contents=HELLO).text for _ in range(3)}
    assert len(texts) == 1 and client.models.generate_content(model="plain", contents="Something else").text not in texts


@pytest.mark.parametrize("stream", [False, True])
def test_a_token_limit_cuts_and_says_so(client, stream):
    last = generate(client, stream, config=types.GenerateContentConfig(max_output_tokens=7))[-1]
    assert last.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    assert last.usage_metadata.candidates_token_count == 7


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_sequence_ends_the_response_before_it(client, stream):
    responses = generate(client, stream, model="words", config=types.GenerateContentConfig(stop_sequences=["never", " four"]))
    assert "".join(response.text for response in responses) == "one two three"
    assert responses[-1].candidates[0].finish_reason == types.FinishReason.STOP


@pytest.mark.parametrize("stream", [False, True])
def test_several_candidates_differ_and_share_the_counts(client, stream):
    texts = {}
    for response in generate(client, stream, config=types.GenerateContentConfig(candidate_count=3)):
        for candidate in response.candidates:
            texts[candidate.index] = texts.get(candidate.index, "") + candidate.content.parts[0].text
    assert sorted(texts) == [0, 1, 2] and len(set(texts.values())) == 3
    assert response.usage_metadata.candidates_token_count == 72


@pytest.mark.parametrize("stream", [False, True])
def test_a_forced_function_is_called_with_arguments_that_fit(client, stream):
    responses = generate(client, stream, config=FORCED)
    [call] = [part.function_call for part in parts_of(responses) if part.function_call]
    assert call.name == "get_weather"
    assert call.args["unit"] in ("celsius", "fahrenheit") and isinstance(call.args["city"], str)
    assert responses[-1].candidates[0].finish_reason == types.FinishReason.STOP


@pytest.mark.parametrize("stream", [False, True])
def test_calls_have_ids_and_their_results_come_back_with_them(client, stream):
    responses = generate(client, stream, model="two-tools", config=types.GenerateContentConfig(tools=[types.Tool(function_declarations=[WEATHER, WAIT])]))
    calls = [part.function_call for part in parts_of(responses) if part.function_call]
    assert len({call.id for call in calls}) == len(calls) == 2 and all(call.id for call in calls)
    results = [types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"is": "fine"})) for call in calls]
    history = [
        types.Content(role="user", parts=[types.Part(text=HELLO)]),
        types.Content(role="model", parts=parts_of(responses)),
        types.Content(role="user", parts=results),
    ]
    assert generate(client, False, contents=history)[0].text


def test_only_functions_that_are_allowed_are_called(client):
    tides = types.FunctionDeclaration(name="get_tides", parameters_json_schema={"type": "object", "properties": {}})
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[WEATHER, tides])],
        tool_config=types.ToolConfig(
            function_calling_config=types.FunctionCallingConfig(mode="ANY", allowed_function_names=["get_tides"])
        ),
    )
    assert [call.name for call in client.models.generate_content(model="plain", contents=HELLO, config=config).function_calls] == ["get_tides"]


def test_no_function_is_called_against_the_clients_will(client):
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[WEATHER])],
        tool_config=types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="NONE")),
    )
    response = client.models.generate_content(model="two-tools", contents=HELLO, config=config)
    assert response.function_calls is None and response.text


def test_a_python_function_is_called_by_the_sdk_itself(client):
    asked = []

    def get_weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return "rain"

    def wait() -> str:
        """Waits."""
        asked.append(None)
        return "done"

    config = types.GenerateContentConfig(tools=[get_weather, wait])
    response = client.models.generate_content(model="two-tools", contents=HELLO, config=config)
    assert response.text == "It rains." and len(asked) == 2 and isinstance(asked[0], str)


def test_a_chat_remembers(client):
    chat = client.chats.create(model="plain")
    first, second = chat.send_message("Hello"), chat.send_message("And more?")
    assert second.usage_metadata.prompt_token_count > first.usage_metadata.prompt_token_count + 24
    assert "".join(chunk.text for chunk in chat.send_message_stream("Again"))


@pytest.mark.parametrize("stream", [False, True])
def test_thoughts_are_shown_to_who_asks_for_them(client, stream):
    config = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=1024))
    responses = generate(client, stream, model="thinker", config=config)
    parts = [part for part in parts_of(responses) if part.text]
    assert "".join(part.text for part in parts if part.thought) == "Let me think."
    assert "".join(part.text for part in parts if not part.thought) == "So be it."
    assert responses[-1].usage_metadata.thoughts_token_count > 0


@pytest.mark.parametrize("stream", [False, True])
def test_what_was_thought_is_signed_and_the_signature_may_come_back(client, stream):
    responses = generate(client, stream, model="thinker")
    [signed] = [part for part in parts_of(responses) if part.thought_signature]
    assert len(signed.thought_signature) == 96 and not signed.thought
    history = [
        types.Content(role="user", parts=[types.Part(text=HELLO)]),
        types.Content(role="model", parts=parts_of(responses)),
        types.Content(role="user", parts=[types.Part(text="And?")]),
    ]
    assert generate(client, False, contents=history)[0].text
    assert not any(part.thought_signature for part in parts_of(generate(client, stream)))


@pytest.mark.parametrize("best", [None, 3])
def test_log_probabilities(client, best):
    config = types.GenerateContentConfig(response_logprobs=True, logprobs=best)
    [whole] = generate(client, False, config=config)
    [candidate] = whole.candidates
    chosen = candidate.logprobs_result.chosen_candidates
    assert "".join(token.token for token in chosen) == whole.text and len(chosen) == 24
    assert all(token.log_probability < 0 and token.token_id >= 0 for token in chosen)
    assert math.isclose(candidate.avg_logprobs, sum(token.log_probability for token in chosen) / 24, abs_tol=1e-5)
    top = candidate.logprobs_result.top_candidates
    assert top is None if best is None else [len(step.candidates) for step in top] == [best] * 24
    chunks = generate(client, True, config=config)
    pieces = [chunk.candidates[0].logprobs_result.chosen_candidates[0] for chunk in chunks[:-1]]
    assert pieces == chosen and chunks[-1].candidates[0].avg_logprobs == candidate.avg_logprobs
    assert generate(client, False)[0].candidates[0].logprobs_result is None


@pytest.mark.parametrize("stream", [False, True])
def test_thoughts_that_are_not_shown_count(client, stream):
    responses = generate(client, stream, model="thinker")
    assert not any(part.thought for part in parts_of(responses))
    usage = responses[-1].usage_metadata
    assert usage.thoughts_token_count > 0
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count + usage.thoughts_token_count


def test_who_wants_no_thoughts_pays_for_none(client):
    config = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(thinking_budget=0))
    [response] = generate(client, False, model="thinker", config=config)
    assert (response.text, response.usage_metadata.thoughts_token_count) == ("So be it.", None)


@pytest.mark.parametrize("schema", ["model", "vendor", "json"])
@pytest.mark.parametrize("stream", [False, True])
def test_structured_output_fits_the_schema(client, schema, stream):
    wanted = {
        "model": {"response_schema": Trip},
        "vendor": {"response_schema": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}, "days": {"type": "INTEGER"}}, "required": ["city", "days"]}},
        "json": {"response_json_schema": Trip.model_json_schema()},
    }[schema]
    responses = generate(client, stream, config=types.GenerateContentConfig(response_mime_type="application/json", **wanted))
    Trip.model_validate_json("".join(response.text for response in responses))
    if schema == "model" and not stream:
        assert isinstance(responses[0].parsed, Trip)


def test_tokens_are_counted_as_a_response_counts_them(client):
    count = client.models.count_tokens(model="plain", contents=HELLO).total_tokens
    assert count == client.models.generate_content(model="plain", contents=HELLO).usage_metadata.prompt_token_count


def test_images_and_files_are_counted(client):
    plain = client.models.count_tokens(model="plain", contents=HELLO).total_tokens
    image = types.Part.from_bytes(data=b"anything", mime_type="image/png")
    video = types.Part.from_uri(file_uri="gs://films/one.mp4", mime_type="video/mp4")
    for part in (image, video):
        assert client.models.count_tokens(model="plain", contents=[HELLO, part]).total_tokens >= plain + 258
        assert client.models.generate_content(model="plain", contents=[HELLO, part]).text


def cosine(one, other):
    return sum(a * b for a, b in zip(one.values, other.values))


def test_equal_texts_have_equal_vectors_and_similar_ones_are_near(client):
    texts = ["The cat sits on the warm windowsill", "A cat is sitting on a windowsill", "Quarterly revenue grew", "The cat sits on the warm windowsill"]
    vectors = client.models.embed_content(model="gemini-embedding-001", contents=texts).embeddings
    assert [len(vector.values) for vector in vectors] == [3072] * 4
    assert all(math.isclose(cosine(vector, vector), 1, abs_tol=1e-4) for vector in vectors)
    assert vectors[0].values == vectors[3].values
    assert cosine(vectors[0], vectors[1]) > cosine(vectors[0], vectors[2]) + 0.1


def test_a_vector_is_as_long_as_it_is_asked_to_be(client):
    config = types.EmbedContentConfig(output_dimensionality=64, task_type="RETRIEVAL_QUERY")
    [vector] = client.models.embed_content(model="plain", contents="x", config=config).embeddings
    assert len(vector.values) == 64


def test_models_are_listed_and_retrieved(client):
    models = {model.name: model for model in client.models.list()}
    assert {"models/plain", "models/vendor/plain"} <= set(models)
    plain = client.models.get(model="plain")
    assert plain == models["models/plain"]
    assert (plain.display_name, plain.input_token_limit, plain.output_token_limit) == ("plain", 4096, 1024)
    assert "generateContent" in plain.supported_actions and "embedContent" in plain.supported_actions


def test_models_come_in_pages(client):
    pager = client.models.list(config={"page_size": 1})
    assert len(pager.page) == 1
    assert {model.name for model in pager} == {model.name for model in client.models.list()}


def test_openais_client_is_served_below_googles_root(vendors):
    with openai.OpenAI(base_url=vendors["api"] + "/v1beta/openai/", api_key="k", max_retries=0) as client:
        ask = {"model": "plain", "messages": [{"role": "user", "content": HELLO}]}
        text = client.chat.completions.create(**ask).choices[0].message.content
        chunks = client.chat.completions.create(**ask, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text != ""
        assert client.chat.completions.create(**{**ask, "model": "models/plain"}).choices[0].message.content == text
        assert len(client.embeddings.create(model="gemini-embedding-001", input="x", dimensions=64).data[0].embedding) == 64
        assert "models/plain" in [model.id for model in client.models.list()]
        assert client.models.retrieve("models/plain").owned_by == "google"
        with pytest.raises(openai.NotFoundError) as caught:
            client.chat.completions.create(**{**ask, "model": "gemini-unheard-of"})
        [error] = caught.value.response.json()
        assert (error["error"]["code"], error["error"]["status"]) == (404, "NOT_FOUND")
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(**{**ask, "model": "status-429"})
        assert caught.value.response.json()[0]["error"]["status"] == "RESOURCE_EXHAUSTED"


def test_a_refusal_of_an_array_is_an_array_that_the_sdk_understands(vendors):
    url = vendors["api"] + "/v1beta/models/gemini-unheard-of:streamGenerateContent"
    answer = httpx.post(url, headers={"x-goog-api-key": "k"}, json={"contents": [{"parts": [{"text": "x"}]}]})
    assert isinstance(answer.json(), list)
    error = errors.ClientError(answer.status_code, answer.json())
    assert (error.code, error.status) == (404, "NOT_FOUND") and "gemini-unheard-of" in error.message


def test_an_unknown_model_is_not_found(client):
    for ask in (lambda: client.models.generate_content(model="gemini-unheard-of", contents="x"), lambda: client.models.get(model="gemini-unheard-of")):
        with pytest.raises(errors.ClientError) as caught:
            ask()
        assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND") and "models/gemini-unheard-of" in caught.value.message


@pytest.mark.parametrize(
    ("contents", "config", "message"),
    [
        ([], None, "contents is not specified"),
        ([types.Content(role="wizard", parts=[types.Part(text="x")])], None, "valid role"),
        ("x", {"temperature": 9}, "temperature must be at most 2"),
        ("x", {"candidate_count": 9}, "candidate_count must be at most 8"),
        ("x", {"tool_config": {"function_calling_config": {"mode": "ANY"}}}, "without function_declarations"),
        ("word " * 6000, None, "exceeds the maximum number of tokens allowed (4096)"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_bad_field_is_named(client, contents, config, message, stream):
    if contents == []:
        # The SDK does not send that of its own.
        with pytest.raises((errors.ClientError, ValueError)):
            generate(client, stream, contents=contents)
        return
    with pytest.raises(errors.ClientError) as caught:
        generate(client, stream, contents=contents, config=config)
    assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT") and message in caught.value.message


def test_a_body_that_cannot_be_read_names_its_field(vendors):
    with client_of(vendors, extra_body={"generationConfig": {"maxOutputTokens": "many"}}) as client:
        with pytest.raises(errors.ClientError) as caught:
            client.models.generate_content(model="plain", contents="x")
    [detail] = caught.value.details["error"]["details"]
    assert detail["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    assert detail["fieldViolations"][0]["field"] == "generation_config.max_output_tokens"


def test_the_async_client_streams(vendors):
    async def run():
        client = client_of(vendors).aio

        async def one(number):
            stream = await client.models.generate_content_stream(model="plain", contents=f"Number {number % 4}")
            return "".join([chunk.text async for chunk in stream])

        return await asyncio.gather(*(one(number) for number in range(32)))

    assert len(set(asyncio.run(run()))) == 4
