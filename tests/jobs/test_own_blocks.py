"""Blocks that a runtime cannot export cost their own rows: what is made of several operators is made of the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lutbench.device_agents.registry import Device
from lutbench.errors import ExportError, SpaceError
from lutbench.export.artifact import Artifact
from lutbench.export.exporters import find_exporter
from lutbench.export.pool import Result
from lutbench.jobs import artifacts, profile
from lutbench.jobs.profile import ProfileRequest
from lutbench.jobs.tuning import TUNING_NETS, choose_canaries, draw_tuning_nets
from lutbench.measure.protocol import Protocol
from lutbench.space.definition import Counted
from lutbench.space.file import parse_space
from lutbench.space.macro import Space
from lutbench.space.net import Net
from lutbench.space.sampling import random_nets
from lutbench.space.workload import Workload, workload_name

TEXT = """\
name = "own"
resolution = 16
classes = 4
candidates = ["k3_e1", "k5_e1", "k3_e2", "module_my.blocks:make"]

[stem]
channels = 8

[[stage]]
channels = 8
layers = 3

[head]
channels = 16
"""
NAME = "module_my.blocks:make_8x8x8_8_s1"


@pytest.fixture
def space() -> Space:
    found = parse_space(TEXT, Path("own.toml"))
    return replace(found, counts={NAME: Counted(5000, 10)})  # between the others: the canary that would be chosen


def uses(net: Net) -> bool:
    return any(operator.name == NAME for operator in net.operators)


def test_nets_and_canaries_are_made_of_what_runs(space: Space) -> None:
    nets = draw_tuning_nets((space,), 0)
    assert len(nets) == 16 and any(uses(net) for net in nets)  # a quarter of 4 ^ 3
    left = draw_tuning_nets((space,), 0, {NAME})
    assert len(left) == 6 and not any(uses(net) for net in left)  # of the 3 ^ 3 that are left
    judged = random_nets(space, 10, 0, "verify", varied=True, failed={NAME})
    assert len({net.key for net in judged}) == 10 and not any(uses(net) for net in judged)
    every = {op.name for op in space.searchable_operators}
    assert draw_tuning_nets((space,), 0, every) == ()
    with pytest.raises(SpaceError, match="fewer than 1 nets that can run"):
        random_nets(space, 1, 0, "verify", failed=every)
    usual = choose_canaries((space,), Protocol())
    assert choose_canaries((space,), Protocol(), failed={usual.small.artifact}).small != usual.small
    assert choose_canaries((space,), Protocol(), failed=every).small.artifact == space.stem.name


def test_tuning_nets_are_drawn_again_where_an_operator_is_not_exported(
    host: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def exported(workloads: Sequence[Workload], *_rest: Any) -> Iterator[Result]:
        for workload in workloads:
            name = workload_name(workload)
            asked.append(name)
            lacks = name == NAME or (isinstance(workload, Net) and uses(workload))
            made = Artifact(name, "onnx", "int8", tmp_path / "x", "", 1, 0.0)
            yield workload, ExportError("no such operator", operator=name) if lacks else made

    monkeypatch.setattr(artifacts, "export_all", exported)
    big = parse_space(TEXT.replace("layers = 3", "layers = 6"), Path("own.toml"))
    request = ProfileRequest(device=host, space="own.toml", output=tmp_path / "own.csv")
    nets, made, failures = profile._exported(request, find_exporter("onnx", "int8"), (big,), lambda _event: None)
    assert len(nets) == TUNING_NETS and not any(uses(net) for net in nets)
    assert [failure.artifact for failure in failures] == [NAME]
    assert {one.name for one in made} == {op.name for op in big.operators if op.is_measured and op.name != NAME} | {
        net.key for net in nets
    }
    assert len(asked) == len(set(asked))  # nothing twice
