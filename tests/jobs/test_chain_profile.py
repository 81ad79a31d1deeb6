"""profile by chains of copies: a device with scripted times and placements; what is exported is left out."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from lutbench.cli.show import print_summary, summary
from lutbench.device_agents.fake import FakeAgent
from lutbench.device_agents.registry import Device
from lutbench.errors import DeviceError, InterruptedRunError, JournalError, LutError, UsageError
from lutbench.events import Event, Note
from lutbench.export.artifact import Artifact
from lutbench.export.exporters import find_exporter
from lutbench.jobs import chain_profile
from lutbench.jobs.chain_rounds import programs_of
from lutbench.jobs.profile import ProfileRequest, profile
from lutbench.jobs.verify import VerifyRequest, verify
from lutbench.lut.file import format_lut, parse_lut, read_lut, write_lut
from lutbench.lut.merge import merge
from lutbench.lut.predict import predict
from lutbench.lut.table import Lut
from lutbench.measure.chains import CHAIN_LENGTHS
from lutbench.measure.protocol import Failure, Protocol
from lutbench.space.macro import Space
from lutbench.space.net import net_of_key
from lutbench.space.operator import OVERHEAD, parse_operator
from lutbench.space.workload import Workload, workload_name

CALL_US, LINK_US = 150.0, 0.5
SCALE = 1.2  # of an operator inside a net
ANE = {"ane": 12}
Units = Callable[[str], Mapping[str, int]]


def copy_us(operator: str) -> float:
    return 2 + parse_operator(operator).macs / 1e5


def time_us(artifact: str, space: Space) -> float:
    if ":" in artifact:
        return CALL_US + SCALE * sum(copy_us(op.name) for op in net_of_key(artifact, [space]).operators)
    name, _, copies = artifact.partition("*")
    if name.startswith("link_"):
        return CALL_US + LINK_US * int(copies)
    joined = LINK_US if programs_of(parse_operator(name)).links else 0.0
    return CALL_US + (copy_us(name) + joined) * int(copies)


@pytest.fixture
def request_(tiny_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProfileRequest:
    def export(workloads: Sequence[Workload], *_rest: object) -> tuple[list[Artifact], list[Failure]]:
        names = sorted(map(workload_name, workloads))
        return [Artifact(name, "coreml", "fp16", tmp_path / "none", name, 1 << 20, 0.0) for name in names], []

    monkeypatch.setattr("lutbench.jobs.profile.export_workloads", export)
    monkeypatch.setattr("lutbench.jobs.profile.check_measurable", lambda *_given: None)
    return ProfileRequest(
        device=Device("phone", "ios", tmp_path / "phone.csv", ""),
        space=str(tiny_file),
        runtime="coreml",
        dtype="fp16",
        engine="coreml-ane",
        protocol=Protocol(max_rounds=40),
    )


def measured(
    request: ProfileRequest,
    space: Space,
    units: Units = lambda _artifact: ANE,
    events: list[Event] | None = None,
    crash_at: int | None = None,
    refused: Sequence[str] = (),
) -> tuple[Lut, FakeAgent]:
    rng = random.Random(0)
    agents: list[FakeAgent] = []

    def opened(_device: object, settings: object) -> FakeAgent:
        assert getattr(settings, "engine", "") == "coreml-ane"
        script = lambda artifact, _depth, _n: round(1000 * time_us(artifact, space) + rng.gauss(0, 20))  # noqa: E731
        agents.append(FakeAgent(script, units=units, crash_at=crash_at, refused=refused))
        return agents[0]

    heard = [] if events is None else events
    return profile(request, heard.append, opened, look_first=lambda *_: None), agents[0]


def notes(events: Sequence[Event]) -> str:
    return "\n".join(event.text for event in events if isinstance(event, Note))


def test_rows_are_what_a_copy_adds_and_nets_are_predicted_from_them(
    request_: ProfileRequest, tiny: Space, capsys: pytest.CaptureFixture[str]
) -> None:
    lut, agent = measured(request_, tiny)
    assert lut.path == request_.lut_path and lut.path.name == "phone_coreml_coreml-ane_fp16.csv"
    assert [row.operator for row in lut.rows] == [op.name for op in tiny.operators]
    for row in lut.rows:
        if not row.parts.is_measured:
            assert (row.latency_us, row.unit) == (0.0, "")
        elif row.operator == OVERHEAD.name:
            assert row.latency_us == pytest.approx(CALL_US, rel=0.01)
        else:
            assert row.latency_us == pytest.approx(copy_us(row.operator), rel=0.01), row.operator
            assert row.unit == "ane" and row.min_us <= row.p10_us <= row.latency_us <= row.p90_us
            assert row.samples >= row.rounds * len(CHAIN_LENGTHS)
    meta = lut.metadata
    assert meta.runtime.endswith("(coreml-ane)") and meta.context.chains == CHAIN_LENGTHS
    assert meta.context.scale == pytest.approx(SCALE, rel=0.02) and len(meta.context.nets) > 8
    assert meta.quality["units"] == {"ane": sum(row.parts.is_measured for row in lut.rows)}
    assert meta.quality["canary_unit"] == "ane"
    assert "clock_us" not in meta.quality  # of the small canary alone
    net = net_of_key("tiny@32x1.0:32:k3_e1,skip|k5_e2,k3_e2_g2", [tiny])
    assert predict(lut, net).latency_us == pytest.approx(time_us(net.key, tiny), rel=0.01)
    again = read_lut(lut.path)
    assert again.rows == lut.rows and again.metadata.context == meta.context
    assert list(again.to_frame()["unit"]) == list(pd.read_csv(lut.path, comment="#", keep_default_na=False)["unit"])
    assert again.measure_command.startswith("lutbench profile --device phone --runtime coreml --engine coreml-ane")
    print_summary(again, slowest=1)
    assert "what a copy adds to chains of 4, 8, 16, without a call; on ane" in capsys.readouterr().out.replace(
        "\n", " "
    )
    assert summary(again)["quality"]["units"] == meta.quality["units"]
    # canaries run on the unit, in every cycle
    (canary,) = {canary.artifact for batch in agent.batches for canary in batch.canaries}
    assert canary.endswith("*8")
    assert predict(merge([again, again]).lut, net).latency_us == predict(lut, net).latency_us


def test_what_runs_elsewhere_has_no_latency_and_the_others_have(request_: ProfileRequest, tiny: Space) -> None:
    """A short chain that landed on the CPU, and what joins copies that did: their operators are refused, untimed."""
    split, joined = "fc_32_10*4", "link_3x32x32"

    def units(artifact: str) -> Mapping[str, int]:
        return {"cpu": 3} if artifact == split or artifact.startswith(joined) else ANE

    events: list[Event] = []
    lut, agent = measured(request_, tiny, units, events)
    failed = {row.operator: row.status for row in lut.rows if not row.is_ok}
    (stem,) = (name for name in failed if name.startswith("stem"))
    assert set(failed) == {"fc_32_10", stem}
    assert "not all run on one unit: fc_32_10*4 on cpu, fc_32_10*8 on ane" in failed["fc_32_10"]
    assert "link_3x32x32*4 on cpu" in failed[stem]
    assert "2 of " in notes(events) and "do not run on ane alone" in notes(events)
    timed = {name for batch in agent.batches for cycle in batch.cycles for name in cycle.artifacts}
    assert not {name for name in timed if name.startswith(("fc_32_10", stem))}  # no time is spent on them
    with pytest.raises(LutError, match="not all run on one unit"):
        predict(lut, net_of_key("tiny@32x1.0:32:k3_e1,skip|k5_e2,k3_e2_g2", [tiny]))


def test_where_the_system_tells_no_units_rows_say_so(request_: ProfileRequest, tiny: Space) -> None:
    lut, _ = measured(request_, tiny, lambda _artifact: {})
    assert {row.unit for row in lut.rows if row.parts.is_measured} == {"unreadable"}


def test_a_unit_that_runs_nothing_is_one_line(request_: ProfileRequest, tiny: Space) -> None:
    with pytest.raises(
        DeviceError, match=r"no operator's chains run on ane alone .*it was to run on ane, and runs on c"
    ):
        measured(request_, tiny, lambda _artifact: {"cpu": 2})
    assert not request_.lut_path.exists()


@pytest.mark.parametrize("lost", [(16,), CHAIN_LENGTHS])
def test_a_refused_chain_costs_its_operator(request_: ProfileRequest, tiny: Space, lost: tuple[int, ...]) -> None:
    lut, _ = measured(request_, tiny, refused=[*(f"fc_32_10*{n}" for n in lost), *(f"link_32*{n}" for n in lost)])
    assert [row.operator for row in lut.rows if not row.is_ok] == ["fc_32_10"]
    assert f"fc_32_10*{lost[0]}: refused by script" in lut.by_operator["fc_32_10"].status


def test_an_interrupted_run_goes_on_where_everything_still_runs_where_it_did(
    request_: ProfileRequest, tiny: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_profile, "_GROUP_BYTES", 12 << 20)  # some operators at a time
    with pytest.raises(InterruptedRunError):
        measured(request_, tiny, crash_at=5)
    journal = request_.lut_path.with_suffix(".journal") / "r1.jsonl"
    held = journal.read_text()
    with pytest.raises(JournalError, match=r"an unfinished run with other settings is here \(units "):
        measured(request_, tiny, lambda artifact: {"ane": 11} if artifact == "fc_32_10*4" else ANE)
    lut, agent = measured(request_, tiny)
    assert journal.read_text().startswith(held)
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    visits = Counter((e["operator"], e["round"]) for e in entries if "operator" in e)
    assert max(visits.values()) == 1 and all(row.is_ok for row in lut.rows)
    most = max(
        sum(1 << 20 for _ in {name for cycle in batch.cycles for name in cycle.artifacts}) for batch in agent.batches
    )
    assert most <= 12 << 20  # what is loaded at once


def test_a_lut_with_units_is_read_strictly_and_one_without_as_ever(request_: ProfileRequest, tiny: Space) -> None:
    lut, _ = measured(request_, tiny)
    text = format_lut(lut)
    with pytest.raises(LutError, match="unit 'tpu' is none of cpu, gpu, ane, unreadable"):
        parse_lut(text.replace(",ane,ok\n", ",tpu,ok\n", 1), Path("x.csv"))
    plain = replace(lut, rows=tuple(replace(row, unit="") for row in lut.rows))
    assert ",unit" not in format_lut(plain)
    assert parse_lut(format_lut(plain), Path("x.csv")).rows == plain.rows


def test_verify_says_that_it_does_not_time_whole_nets_of_it(request_: ProfileRequest, tiny: Space) -> None:
    lut, _ = measured(request_, tiny)
    write_lut(lut, request_.lut_path)
    with pytest.raises(UsageError, match="coreml is timed by `profile` alone, as chains of operators"):
        verify(VerifyRequest(lut_path=request_.lut_path, device=request_.device, nets=4), lambda _event: None)
    assert find_exporter("coreml", "fp16").by_chains and not find_exporter("onnx", "int8").by_chains
