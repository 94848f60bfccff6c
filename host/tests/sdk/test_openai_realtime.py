"""Realtime sessions as the official SDK opens them: `client.realtime.connect`, in text."""

import asyncio
import json

import openai
import pytest
import websockets.exceptions

TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def user(text):
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def until(connection, kind):
    events = []
    for event in connection:
        events.append(event)
        if event.type == kind:
            return events
    raise AssertionError(f"no {kind} among {[event.type for event in events]}")


def text(events):
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


@pytest.fixture
def connection(client):
    with client.realtime.connect(model="plain") as connection:
        created = connection.recv()
        assert (created.type, created.session.model) == ("session.created", "plain")
        yield connection


def test_a_session_is_updated_and_shows_it(connection):
    connection.session.update(session={"type": "realtime", "instructions": "Be brief.", "output_modalities": ["text"]})
    updated = connection.recv()
    assert (updated.type, updated.session.instructions) == ("session.updated", "Be brief.")
    assert updated.session.output_modalities == ["text"]


def test_a_conversation_of_two_turns(connection):
    totals = []
    for turn in ("Hello", "And then?"):
        connection.conversation.item.create(item=user(turn))
        connection.response.create()
        events = until(connection, "rate_limits.updated")
        done = next(event for event in events if event.type == "response.done").response
        assert done.status == "completed"
        assert done.output[0].content[0].text == text(events) != ""
        assert next(event for event in events if event.type == "response.output_text.done").text == text(events)
        assert done.usage.input_tokens + done.usage.output_tokens == done.usage.total_tokens
        totals.append(done.usage.input_tokens)
    assert totals[1] > totals[0]


def test_events_come_in_the_vendors_order_and_are_of_known_types(connection):
    connection.conversation.item.create(item=user("Hello"))
    connection.response.create()
    order = []
    for event in until(connection, "response.done"):
        assert type(event).__name__ != "UnknownEvent" and event.event_id.startswith("event_")
        if not order or order[-1] != event.type:
            order.append(event.type)
    assert order == [
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]


def test_a_function_is_called_and_its_output_answered(connection):
    connection.session.update(session={"type": "realtime", "tools": [TOOL]})
    connection.conversation.item.create(item=user("What is the weather in Paris?"))
    connection.response.create(response={"tool_choice": "required"})
    events = until(connection, "response.done")
    done = next(event for event in events if event.type == "response.function_call_arguments.done")
    deltas = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    assert done.name == "get_weather" and "".join(deltas) == done.arguments
    assert "city" in json.loads(done.arguments)
    call = events[-1].response.output[0]
    assert (call.type, call.call_id, call.arguments) == ("function_call", done.call_id, done.arguments)
    connection.conversation.item.create(item={"type": "function_call_output", "call_id": call.call_id, "output": "sunny"})
    connection.response.create(response={"tool_choice": "none"})
    assert text(until(connection, "response.done"))


def test_items_are_retrieved_and_deleted(connection):
    connection.conversation.item.create(item={"id": "mine", **user("Hello")})
    until(connection, "conversation.item.done")
    connection.conversation.item.retrieve(item_id="mine")
    retrieved = connection.recv()
    assert (retrieved.type, retrieved.item.content[0].text) == ("conversation.item.retrieved", "Hello")
    connection.conversation.item.delete(item_id="mine")
    assert (connection.recv().item_id) == "mine"
    connection.conversation.item.delete(item_id="mine", event_id="again")
    error = connection.recv()
    assert (error.type, error.error.code, error.error.event_id) == ("error", "item_delete_invalid_item_id", "again")


def test_a_response_is_cancelled(client):
    with client.realtime.connect(model="slow") as connection:
        connection.conversation.item.create(item=user("Hello"))
        connection.response.create()
        until(connection, "response.output_text.delta")
        connection.response.cancel()
        done = until(connection, "response.done")[-1].response
        assert (done.status, done.status_details.reason) == ("cancelled", "client_cancelled")


def test_a_response_out_of_band_has_metadata_and_leaves_no_trace(connection):
    connection.response.create(response={"conversation": "none", "metadata": {"topic": "x"}, "input": [user("Classify.")]})
    events = until(connection, "response.done")
    done = events[-1].response
    assert (done.metadata, done.conversation_id) == ({"topic": "x"}, None)
    assert not [event for event in events if event.type.startswith("conversation.")]


def test_sound_is_refused_in_a_sentence(connection):
    connection.input_audio_buffer.append(audio="AAAA")
    error = connection.recv()
    assert (error.type, error.error.code) == ("error", "unsupported_audio")
    assert "not simulated" in error.error.message
    connection.input_audio_buffer.clear()
    assert connection.recv().type == "input_audio_buffer.cleared"


def test_a_limit_fails_the_response_and_the_session_goes_on(client):
    with client.realtime.connect(model="fails-429") as connection:
        connection.recv()
        for _ in range(2):
            connection.response.create(event_id="mine")
            done = until(connection, "response.done")[-1].response
            assert (done.status, done.status_details.type) == ("failed", "failed")
            assert done.status_details.error.code == "rate_limit_exceeded"


def test_a_refusal_is_an_error_event_and_the_session_goes_on(client):
    with client.realtime.connect(model="fails-400") as connection:
        connection.recv()
        for _ in range(2):
            connection.response.create(event_id="mine")
            error = connection.recv()
            assert (error.type, error.error.type, error.error.event_id) == ("error", "invalid_request_error", "mine")


def test_an_unknown_model_is_refused_before_the_session(client):
    with pytest.raises(websockets.exceptions.InvalidStatus) as caught:
        client.realtime.connect(model="nobody").enter()
    assert caught.value.response.status_code == 404
    assert json.loads(caught.value.response.body)["error"]["code"] == "model_not_found"


@pytest.mark.parametrize("model", ["cut-close", "cut-reset"])
def test_a_cut_ends_the_connection(faulty, model):
    with openai.OpenAI(base_url=faulty["api"] + "/v1", api_key="sk-test") as client:
        with client.realtime.connect(model=model) as connection:
            connection.response.create()
            with pytest.raises(websockets.exceptions.ConnectionClosedError):
                while True:
                    connection.recv()


def test_an_error_event_fails_the_response(faulty):
    with openai.OpenAI(base_url=faulty["api"] + "/v1", api_key="sk-test") as client:
        with client.realtime.connect(model="error-event") as connection:
            connection.response.create()
            events = until(connection, "response.done")
            assert [event.error.message for event in events if event.type == "error"] == ["Lost"]
            assert events[-1].response.status == "failed"


def test_the_asynchronous_client_too(server):
    async def answer():
        async with openai.AsyncOpenAI(base_url=server["api"] + "/v1", api_key="sk-test") as client:
            async with client.realtime.connect(model="plain") as connection:
                await connection.conversation.item.create(item=user("Hello"))
                await connection.response.create()
                said = []
                async for event in connection:
                    said.append(event)
                    if event.type == "response.done":
                        return said

    events = asyncio.run(answer())
    assert text(events) == events[-1].response.output[0].content[0].text != ""
