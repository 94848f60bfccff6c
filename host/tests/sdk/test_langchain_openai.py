"""LangChain's OpenAI chat model, by Responses and by chat completions."""

import pydantic
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

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
