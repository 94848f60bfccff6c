"""LangChain's models of OpenAI: chat, by Responses and by chat completions, its faults, and vectors."""

import asyncio

import openai
import pydantic
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from conftest import FOUR, WORDS, meeting, strikes

QUESTION = "Say hello to the whole crew, please."


class Trip(pydantic.BaseModel):
    """A trip."""

    city: str
    days: int


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"rain in {city}"


@pytest.fixture(params=[True, False], ids=["responses", "chat"])
def model(server, request):
    return ChatOpenAI(
        model="plain",
        base_url=server["api"] + "/v1",
        api_key="sk-test",
        max_retries=0,
        stream_usage=True,
        use_responses_api=request.param,
    )


def test_a_stream_is_the_same_reply_in_pieces(model):
    whole = model.invoke(QUESTION)
    assert whole.usage_metadata["output_tokens"] == 24
    gathered = None
    for chunk in model.stream(QUESTION):
        gathered = chunk if gathered is None else gathered + chunk
    assert gathered.text == whole.text
    assert gathered.usage_metadata["output_tokens"] == 24


def test_a_tool_is_called_and_its_result_goes_back(model):
    bound = model.bind_tools([get_weather], tool_choice="get_weather")
    said = [HumanMessage(QUESTION), bound.invoke(QUESTION)]
    [call] = said[-1].tool_calls
    assert call["name"] == "get_weather" and isinstance(call["args"]["city"], str)
    said.append(ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"]))
    assert model.invoke(said).text


def test_structured_output_fits_its_type(model):
    assert isinstance(model.with_structured_output(Trip).invoke("Plan a trip."), Trip)


def test_a_conversation_goes_on_from_the_last_response(server):
    model = ChatOpenAI(
        model="plain",
        base_url=server["api"] + "/v1",
        api_key="sk-test",
        max_retries=0,
        use_responses_api=True,
        use_previous_response_id=True,
    )
    first = model.invoke(QUESTION)
    assert isinstance(first, AIMessage) and first.response_metadata["id"].startswith("resp_")
    second = model.invoke([HumanMessage(QUESTION), first, HumanMessage("And now?")])
    assert second.usage_metadata["input_tokens"] > first.usage_metadata["input_tokens"] + 24


def test_the_asynchronous_functions_too(server):
    # In one loop: its clients share their connections.
    async def stream(by_responses):
        model = ChatOpenAI(model="plain", base_url=server["api"] + "/v1", api_key="sk-test", use_responses_api=by_responses)
        text = "".join([chunk.text async for chunk in model.astream(QUESTION)])
        assert text == (await model.ainvoke(QUESTION)).text != ""

    async def both():
        await stream(True)
        await stream(False)

    asyncio.run(both())


@pytest.fixture(params=[True, False], ids=["responses", "chat"])
def meet(faulty, request):
    def read(model, stream):
        asked = ChatOpenAI(model=model, base_url=faulty["api"] + "/v1", api_key="sk-test", use_responses_api=request.param)
        if not stream:
            yield asked.invoke("Hello").text
        for chunk in asked.stream("Hello") if stream else []:
            yield chunk.text

    return meeting(strikes(faulty), read)


# It leaves retries to the SDK below, whose default is two.
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "error", "attempts"),
    [
        ("status-401", openai.AuthenticationError, 1),
        ("status-403", openai.PermissionDeniedError, 1),
        ("status-404", openai.NotFoundError, 1),
        ("status-429", openai.RateLimitError, 3),
        ("status-500", openai.InternalServerError, 3),
        ("status-503", openai.InternalServerError, 3),
        ("quota", openai.RateLimitError, 1),
        ("context-length", openai.BadRequestError, 1),
    ],
)
def test_a_refusal_is_the_sdks_exception_and_retried_as_the_sdk_does(meet, model, error, attempts, stream):
    came, raised, struck = meet(model, stream)
    assert (came, struck) == ("", attempts) and isinstance(raised, error), repr(raised)


@pytest.mark.parametrize(
    ("model", "stream", "error", "came", "attempts"),
    [
        ("error-event", False, openai.InternalServerError, "", 3),
        ("error-event", True, openai.APIError, FOUR, 1),
        ("cut-close", False, openai.APIConnectionError, "", 3),
        ("cut-close", True, openai.APIConnectionError, FOUR, 1),
        ("length", False, None, FOUR, 1),
        ("length", True, None, FOUR, 1),
        ("none", True, None, WORDS, 0),
    ],
)
def test_a_broken_reply_is_its_exception_after_what_came_before(meet, model, stream, error, came, attempts):
    found, raised, struck = meet(model, stream)
    assert (found, struck) == (came, attempts), repr(raised)
    assert raised is None if error is None else isinstance(raised, error), repr(raised)


def test_texts_have_vectors(server):
    # Otherwise it would fetch a vocabulary and send token ids.
    options = {"check_embedding_ctx_length": False, "dimensions": 8}
    embeddings = OpenAIEmbeddings(model="plain", base_url=server["api"] + "/v1", api_key="sk-test", **options)
    first, other, again = embeddings.embed_documents(["a cat", "dogs", "a cat"])
    assert first == again == embeddings.embed_query("a cat") != other and len(first) == 8
