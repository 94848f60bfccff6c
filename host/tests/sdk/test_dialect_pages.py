"""What the pages of dialects show holds: their Python, against a server with their scenario."""

import re
import subprocess
import sys

import pytest

from conftest import ROOT, start

WRITTEN = "http://127.0.0.1:8080"


@pytest.mark.parametrize("name", ["anthropic", "gemini", "openai-chat", "openai-responses"])
def test_the_python_of_a_page_holds(name, tmp_path):
    page = (ROOT / "docs" / "dialects" / f"{name}.md").read_text()
    [scenario], [program] = (re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL) for language in ("yaml", "python"))
    assert WRITTEN in program, "the program asks no server"
    (tmp_path / "scenario.yaml").write_text(scenario)
    process, addresses = start(str(tmp_path / "scenario.yaml"))
    try:
        run = subprocess.run([sys.executable, "-c", program.replace(WRITTEN, addresses["api"])], capture_output=True, text=True, timeout=120)
        assert run.returncode == 0, run.stdout + run.stderr
    finally:
        process.terminate()
        assert process.wait(timeout=40) == 0
