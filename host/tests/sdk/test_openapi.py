"""Requests that the description of the API allows, and others that it does not, get answers that it describes."""

import json
import os
import subprocess

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from conftest import ROOT, start

BINARY = os.environ.get("SIMWRIGHT_BIN", str(ROOT / "target" / "debug" / "simwright"))
DESCRIPTION = json.loads(subprocess.run([BINARY, "schema", "--api"], capture_output=True, text=True, check=True).stdout)
CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]

schema = schemathesis.openapi.from_dict(DESCRIPTION)


@pytest.fixture(scope="session")
def quick(tmp_path_factory):
    """A server that answers everything at once."""
    scenario = tmp_path_factory.mktemp("openapi") / "scenario.yaml"
    scenario.write_text("simwright: 1\nmodels: [{ match: '*', latency: { constant: {} }, reply: { fixed: { text: fine } } }]\n")
    process, addresses = start(str(scenario))
    yield addresses
    process.terminate()
    assert process.wait(timeout=40) == 0


@schema.parametrize()
@settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_answers_are_as_described(case, quick):
    case.call_and_validate(base_url=quick["api"], checks=CHECKS)
