"""Starts the real server once and hands out official clients that point at it."""

import os
import pathlib
import subprocess
import urllib.request

import openai
import pytest

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]


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


@pytest.fixture
def struck(vendors):
    """How often the fault of a model of theirs has struck."""
    return lambda model: sample(vendors["admin"], "simwright_faults_total", model=model)


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
    import urllib.request

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
