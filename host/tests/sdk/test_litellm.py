"""litellm, which speaks every vendor's API behind one function: each of its ways here must lead to the same."""

import asyncio
import json
import os

# The list of prices that it would fetch comes with it, too.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
import pytest

from conftest import FOUR, WORDS

litellm.suppress_debug_info = True
# What it does with its own types, and warns of.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::pydantic.PydanticDeprecatedSince211")

HELLO = [{"role": "user", "content": "Say hello to the whole crew, please."}]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "The weather in a city.", "parameters": CITY}}
WAYS = ["openai", "anthropic", "gemini", "azure", "ollama_chat"]


@pytest.fixture
def options(vendors):
    """What a way is told beside its model."""
    places = {"openai": "/v1", "gemini": "/v1beta"}

    def options(way):
        version = {"api_version": "2024-10-21"} if way == "azure" else {}
        return {"api_key": "key", "api_base": vendors["api"] + places.get(way, ""), **version}

    return options


@pytest.fixture
def complete(options):
    """Asks a model by a way, without retries unless they are asked for."""

    def complete(way, model, **more):
        return litellm.completion(model=f"{way}/{model}", **{"messages": HELLO, "num_retries": 0, "max_retries": 0, **options(way), **more})

    return complete


@pytest.mark.parametrize("way", WAYS)
def test_a_stream_is_the_same_reply_in_pieces(complete, way):
    whole = complete(way, "plain")
    assert (whole.choices[0].finish_reason, whole.usage.completion_tokens) == ("stop", 24)
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + 24
    chunks = list(complete(way, "plain", stream=True, stream_options={"include_usage": True}))
    streamed = litellm.stream_chunk_builder(chunks, messages=HELLO)
    assert streamed.choices[0].message.content == whole.choices[0].message.content
    assert streamed.choices[0].finish_reason == "stop"
    assert (streamed.usage.prompt_tokens, streamed.usage.completion_tokens) == (whole.usage.prompt_tokens, 24)


@pytest.mark.parametrize("way", WAYS)
def test_the_asynchronous_function_too(options, way):
    async def answer():
        stream = await litellm.acompletion(model=f"{way}/words", messages=HELLO, stream=True, **options(way))
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

    assert asyncio.run(answer()) == WORDS


@pytest.mark.parametrize("way", ["openai", "anthropic", "gemini", "azure"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_is_called_with_arguments_that_fit(complete, way, stream):
    reply = complete(way, "plain", tools=[WEATHER], tool_choice="required", stream=stream)
    if stream:
        reply = litellm.stream_chunk_builder(list(reply), messages=HELLO)
    [call] = reply.choices[0].message.tool_calls
    assert (call.function.name, reply.choices[0].finish_reason) == ("get_weather", "tool_calls")
    assert [type(value) for value in json.loads(call.function.arguments).values()] == [str]


@pytest.mark.parametrize("way", WAYS)
def test_a_tools_result_is_answered(complete, way):
    asked = complete(way, "two-tools", tools=[WEATHER]).choices[0].message
    assert {call.function.name for call in asked.tool_calls} == {"get_weather"}
    results = [{"role": "tool", "tool_call_id": call.id, "content": "rain"} for call in asked.tool_calls]
    said = [*HELLO, asked.model_dump(exclude_none=True), *results]
    assert complete(way, "two-tools", tools=[WEATHER], messages=said).choices[0].message.content == "It rains."


# It does not believe that Gemini's way has schemas for a model that it does not know, and asks in words.
@pytest.mark.parametrize("way", ["openai", "anthropic", "azure", "ollama_chat"])
def test_structured_output_fits_its_schema(complete, way):
    shape = {"type": "json_schema", "json_schema": {"name": "place", "schema": CITY, "strict": True}}
    reply = json.loads(complete(way, "plain", response_format=shape).choices[0].message.content)
    assert [type(value) for value in reply.values()] == [str] and list(reply) == ["city"]


@pytest.mark.parametrize(("way", "model"), [("openai", "plain"), ("azure", "plain"), ("ollama", "plain"), ("gemini", "gemini-embedding-001")])
def test_texts_have_vectors(options, way, model):
    answer = litellm.embedding(model=f"{way}/{model}", input=["a cat", "a cat", "dogs"], **options(way))
    first, again, other = (entry["embedding"] for entry in answer.data)
    assert first == again != other


# Its exceptions by the faults, where a way has an exception of its own; and how often it asks for `num_retries=2`.
REFUSALS = {
    "status-400": (litellm.BadRequestError, {}),
    "status-401": (litellm.AuthenticationError, {}),
    "status-429": (litellm.RateLimitError, {}),
    "status-500": (litellm.InternalServerError, {"azure": litellm.APIError}),
    "status-503": (litellm.ServiceUnavailableError, {"anthropic": litellm.InternalServerError, "gemini": litellm.InternalServerError}),
    "context-length": (litellm.ContextWindowExceededError, {"ollama_chat": litellm.BadRequestError}),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", REFUSALS)
def test_a_refusal_is_its_exception_and_retried_as_often_as_is_asked(complete, struck, way, model):
    usual, others = REFUSALS[model]
    # It retries what is in vain, too; and the SDK that it has for OpenAI's API retries its first attempt by itself.
    retried_within = way == "openai" and model in ("status-429", "status-500", "status-503")
    for retries, attempts in ((0, 1), (2, 5 if retried_within else 3)):
        before = struck(model)
        with pytest.raises(others.get(way, usual)) as caught:
            complete(way, model, num_retries=retries)
        assert type(caught.value) is others.get(way, usual)
        assert struck(model) - before == attempts


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", ["error-event", "cut-close"])
def test_what_breaks_inside_a_stream_reaches_the_application_once(complete, struck, way, model):
    before, came = struck(model), ""
    with pytest.raises(Exception) as caught:
        for chunk in complete(way, model, stream=True):
            came += chunk.choices[0].delta.content or ""
    # It wonders about an error in Ollama's stream, and says so.
    is_odd = (way, model) == ("ollama_chat", "error-event")
    assert type(caught.value) is (litellm.BadRequestError if is_odd else litellm.exceptions.MidStreamFallbackError)
    assert (came, struck(model) - before) == (FOUR, 1)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("model", "reason"), [("length", "length"), ("content-filter", "content_filter")])
def test_an_early_finish_has_its_reason(complete, way, stream, model, reason):
    reply = complete(way, model, stream=stream)
    if stream:
        reply = litellm.stream_chunk_builder(list(reply), messages=HELLO)
    # Ollama knows no filter, and of what Gemini filters a whole reply shows nothing.
    filters_nothing = (way, reason) == ("ollama_chat", "content_filter")
    hides = (way, reason, stream) == ("gemini", "content_filter", False)
    assert reply.choices[0].finish_reason == ("stop" if filters_nothing else reason)
    assert (reply.choices[0].message.content or "") == ("" if hides else FOUR)


def test_a_router_falls_back_to_another_vendor(options, struck):
    place = lambda name, way, model: {"model_name": name, "litellm_params": {"model": f"{way}/{model}", **options(way)}}
    places = [place("first", "anthropic", "status-529"), place("second", "gemini", "words")]
    router = litellm.Router(model_list=places, fallbacks=[{"first": ["second"]}], num_retries=0)
    before = struck("status-529")
    assert router.completion(model="first", messages=HELLO).choices[0].message.content == WORDS
    assert struck("status-529") - before == 1
