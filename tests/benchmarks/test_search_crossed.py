"""Nets of several devices' searches compared on each: which with which, predicted and timed, and what is said of it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "benchmarks"))
import search_crossed
from search_crossed import Figures, Searched, bench_options, pairs_of, report

from lutbench.lut.file import write_lut
from lutbench.space.file import parse_space
from tests.conftest import TINY_TOML
from tests.search.made import made_lut

LUTS = (Path("a.csv"), Path("b.csv"), Path("c.csv"))
US = {"a": {"a0": 1000.0, "b0": 2000.0, "b1": 1500.0, "c0": 1600.0}, "b": {"a0": 3000.0, "b0": 2000.0, "c0": 1000.0}}
US["c"] = US["b"]


def net(name: str, cross_entropy: float) -> dict[str, Any]:
    return {"path": name, "cross_entropy": cross_entropy}


def found() -> list[list[Searched]]:
    """One seed of three devices; b's second net is as good as a's first."""
    nets = ([net("a0", 0.2)], [net("b0", 0.1), net("b1", 0.21)], [net("c0", 0.2)])
    return [[Searched(list(own), 1.0) for own in nets]]


def test_every_device_s_best_net_is_compared_with_every_other_search_s() -> None:
    pairs = list(pairs_of(found()))
    equal = [(p.home, p.other, p.own_net["path"], p.other_net["path"]) for p in pairs if p.equal]
    best = [(p.home, p.other, p.other_net["path"]) for p in pairs if not p.equal]
    assert equal == [
        (0, 1, "a0", "b1"),
        (0, 2, "a0", "c0"),
        (1, 0, "b0", "a0"),
        (1, 2, "b0", "c0"),
        (2, 0, "c0", "a0"),
        (2, 1, "c0", "b1"),
    ]
    assert best == [(0, 1, "b0"), (0, 2, "c0"), (1, 0, "a0"), (1, 2, "c0"), (2, 0, "a0"), (2, 1, "b0")]


def test_timed_nets_are_told_beside_predicted_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lutbench(command: str, *arguments: str) -> dict[str, Any]:
        """Predictions are twice what is timed."""
        device = Path(arguments[arguments.index("--lut") + 1]).stem
        paths = [text for text in arguments if text in ("a0", "b0", "b1", "c0")]
        us = [US[device].get(path, 4000.0) for path in paths]
        if command == "predict":
            return {"nets": [{"latency_us": 2 * one} for one in us]}
        assert command == "bench" and arguments[arguments.index("--max-rounds") + 1] == "60"
        return {"nets": [{"latency_us": one, "ci_low_us": one - 10, "ci_high_us": one + 10} for one in us]}

    monkeypatch.setattr(search_crossed, "lutbench", lutbench)
    monkeypatch.setattr(search_crossed, "bench_options", lambda lut: ["--lut", str(lut)])
    figures, pairs = Figures(LUTS), list(pairs_of(found()))
    figures.time_all(["a0", "b0", "b1", "c0"], 60)
    report(pairs, figures)
    said = capsys.readouterr().out
    assert "| 0 | a | b | 2.00 | 1.000 ± 0.010 | 0.200 | - | 3.00 | 1.500 ± 0.010 | 0.210 | - | 0.667 | 0.667 |" in said
    assert "Timed: a net is faster on its own device in 5 of 6 cases; on a its own take 0.645 of the others'" in said


def test_a_net_that_was_not_timed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = {"nets": [{"latency_us": None, "status": "failed: no memory"}]}
    monkeypatch.setattr(search_crossed, "lutbench", lambda *_: nothing)
    monkeypatch.setattr(search_crossed, "bench_options", lambda lut: ["--lut", str(lut)])
    with pytest.raises(RuntimeError, match=r"a0 was not timed on a: failed: no memory"):
        Figures(LUTS).time_all(["a0"], 60)


def test_nets_are_timed_as_the_lut_s_operators_were(tmp_path: Path) -> None:
    space = parse_space(TINY_TOML, Path("tiny.toml")).scaled(32, 1.0)
    lut = made_lut(space)
    about = replace(lut.metadata, device="host", runtime="executorch 1.5.1 (xnnpack)", dtype="int8", threads=2)
    about = replace(about, space=replace(about.space, definition=TINY_TOML))
    path = tmp_path / "e.csv"
    write_lut(replace(lut, metadata=about), path)
    told = "--device host --runtime executorch --dtype int8 --threads 2 --lut"
    assert bench_options(path) == [*told.split(), str(path)]
