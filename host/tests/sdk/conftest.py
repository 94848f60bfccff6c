"""Starts the real server once and hands out official clients that point at it."""

import json
import os
import pathlib
import subprocess
import urllib.error
import urllib.request

import openai
import pydantic
import pytest

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]
# What the models with faults would say, and what of it comes before the faults inside a reply.
WORDS = "one two three four five six seven eight nine ten"
FOUR = "one two three four"


def start(*arguments):
    binary = os.environ.get("SIMWRIGHT_BIN", str(ROOT / "target" / "debug" / "simwright"))
    command = [binary, "serve", *arguments, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    assert line.startswith("ready api="), f"no ready line: {line!r}"
    addresses = dict(part.split("=", 1) for part in line.split()[1:])
    return process, addresses


@pytest.fixture(scope="session")
def server():
    process, addresses = start(str(HERE / "scenario.yaml"))
    yield addresses
    process.terminate()
    assert process.wait(timeout=40) == 0


@pytest.fixture(scope="session")
def faulty():
    """A server with a model for each fault."""
    process, addresses = start(str(HERE / "faults.yaml"))
    yield addresses
    process.terminate()
    assert process.wait(timeout=40) == 0


@pytest.fixture(scope="session")
def vendors():
    """A server for the SDKs of other vendors: models of all kinds, and one for each fault."""
    process, addresses = start(str(HERE / "vendors.yaml"))
    yield addresses
    process.terminate()
    assert process.wait(timeout=40) == 0


@pytest.fixture(scope="session")
def described():
    """A server whose answers are compared with the vendors' descriptions of them."""
    process, addresses = start(str(HERE / "documents.yaml"))
    yield addresses
    process.terminate()
    assert process.wait(timeout=40) == 0


def ask(api, method, path, body=None, headers={}):
    """The status and the text of what is answered."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(api + path, data, {"content-type": "application/json", **headers}, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def whole(api, method, path, body=None, headers={}):
    """The JSON of what is answered with 200."""
    status, text = ask(api, method, path, body, headers)
    assert status == 200, text
    return json.loads(text)


def events(api, path, body, headers={}):
    """The JSON of every event of a stream."""
    status, text = ask(api, "POST", path, {**body, "stream": True}, headers)
    assert status == 200, text
    data = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
    return [json.loads(each) for each in data if each != "[DONE]"]


@pytest.fixture
def struck(vendors):
    """How often the fault of a model of theirs has struck."""
    return strikes(vendors)


def strikes(addresses):
    """A function that says how often the fault of a model of a server has struck."""
    return lambda model: sample(addresses["admin"], "simwright_faults_total", model=model)


def meeting(struck, read):
    """A function that asks `model` by `read`, which gives the texts as they come, and tells what came of it: what was there before the
    exception, the exception or None, and the number of attempts that were struck."""

    def meet(model, stream, **options):
        before, came, error = struck(model), [], None
        try:
            for text in read(model, stream, **options):
                came.append(text or "")
        except Exception as raised:
            error = raised
        return "".join(came), error, struck(model) - before

    return meet


class Trip(pydantic.BaseModel):
    """What replies to the fault of broken structures should have been."""

    model_config = pydantic.ConfigDict(extra="forbid")
    city: str
    days: int


def sample(admin, name, **labels):
    """The sum of all samples of `name` in `/metrics` that have the labels."""
    with urllib.request.urlopen(admin + "/metrics") as answer:
        lines = answer.read().decode().splitlines()
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    found = (line for line in lines if line.startswith(name + "{") and all(label in line for label in wanted))
    return sum(float(line.rsplit(" ", 1)[1]) for line in found)


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server["api"] + "/v1", api_key="sk-test", max_retries=0) as client:
        yield client


@pytest.fixture
def metrics(server):
    """Reads one sample of `/metrics` by its name and labels."""

    def read(name, **labels):
        with urllib.request.urlopen(server["admin"] + "/metrics") as answer:
            text = answer.read().decode()
        total = 0.0
        for line in text.splitlines():
            if line.startswith(name):
                if all(f'{key}="{value}"' in line for key, value in labels.items()):
                    total += float(line.rsplit(" ", 1)[1])
        return total

    return read
