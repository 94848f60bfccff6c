"""Files and batches of OpenAI, and message batches of Anthropic, as their SDKs see them."""

import io
import json
import time

import anthropic
import openai
import pytest

HELLO = [{"role": "user", "content": "Hello"}]


def request(name, model="plain", **more):
    body = {"model": model, "messages": HELLO, **more}
    return {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}


def upload(client, requests, name="in.jsonl"):
    content = "\n".join(json.dumps(request) for request in requests)
    return client.files.create(file=(name, io.BytesIO(content.encode())), purpose="batch")


def until(look, is_over):
    """What `look` gives once it is over."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        seen = look()
        if is_over(seen):
            return seen
        time.sleep(0.01)
    raise AssertionError(f"it was never over: {seen}")


def over(client, batch):
    ends = {"completed", "failed", "cancelled", "expired"}
    return until(lambda: client.batches.retrieve(batch.id), lambda batch: batch.status in ends)


def create(client, requests, **more):
    file = upload(client, requests)
    endpoint = "/v1/chat/completions"
    return client.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window="24h", **more)


@pytest.fixture
def strict(server):
    """A client that checks every answer against the SDK's own types."""
    with openai.OpenAI(
        base_url=server["api"] + "/v1", api_key="sk-test", max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


@pytest.fixture
def messages(server):
    with anthropic.Anthropic(
        base_url=server["api"], api_key="sk-test", max_retries=0, _strict_response_validation=True
    ) as client:
        yield client.messages.batches


def test_a_file_is_kept_until_it_is_deleted(strict):
    file = upload(strict, [request("a")])
    assert (file.object, file.filename, file.purpose, file.status) == ("file", "in.jsonl", "batch", "processed")
    assert strict.files.retrieve(file.id) == file
    assert json.loads(strict.files.content(file.id).text)["custom_id"] == "a"
    assert file.id in [each.id for each in strict.files.list(purpose="batch")]
    assert strict.files.wait_for_processing(file.id).id == file.id
    assert strict.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        strict.files.retrieve(file.id)


def test_lists_of_files_are_read_page_by_page(strict):
    made = [upload(strict, [request("a")]).id for _ in range(5)]
    seen = [file.id for file in strict.files.list(limit=2, order="asc", after=made[0])]
    assert seen[:4] == made[1:]


def test_a_file_of_another_kind_is_no_input(strict):
    with pytest.raises(openai.BadRequestError, match="jsonl"):
        upload(strict, [request("a")], name="in.txt")
    file = strict.files.create(file=("notes.txt", b"hello"), purpose="user_data")
    with pytest.raises(openai.BadRequestError) as caught:
        strict.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    assert caught.value.param == "input_file_id"


def test_a_batch_is_answered(strict):
    begun = create(strict, [request(str(index)) for index in range(150)], metadata={"night": "first"})
    assert begun.status in ("validating", "in_progress", "finalizing", "completed")
    batch = over(strict, begun)
    assert (batch.status, batch.metadata, batch.model) == ("completed", {"night": "first"}, "plain")
    assert (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == (150, 150, 0)
    assert batch.created_at <= batch.in_progress_at <= batch.finalizing_at <= batch.completed_at
    assert batch.error_file_id is None
    lines = [json.loads(line) for line in strict.files.content(batch.output_file_id).iter_lines()]
    assert {line["custom_id"] for line in lines} == {str(index) for index in range(150)}
    bodies = [openai.types.chat.ChatCompletion.model_validate(line["response"]["body"]) for line in lines]
    assert batch.usage.total_tokens == sum(body.usage.total_tokens for body in bodies)
    assert batch.id in [each.id for each in strict.batches.list(limit=1)]


def test_refused_requests_are_in_a_file_of_their_own(strict):
    batch = over(strict, create(strict, [request("a"), request("b", max_tokens=-1)]))
    assert (batch.request_counts.completed, batch.request_counts.failed) == (1, 1)
    line = json.loads(strict.files.content(batch.error_file_id).text)
    assert (line["custom_id"], line["response"]["status_code"]) == ("b", 400)
    assert line["response"]["body"]["error"]["param"] == "max_tokens"


def test_a_wrong_input_fails_with_its_lines(strict):
    batch = over(strict, create(strict, [request("a"), request("a"), request("b", model="slow")]))
    assert batch.status == "failed" and batch.failed_at
    assert [(error.line, error.code) for error in batch.errors.data] == [(2, "duplicate_custom_id"), (3, "mismatched_model")]


def test_a_batch_is_cancelled(strict):
    begun = create(strict, [request(str(index), model="slow") for index in range(200)])
    assert strict.batches.cancel(begun.id).status == "cancelling"
    batch = over(strict, begun)
    assert batch.status == "cancelled" and batch.cancelling_at <= batch.cancelled_at
    lines = [json.loads(line) for line in strict.files.content(batch.error_file_id).iter_lines()]
    assert {line["error"]["code"] for line in lines} == {"batch_cancelled"}
    with pytest.raises(openai.ConflictError):
        strict.batches.cancel(begun.id)


def test_a_message_batch_is_answered(messages):
    params = {"model": "plain", "max_tokens": 50, "messages": HELLO}
    requests = [{"custom_id": str(index), "params": params} for index in range(20)]
    requests.append({"custom_id": "refused", "params": {**params, "model": "fails-429"}})
    begun = messages.create(requests=requests)
    assert begun.request_counts.processing == 21 and begun.results_url is None
    batch = until(lambda: messages.retrieve(begun.id), lambda batch: batch.processing_status == "ended")
    assert (batch.request_counts.succeeded, batch.request_counts.errored) == (20, 1)
    results = {result.custom_id: result.result for result in messages.results(batch.id)}
    assert len(results) == 21
    assert results["0"].type == "succeeded" and results["0"].message.content[0].type == "text"
    assert results["refused"].type == "errored" and results["refused"].error.error.type == "rate_limit_error"


def test_message_batches_are_listed_cancelled_and_deleted(messages):
    params = {"model": "slow", "max_tokens": 50, "messages": HELLO}
    begun = messages.create(requests=[{"custom_id": str(index), "params": params} for index in range(100)])
    with pytest.raises(anthropic.AnthropicError, match="finished processing"):
        messages.results(begun.id)
    with pytest.raises(anthropic.BadRequestError):
        messages.delete(begun.id)
    assert messages.cancel(begun.id).processing_status == "canceling"
    batch = until(lambda: messages.retrieve(begun.id), lambda batch: batch.processing_status == "ended")
    assert batch.request_counts.canceled > 0
    assert "canceled" in {result.result.type for result in messages.results(begun.id)}
    others = [messages.create(requests=[{"custom_id": "a", "params": {**params, "model": "plain"}}]) for _ in range(3)]
    assert [each.id for each in messages.list(limit=2)][:4] == [*(each.id for each in reversed(others)), begun.id]
    assert messages.delete(begun.id).type == "message_batch_deleted"
    with pytest.raises(anthropic.NotFoundError):
        messages.retrieve(begun.id)


def test_two_requests_of_one_name_are_refused(messages):
    one = {"custom_id": "a", "params": {"model": "plain", "max_tokens": 50, "messages": HELLO}}
    with pytest.raises(anthropic.BadRequestError, match="custom_id"):
        messages.create(requests=[one, one])
