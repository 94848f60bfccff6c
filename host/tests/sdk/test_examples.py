"""Every `python` block of an example's README holds what it asserts, against a server with the example's scenario."""

import os
import re
import subprocess
import sys

import pytest

from conftest import ROOT, start

WRITTEN = "http://127.0.0.1:8080"


def blocks():
    found = []
    for readme in sorted((ROOT / "examples").glob("*/README.md")):
        for block in re.finditer(r"^```python\n(.*?)^```$", readme.read_text(), re.MULTILINE | re.DOTALL):
            line = readme.read_text().count("\n", 0, block.start()) + 2
            found.append(pytest.param(readme, line, block[1], id=f"{readme.parent.name}:{line}"))
    return found


def test_there_are_blocks():
    assert len(blocks()) >= 2


@pytest.mark.parametrize("readme, line, block", blocks())
def test_block_of_an_examples_readme(readme, line, block):
    assert WRITTEN in block, "the block asks no server"
    process, addresses = start(str(readme.parent / "scenario.yaml"))
    try:
        # A person runs it in the example's folder. Empty lines before it let a traceback name the README's lines.
        program = "\n" * (line - 1) + block.replace(WRITTEN, addresses["api"])
        run = subprocess.run(
            [sys.executable, "-c", program], cwd=readme.parent, capture_output=True, text=True, timeout=120, env=clean_environment()
        )
        assert run.returncode == 0, f"{readme}:{line}\n{run.stdout}{run.stderr}"
    finally:
        process.terminate()
        assert process.wait(timeout=40) in (0, 4)


def clean_environment():
    """Without what would point an SDK elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
