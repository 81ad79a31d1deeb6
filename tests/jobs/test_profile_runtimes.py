"""profile and verify from end to end on this machine, with each runtime that a real worker process runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lutbench.cli.show import summary
from lutbench.device_agents.registry import Device
from lutbench.errors import UsageError
from lutbench.events import Event, Note
from lutbench.export import exporters, pool
from lutbench.export.artifact import Artifact
from lutbench.export.exporters import Exporter, default_torch_engine, exporter_of, find_exporter
from lutbench.jobs.lut_sections import delegation_section
from lutbench.jobs.profile import ProfileRequest, profile
from lutbench.jobs.verify import VerifyRequest, verify
from lutbench.lut.file import read_lut
from lutbench.measure.protocol import Protocol

ONE_BLOCK = """\
name = "one_block"
resolution = 16
classes = 10
candidates = ["k3_e1", "k3_e2_g2"]

[stem]
channels = 8

[[stage]]
channels = 8
layers = 1

[head]
channels = 16
"""


@pytest.fixture
def request_(tmp_path: Path, host: Device) -> ProfileRequest:
    space = tmp_path / "one_block.toml"
    space.write_text(ONE_BLOCK)
    once = Protocol(min_rounds=1, max_rounds=1)
    return ProfileRequest(device=host, space=str(space), output=tmp_path / "host.csv", protocol=once)


@pytest.mark.parametrize(
    ("runtime", "inside"), [("executorch", "(xnnpack)"), ("torchscript", f"({default_torch_engine()})")]
)
def test_a_lut_of_every_operator_that_verifies(request_: ProfileRequest, runtime: str, inside: str) -> None:
    events: list[Event] = []
    lut = profile(replace(request_, runtime=runtime), events.append)
    assert [row.operator for row in lut.rows if not row.is_ok] == []
    assert lut.metadata.runtime.startswith({"executorch": "executorch 1.", "torchscript": "torch 2."}[runtime])
    assert lut.metadata.runtime.endswith(inside)
    assert summary(lut)["runtime"] == lut.metadata.runtime
    assert "undelegated" not in lut.metadata.quality
    assert lut.metadata.quality.get("delegated_share") == (1.0 if runtime == "executorch" else None)
    assert not [event for event in events if isinstance(event, Note) and event.warning]
    assert f"--runtime {runtime}" in read_lut(request_.lut_path).measure_command
    with pytest.raises(UsageError, match="not onnxruntime"):
        profile(request_, events.append)
    report, nets = verify(
        VerifyRequest(lut_path=request_.lut_path, device=request_.device, nets=2, rounds=4), events.append
    )
    assert report.nets == len(nets) == 2


def test_runtimes_that_a_lut_names_are_found_again() -> None:
    for wanted in (
        find_exporter("onnx", "int8"),
        find_exporter("executorch", "fp32"),
        find_exporter("torchscript", "int8", "qnnpack"),
        find_exporter("torchscript", "fp32"),
    ):
        assert exporter_of(wanted.runtime_version) == wanted
    for unknown in ("executorch 1.5.1", "torch 2.13.0 (abacus)", "tflite 2.17", "onnxruntime 1.31.1 (cuda)"):
        with pytest.raises(UsageError, match="cannot measure"):
            exporter_of(unknown)


def test_engines_are_recipes_of_their_own() -> None:
    from lutbench.space.operator import OVERHEAD

    recipes = {
        find_exporter("torchscript", "int8", engine).recipe(OVERHEAD, "int8").key for engine in ("x86", "qnnpack")
    }
    assert len(recipes) == 2


@pytest.mark.parametrize(
    ("runtime", "dtype", "engine", "problem"),
    [
        ("torchscript", "int8", "abacus", "no engine 'abacus'; it has x86, onednn, qnnpack"),
        ("torchscript", "fp32", "qnnpack", "leave --engine out"),
        ("executorch", "int8", "x86", "leave --engine out"),
        ("executorch", "int4", "", "no dtype 'int4'"),
    ],
)
def test_what_a_runtime_has_not_is_one_line(runtime: str, dtype: str, engine: str, problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_exporter(runtime, dtype, engine)
    assert problem in str(caught.value)


def test_a_runtime_that_is_not_installed_says_what_to_install(
    request_: ProfileRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = replace(find_exporter("executorch", "int8"), package="executorch_of_tomorrow")
    monkeypatch.setitem(exporters.EXPORTERS, "executorch", absent)
    with pytest.raises(UsageError, match="pip install executorch_of_tomorrow"):
        profile(replace(request_, runtime="executorch"), lambda _event: None)


def test_luts_of_engines_are_told_apart(host: Device, request_: ProfileRequest) -> None:
    def path(**changes: str) -> Path:
        return ProfileRequest(device=host, **changes).lut_path  # type: ignore[arg-type]

    assert path(runtime="torchscript", engine="qnnpack") == Path("luts/host_torchscript_qnnpack.csv")
    assert path(runtime="executorch", dtype="fp32") == Path("luts/host_executorch_fp32.csv")
    del request_


def test_what_is_outside_the_delegate_is_named_once() -> None:
    events: list[Event] = []
    artifacts = [
        Artifact(
            f"op{i}",
            "executorch",
            "int8",
            Path("x"),
            "",
            0,
            0.0,
            ("aten.cumsum.default",) if i else (),
            0.8 if i else 1.0,
        )
        for i in range(6)
    ]
    section = delegation_section(artifacts, "xnnpack", events.append)
    kernels = {f"op{i}": ["aten.cumsum.default"] for i in range(1, 6)}
    assert section == {"delegated_share": pytest.approx(5 / 6), "undelegated": kernels}
    (note,) = events
    assert isinstance(note, Note) and note.warning
    assert note.text.startswith("xnnpack does not take all of 5 of 6 artifacts: op1, op2, op3, ...")
    assert delegation_section(artifacts[:1], "xnnpack", events.append) == {"delegated_share": 1.0}
    assert delegation_section(artifacts, "", events.append) == {} and len(events) == 1


def _dies(exporter: Exporter, dtype: str, workload: object, cache: object) -> object:
    import os
    import signal

    if "_e2_" in workload.name:  # type: ignore[attr-defined]
        os.kill(os.getpid(), signal.SIGKILL)
    return pool_export_one(exporter, dtype, workload, cache)


pool_export_one = pool._export_one


def test_an_operator_that_kills_its_exporter_costs_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from lutbench.errors import ExportError
    from lutbench.export.cache import ArtifactCache
    from lutbench.space.operator import parse_operator

    monkeypatch.setattr(pool, "_export_one", _dies)
    monkeypatch.setattr(pool, "_prepare_worker", int)
    workloads = [parse_operator(name) for name in ("fc_32_10", "ir_k3_e2_g1_8x8x8_8_s1", "fc_16_10")]
    found = dict(pool.export_all(workloads, find_exporter("onnx", "int8"), "int8", ArtifactCache(tmp_path)))
    assert isinstance(found[workloads[1]], ExportError)
    assert "died" in str(found[workloads[1]])
    assert all(isinstance(found[workload], Artifact) for workload in (workloads[0], workloads[2]))
