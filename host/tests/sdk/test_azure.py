"""The official SDK against Azure's form of the API: deployments in paths, versions in queries, what filters found."""

import urllib.error
import urllib.request

import openai
import pytest

from conftest import HERE, start

HELLO = [{"role": "user", "content": "Say hello to the whole crew, please."}]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False},
    },
}


@pytest.fixture(scope="module")
def server():
    process, addresses = start(str(HERE / "azure.yaml"))
    yield addresses
    process.terminate()
    assert process.wait(timeout=40) == 0


def client_of(server, **options):
    options = {"max_retries": 0, **options}
    return openai.AzureOpenAI(azure_endpoint=server["api"], api_key="key", api_version="2024-10-21", **options)


@pytest.fixture
def client(server):
    with client_of(server) as client:
        yield client


def test_a_whole_reply_tells_what_filters_found(client):
    raw = client.chat.completions.with_raw_response.create(model="mini", messages=HELLO)
    assert raw.headers["apim-request-id"] and raw.headers["x-ms-region"]
    reply = raw.parse()
    assert reply.model == "mini"
    assert reply.usage.completion_tokens == 24
    [choice] = reply.choices
    assert choice.message.content and choice.finish_reason == "stop"
    assert choice.model_extra["content_filter_results"]["hate"] == {"filtered": False, "severity": "safe"}
    assert reply.model_extra["prompt_filter_results"][0]["content_filter_results"]["jailbreak"] == {"filtered": False, "detected": False}


def test_a_stream_begins_with_what_filters_found_in_the_prompt(client):
    chunks = list(client.chat.completions.create(model="mini", messages=HELLO, stream=True, stream_options={"include_usage": True}))
    first = chunks[0]
    assert (first.id, first.model, first.created, first.choices) == ("", "", 0, [])
    assert first.model_extra["prompt_filter_results"][0]["prompt_index"] == 0
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert choices[0].delta.role == "assistant"
    assert [choice.model_extra["content_filter_results"] != {} for choice in choices] == [False] + [True] * 24 + [False]
    whole = client.chat.completions.create(model="mini", messages=HELLO).choices[0].message.content
    assert "".join(choice.delta.content or "" for choice in choices) == whole
    assert chunks[-1].usage.completion_tokens == 24


def test_tools_are_called(client):
    reply = client.chat.completions.create(model="mini", messages=HELLO, tools=[TOOL], tool_choice="required")
    assert reply.choices[0].message.tool_calls[0].function.name == "get_weather"
    with client.chat.completions.stream(model="mini", messages=HELLO, tools=[TOOL], tool_choice="required") as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.tool_calls[0].function.arguments == reply.choices[0].message.tool_calls[0].function.arguments


def test_the_path_names_the_model(server):
    with client_of(server, azure_deployment="mini") as client:
        assert client.chat.completions.create(model="anything", messages=HELLO).model == "mini"


def test_limits_are_told_in_whole_seconds(client):
    headers = client.chat.completions.with_raw_response.create(model="limited", messages=HELLO).headers
    assert headers["x-ratelimit-limit-requests"] == "600"
    assert int(headers["x-ratelimit-remaining-tokens"]) < 100_000
    assert headers["x-ratelimit-reset-requests"].isdigit() and headers["x-ratelimit-reset-tokens"].isdigit()


def test_an_unknown_deployment_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="nope", messages=HELLO)
    assert caught.value.code == "DeploymentNotFound"


def test_a_filtered_prompt_says_by_which_filter(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="filtered-prompt", messages=HELLO)
    assert (caught.value.code, caught.value.param) == ("content_filter", "prompt")
    inner = caught.value.body["innererror"]
    assert inner["code"] == "ResponsibleAIPolicyViolation"
    assert inner["content_filter_result"]["hate"]["filtered"] is True


@pytest.mark.parametrize("stream", [False, True])
def test_a_filtered_reply_says_by_which_filter(client, stream):
    reply = client.chat.completions.create(model="filtered-reply", messages=HELLO, stream=stream)
    last = [chunk for chunk in reply if chunk.choices][-1] if stream else reply
    assert last.choices[0].finish_reason == "content_filter"
    assert last.choices[0].model_extra["content_filter_results"]["hate"] == {"filtered": True, "severity": "high"}


@pytest.mark.parametrize(
    ("model", "error", "code"),
    [
        ("fails-401", openai.AuthenticationError, "401"),
        ("fails-429", openai.RateLimitError, "429"),
        ("fails-500", openai.InternalServerError, "InternalServerError"),
        ("fails-503", openai.InternalServerError, "ServiceUnavailable"),
    ],
)
def test_refusals_have_the_gateways_codes(client, model, error, code):
    with pytest.raises(error) as caught:
        client.chat.completions.create(model=model, messages=HELLO)
    assert caught.value.code == code


def test_a_limit_is_waited_for_and_tried_again(server):
    with client_of(server, max_retries=3) as client:
        raw = client.chat.completions.with_raw_response.create(model="recovers", messages=HELLO)
    assert raw.retries_taken == 2


def test_a_request_without_a_version_finds_nothing(server):
    url = server["api"] + "/openai/deployments/mini/chat/completions"
    request = urllib.request.Request(url, b'{"messages":[]}', {"api-key": "key", "content-type": "application/json"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert caught.value.code == 404
    assert caught.value.read() == b'{"error":{"code":"404","message":"Resource not found"}}'


def test_the_newer_form_is_openais_own(server):
    with openai.OpenAI(base_url=server["api"] + "/openai/v1", api_key="key") as client:
        assert client.chat.completions.create(model="mini", messages=HELLO).choices[0].message.content


def test_completions_and_embeddings_of_deployments(client):
    reply = client.completions.create(model="mini", prompt="Once upon a time", max_tokens=8)
    assert reply.model == "mini" and reply.choices[0].text
    assert reply.choices[0].model_extra["content_filter_results"]["hate"] == {"filtered": False, "severity": "safe"}
    assert [one["prompt_index"] for one in reply.model_extra["prompt_filter_results"]] == [0]
    first, *chunks = client.completions.create(model="mini", prompt=["Once", "Twice"], max_tokens=8, stream=True)
    assert first.choices == [] and [one["prompt_index"] for one in first.model_extra["prompt_filter_results"]] == [0, 1]
    assert all(isinstance(chunk.choices[0].model_extra["content_filter_results"], dict) for chunk in chunks)
    cut = client.completions.create(model="filtered-reply", prompt="Once")
    assert cut.choices[0].finish_reason == "content_filter"
    assert cut.choices[0].model_extra["content_filter_results"]["hate"]["filtered"]
    [one, same] = client.embeddings.create(model="mini", input=["a cat", "a cat"]).data
    assert one.embedding == same.embedding


def test_a_filter_that_looks_later_sends_choices_without_a_delta(tmp_path):
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text((HERE / "azure.yaml").read_text() + "api: { azure-filters: asynchronous }\n")
    process, addresses = start(str(scenario))
    try:
        with client_of(addresses) as client:
            chunks = list(client.chat.completions.create(model="mini", messages=HELLO, stream=True))
    finally:
        process.terminate()
        process.wait(timeout=40)
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    annotations = [choice for choice in choices if choice.delta is None]
    text = "".join(choice.delta.content or "" for choice in choices if choice.delta)
    assert annotations and annotations[-1].model_extra["content_filter_offsets"]["end_offset"] == len(text)


def test_models_say_what_they_can_do(client):
    mini = {model.id: model for model in client.models.list()}["mini"]
    assert (mini.object, mini.model_extra["status"], mini.model_extra["lifecycle_status"]) == ("model", "succeeded", "generally-available")
    assert mini.model_extra["capabilities"]["chat_completion"] and not mini.model_extra["capabilities"]["fine_tune"]
    assert client.models.retrieve("mini") == mini
