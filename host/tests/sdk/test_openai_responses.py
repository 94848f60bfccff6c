"""The official OpenAI SDK's Responses, streamed and not."""

import asyncio
import json

import openai
import pydantic
import pytest

QUESTION = "Say hello to the whole crew, please."
WORDS = "one two three four five six seven eight nine ten"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
}


class Trip(pydantic.BaseModel):
    city: str
    days: int


@pytest.fixture
def strict(server):
    """A client that refuses answers that do not fit the vendor's own types."""
    with openai.OpenAI(
        base_url=server["api"] + "/v1", api_key="sk-test", max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


def test_a_whole_response_has_everything(strict):
    reply = strict.responses.create(model="plain", input=QUESTION, instructions="Be brief", metadata={"a": "b"})
    assert reply.id.startswith("resp_") and reply.object == "response"
    assert (reply.status, reply.error, reply.incomplete_details) == ("completed", None, None)
    [message] = reply.output
    assert (message.type, message.role, message.status) == ("message", "assistant", "completed")
    assert message.id.startswith("msg_") and reply.output_text == message.content[0].text
    assert (reply.instructions, reply.metadata, reply.tools, reply.tool_choice) == ("Be brief", {"a": "b"}, [], "auto")
    assert (reply.temperature, reply.top_p, reply.parallel_tool_calls, reply.truncation) == (1.0, 1.0, True, "disabled")
    assert reply.usage.output_tokens == 24
    assert reply.usage.total_tokens == reply.usage.input_tokens + 24
    assert reply._request_id.startswith("req_")


def test_a_stream_has_every_event_in_order(strict):
    events = list(strict.responses.create(model="plain", input=QUESTION, stream=True))
    types = [event.type.removeprefix("response.") for event in events]
    deltas = types.count("output_text.delta")
    assert deltas == 24
    assert types == (
        ["created", "in_progress", "output_item.added", "content_part.added"]
        + ["output_text.delta"] * deltas
        + ["output_text.done", "content_part.done", "output_item.done", "completed"]
    )
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    whole = strict.responses.create(model="plain", input=QUESTION)
    assert events[-1].response.output_text == text == whole.output_text


def test_the_streaming_helper_gathers_the_response(client):
    with client.responses.stream(model="plain", input=QUESTION) as stream:
        snapshots = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert snapshots[-1] == final.output_text
    assert final.usage.output_tokens == 24


def test_structured_output_fits_its_type(client):
    reply = client.responses.parse(model="plain", input="Plan a trip.", text_format=Trip)
    assert isinstance(reply.output_parsed, Trip)
    with client.responses.stream(model="plain", input="Plan a trip.", text_format=Trip) as stream:
        final = stream.get_final_response()
    assert isinstance(final.output_parsed, Trip)


def test_a_function_is_called_and_answered(strict):
    first = strict.responses.create(model="plain", input="The weather?", tools=[WEATHER], tool_choice="required")
    [call] = [item for item in first.output if item.type == "function_call"]
    assert call.name == "get_weather" and set(json.loads(call.arguments)) == {"city", "unit"}
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
    second = strict.responses.create(model="plain", input=[result], previous_response_id=first.id, tools=[WEATHER])
    assert second.previous_response_id == first.id
    # The same without the server's memory.
    history = [{"role": "user", "content": "The weather?"}, *[item.model_dump() for item in first.output], result]
    third = strict.responses.create(model="plain", input=history, store=False, tools=[WEATHER])
    assert third.usage.input_tokens == second.usage.input_tokens


def test_a_function_call_streams_its_arguments(client):
    with client.responses.stream(
        model="plain", input="The weather?", tools=[WEATHER], tool_choice={"type": "function", "name": "get_weather"}
    ) as stream:
        events = list(stream)
    [done] = [event for event in events if event.type == "response.function_call_arguments.done"]
    deltas = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    assert "".join(deltas) == done.arguments and done.name == "get_weather"
    assert json.loads(done.arguments)["unit"] in ("celsius", "fahrenheit")


def test_a_custom_tool_gets_a_text(strict):
    tool = {"type": "custom", "name": "run_sql", "description": "Runs SQL."}
    choice = {"type": "custom", "name": "run_sql"}
    reply = strict.responses.create(model="plain", input="How many?", tools=[tool], tool_choice=choice)
    [call] = [item for item in reply.output if item.type == "custom_tool_call"]
    assert call.name == "run_sql" and isinstance(call.input, str)
    result = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "3"}
    assert strict.responses.create(model="plain", input=[result], previous_response_id=reply.id).status == "completed"


def test_thoughts_are_summarised_where_it_is_wanted(client):
    options = {"model": "plain", "input": QUESTION, "reasoning": {"effort": "low", "summary": "auto"}}
    reply = client.responses.create(**options)
    assert reply.output[0].type == "reasoning" and reply.output[0].summary[0].text
    assert reply.usage.output_tokens_details.reasoning_tokens > 0
    events = list(client.responses.create(stream=True, **options))
    summary = "".join(event.delta for event in events if event.type == "response.reasoning_summary_text.delta")
    assert summary == reply.output[0].summary[0].text


def test_log_probabilities_are_included(strict):
    reply = strict.responses.create(
        model="plain", input=QUESTION, include=["message.output_text.logprobs"], top_logprobs=2
    )
    logprobs = reply.output[0].content[0].logprobs
    assert "".join(entry.token for entry in logprobs) == reply.output_text
    assert all(len(entry.top_logprobs) == 2 and entry.logprob < 0 for entry in logprobs)


def test_a_reply_that_reaches_its_bound_is_incomplete(strict):
    reply = strict.responses.create(model="plain", input=QUESTION, max_output_tokens=16)
    assert (reply.status, reply.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert reply.usage.output_tokens == 16
    events = list(strict.responses.create(model="plain", input=QUESTION, max_output_tokens=16, stream=True))
    assert events[-1].type == "response.incomplete"


def test_a_response_is_retrieved_listed_and_deleted(strict):
    made = strict.responses.create(model="plain", input=QUESTION)
    assert strict.responses.retrieve(made.id).output_text == made.output_text
    [item] = list(strict.responses.input_items.list(made.id))
    assert item.content[0].text == QUESTION
    with pytest.raises(openai.BadRequestError, match="synchronous"):
        strict.responses.cancel(made.id)
    strict.responses.delete(made.id)
    for ask in (strict.responses.retrieve, strict.responses.delete, strict.responses.cancel):
        with pytest.raises(openai.NotFoundError, match=f"Response with id '{made.id}' not found"):
            ask(made.id)
    with pytest.raises(openai.BadRequestError) as raised:
        strict.responses.create(model="plain", input="And?", previous_response_id=made.id)
    assert (raised.value.code, raised.value.param) == ("previous_response_not_found", "previous_response_id")


def test_pages_of_input_items_follow_each_other(strict):
    said = [{"role": "user", "content": f"message {number}"} for number in range(5)]
    made = strict.responses.create(model="plain", input=said)
    listed = [item.content[0].text for item in strict.responses.input_items.list(made.id, limit=2, order="asc")]
    assert listed == [message["content"] for message in said]


def test_input_tokens_are_those_of_the_response(strict):
    reply = strict.responses.create(model="plain", input=QUESTION, instructions="Be brief")
    count = strict.responses.input_tokens.count(model="plain", input=QUESTION, instructions="Be brief")
    assert count.input_tokens == reply.usage.input_tokens


def test_bad_requests_name_the_field(client):
    with pytest.raises(openai.BadRequestError) as raised:
        client.responses.create(model="plain", input=QUESTION, max_output_tokens=1)
    assert (raised.value.code, raised.value.param) == ("integer_below_min_value", "max_output_tokens")
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="nobody", input=QUESTION)
    with pytest.raises(openai.BadRequestError, match="background"):
        client.responses.create(model="plain", input=QUESTION, background=True)


@pytest.mark.parametrize(
    ("model", "exception"),
    [
        ("fails-401", openai.AuthenticationError),
        ("fails-403", openai.PermissionDeniedError),
        ("fails-429", openai.RateLimitError),
        ("fails-500", openai.InternalServerError),
        ("fails-503", openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_refusals_are_the_sdks_exceptions(client, model, exception, stream):
    with pytest.raises(exception):
        client.responses.create(model=model, input=QUESTION, stream=stream)


def test_retries_lead_to_the_response(server):
    with openai.OpenAI(base_url=server["api"] + "/v1", api_key="sk-test", max_retries=2) as client:
        assert client.responses.create(model="fails-twice", input="Try again: a question of its own").status == "completed"


@pytest.fixture
def broken(faulty):
    with openai.OpenAI(base_url=faulty["api"] + "/v1", api_key="sk-test", max_retries=0) as client:
        yield client


def streamed(client, model):
    """The text that came, and the exception or `None`."""
    text = ""
    try:
        for event in client.responses.create(model=model, input="Hello", stream=True):
            if event.type == "response.output_text.delta":
                text += event.delta
    except Exception as error:
        return text, error
    return text, None


def test_an_error_inside_a_stream_is_raised(broken):
    text, error = streamed(broken, "error-event")
    assert text == "one two three four"
    assert type(error) is openai.APIError and error.message == "Lost"


def test_a_cut_stream_is_a_broken_connection(broken):
    text, error = streamed(broken, "cut-reset")
    assert text == "one two three four" and isinstance(error, openai.APIConnectionError)


def test_a_stream_without_its_end_has_no_final_response(broken):
    assert streamed(broken, "missing-end") == (WORDS, None)
    with broken.responses.stream(model="missing-end", input="Hello") as stream:
        with pytest.raises(RuntimeError, match="response.completed"):
            stream.get_final_response()


def test_a_refusal_is_a_part_of_its_own(broken):
    reply = broken.responses.create(model="refusal", input="Hello")
    assert reply.output[0].content[0].refusal == "No." and reply.output_text == ""


def test_a_filtered_reply_is_incomplete(broken):
    reply = broken.responses.create(model="content-filter", input="Hello")
    assert (reply.status, reply.incomplete_details.reason) == ("incomplete", "content_filter")


def test_the_asynchronous_client_reads_the_same(server):
    async def ask():
        async with openai.AsyncOpenAI(base_url=server["api"] + "/v1", api_key="sk-test") as client:
            async with client.responses.stream(model="plain", input=QUESTION) as stream:
                async for _ in stream:
                    pass
                return (await stream.get_final_response()).output_text

    assert asyncio.run(ask())
