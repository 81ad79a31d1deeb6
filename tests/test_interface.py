"""The examples in the docstrings of what `import lutbench` offers are run, with their output."""

from __future__ import annotations

import doctest
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import lutbench
from lutbench import interface
from tests.conftest import TINY_TOML

READING = ("Net", "Space", "diff", "predict", "read_lut")
MEASURING = ("profile", "verify", "bench", "search")  # in this order: each takes what profile wrote


def examples(name: str) -> list[doctest.DocTest]:
    found = doctest.DocTestFinder(recurse=False).find(getattr(interface, name), name)
    assert found and found[0].examples, f"{name} has no example"
    return found


def run(name: str) -> None:
    for test in examples(name):
        outcome = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)
        assert outcome.attempted and not outcome.failed


def test_everything_offered_is_listed_and_documented() -> None:
    assert set(READING + MEASURING) == set(interface.__all__) == {n for n in dir(lutbench) if n != "__version__"}
    for name in interface.__all__:
        assert getattr(lutbench, name) and inspect.getdoc(getattr(interface, name))


@pytest.mark.parametrize("name", READING)
def test_examples_that_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(name)


@pytest.mark.slow
def test_examples_that_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(TINY_TOML)
    for name in MEASURING:
        run(name)


@pytest.mark.slow
def test_importing_loads_nothing_heavy_and_search_is_both_folder_and_function() -> None:
    code = (
        "import sys, lutbench; dir(lutbench); lutbench.predict('s8', 'fbnet_a'); assert 'torch' not in sys.modules\n"
        "import lutbench.search.budget; assert callable(lutbench.search); from lutbench.search import budget"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
