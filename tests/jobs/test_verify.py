"""verify against a device that is exactly as additive as its script says."""

from __future__ import annotations

import inspect
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.fake import FakeAgent
from lutbench.device_agents.registry import Device
from lutbench.errors import DeviceError, InterruptedRunError, LutError, UsageError
from lutbench.events import Note
from lutbench.export.artifact import Artifact
from lutbench.jobs.artifacts import export_workloads
from lutbench.jobs.check import look_first_at_phone
from lutbench.jobs.profile import ProfileRequest, profile
from lutbench.jobs.verify import VerifyRequest, summarize_nets, verify, worst
from lutbench.lut.file import read_lut, write_lut
from lutbench.lut.verify_file import NetResult, read_results
from lutbench.measure.protocol import Failure
from lutbench.measure.warmth import Warmth
from lutbench.space.macro import Space
from lutbench.space.net import net_of_key
from tests.jobs.busy_device import busy_while

OpenDevice = Callable[..., FakeAgent]
QUIET: Callable[[object], None] = lambda _event: None  # noqa: E731


@pytest.fixture
def request_(
    host: Device, tiny_file: Path, tmp_path: Path, additive_device: Callable[..., OpenDevice]
) -> VerifyRequest:
    path = tmp_path / "host.csv"
    profile(ProfileRequest(device=host, space=str(tiny_file), output=path), QUIET, additive_device(scale=1.06))
    return VerifyRequest(lut_path=path, device=host, nets=20, rounds=8)


def test_an_additive_device_is_predicted(request_: VerifyRequest, additive_device: Callable[..., OpenDevice]) -> None:
    found, results = verify(request_, QUIET, additive_device(scale=1.06))
    assert found.nets == len(results) == 20
    assert found.mean_abs_error < 0.004
    assert found.within_1pct == 1.0
    assert found.kendall_tau > 0.95
    assert found.noise_mean < 0.004
    written = read_lut(request_.lut_path).metadata.quality["additivity"]
    assert written["mean_abs_error"] == round(found.mean_abs_error, 5)


@pytest.mark.parametrize(("rounds", "lasts"), [(8, 2), (48, 10)])
def test_a_net_s_rounds_come_in_four_processes_or_in_as_many_as_last_ten_rounds(
    request_: VerifyRequest, additive_device: Callable[..., OpenDevice], rounds: int, lasts: int
) -> None:
    verify(replace(request_, nets=2, rounds=rounds), QUIET, additive_device(scale=1.06))
    (journal,) = request_.lut_path.with_suffix(".journal").glob("verify-*-g0*.jsonl")
    notes = (json.loads(line) for line in journal.read_text().splitlines() if '"processes"' in line)
    starts = list(notes)[-1]["value"]
    assert starts[: rounds // lasts] == [*range(0, rounds - lasts + 1, lasts)][: len(starts)]
    assert len(starts) >= max(4, rounds // lasts)


def test_a_device_is_looked_at_before_it_is_opened_and_may_refuse(request_: VerifyRequest) -> None:
    def never(*_: object) -> FakeAgent:
        raise AssertionError("opened all the same")

    def refuse(_device: Device, settings: AgentSettings, artifact: Artifact | None) -> None:
        assert artifact is not None and settings.runtime == artifact.runtime
        raise DeviceError("tar: it cannot")

    with pytest.raises(DeviceError, match="tar: it cannot"):
        verify(request_, QUIET, never, refuse)
    assert inspect.signature(verify).parameters["look_first"].default is look_first_at_phone


def test_every_net_is_kept_for_pictures(request_: VerifyRequest, additive_device: Callable[..., OpenDevice]) -> None:
    verify(request_, QUIET, additive_device(scale=1.06))
    _, again = verify(replace(request_, seed=1), QUIET, additive_device(scale=1.06))
    kept = read_results(request_.lut_path.parent / "host.journal" / "verify-r1.csv")
    assert [result.net for result in kept] == [result.net for result in again]
    assert [r.measured_us for r in kept] == pytest.approx([r.measured_us for r in again], abs=0.0006)  # whole ns


@pytest.mark.parametrize("key", ["", "fbnet", "fbnet@224x1.0:x:skip", "a:1:skip", "tiny@32x1.0:32:k9_e9", ":", "::"])
def test_a_key_that_names_no_net_is_one_error(key: str, tiny: Space) -> None:
    with pytest.raises(UsageError):
        net_of_key(key, [tiny])


def test_a_device_that_is_slower_now_is_told_by_the_tuning_nets(
    request_: VerifyRequest, additive_device: Callable[..., OpenDevice]
) -> None:
    found, _ = verify(request_, QUIET, additive_device(scale=1.06, slower=1.05))
    assert found.drift == pytest.approx(0.05, abs=0.02)  # the overhead drifts too, and is small only in real nets
    assert found.mean_abs_error < 0.01
    assert found.uncorrected_mean_abs_error == pytest.approx(1 - 1 / 1.05, abs=0.004)


def test_what_small_nets_save_is_told_anew_by_the_tuning_nets(
    request_: VerifyRequest, additive_device: Callable[..., OpenDevice]
) -> None:
    lut = read_lut(request_.lut_path)
    was = lut.metadata.context
    warmth = Warmth(0.6, median(was.nets_us))  # which this device has lost since
    nets_us = tuple(warmth.net_us(latency_us) for latency_us in was.nets_us)
    context = replace(was, warm_share=warmth.share, warm_size_us=warmth.size_us, nets_us=nets_us)
    write_lut(replace(lut, metadata=replace(lut.metadata, context=context)), request_.lut_path)
    found, _ = verify(request_, QUIET, additive_device(scale=1.06))
    assert found.corrected == "fit"
    assert found.mean_abs_error < 0.01
    assert found.uncorrected_mean_abs_error > 0.1


def test_nets_that_the_lut_was_tuned_on_are_never_judged(
    request_: VerifyRequest, additive_device: Callable[..., OpenDevice]
) -> None:
    used = set(read_lut(request_.lut_path).metadata.context.nets)
    _, results = verify(replace(request_, nets=60), QUIET, additive_device())
    assert used and not used & {result.net for result in results}


def test_nets_are_drawn_of_the_variants_that_the_rows_cover(
    request_: VerifyRequest, additive_device: Callable[..., OpenDevice]
) -> None:
    lut = read_lut(request_.lut_path)
    claimed = replace(lut.metadata.space, resolutions=(64, 32))  # as merging may leave it: a variant without rows
    write_lut(replace(lut, metadata=replace(lut.metadata, space=claimed)), request_.lut_path)
    events: list[object] = []
    _, results = verify(request_, events.append, additive_device(scale=1.06))
    assert {result.net.split(":")[0] for result in results} == {"tiny@32x1.0"}
    assert any("does not cover tiny at 64x1.0" in event.text for event in events if isinstance(event, Note))


def test_a_net_that_the_machine_never_lets_run_is_left_out_and_the_others_are_judged(
    request_: VerifyRequest, additive_device: Callable[..., OpenDevice]
) -> None:
    judged = verify(request_, QUIET, additive_device(scale=1.06))[1]
    unlucky = {judged[3].net, judged[7].net}
    events: list[object] = []
    found, results = verify(request_, events.append, busy_while(unlucky.__contains__, additive_device(scale=1.06)))
    assert {result.net for result in results} == {result.net for result in judged} - unlucky
    assert (found.nets, found.left_out) == (18, 2)
    (note,) = [event.text for event in events if isinstance(event, Note) and event.warning]
    assert "2 of 20 nets never ran while the machine was quiet" in note


def test_nets_that_are_given_are_judged_and_nothing_is_written(
    request_: VerifyRequest, additive_device: Callable[..., OpenDevice], tiny: Space
) -> None:
    lut = request_.lut_path
    before = lut.read_bytes()
    drawn = [result.net for result in verify(replace(request_, nets=3), QUIET, additive_device(scale=1.06))[1]]
    kept = (lut.parent / "host.journal" / "verify-r1.csv").read_bytes()
    lut.write_bytes(before)
    named = net_of_key(drawn[1], [tiny]).candidates_text
    given = (drawn[0], f"{named}@32x1.0", drawn[0])
    found, results = verify(replace(request_, given=given), QUIET, additive_device(scale=1.06, slower=1.05))
    assert [result.net for result in results] == drawn[:2]  # a net that is named twice is judged once
    assert found.nets == 2 and found.drift == pytest.approx(0.05, abs=0.02) and found.max_abs_error < 0.01
    assert lut.read_bytes() == before
    assert (lut.parent / "host.journal" / "verify-r1.csv").read_bytes() == kept
    assert not [path for path in (lut.parent / "host.journal").glob("verify-*.jsonl") if "aside" not in path.name]


def test_a_given_net_has_to_be_another_than_those_that_tuned_the_lut(
    request_: VerifyRequest, additive_device: Callable[..., OpenDevice]
) -> None:
    used = read_lut(request_.lut_path).metadata.context.nets
    with pytest.raises(UsageError, match="is among the nets that this LUT was tuned on"):
        verify(replace(request_, given=used[:2]), QUIET, additive_device())
    drawn = verify(request_, QUIET, additive_device())[1][0].net
    with pytest.raises(UsageError, match="at least 2 nets"):
        verify(replace(request_, given=(drawn, drawn)), QUIET, additive_device())
    with pytest.raises(UsageError, match="no net is called"):
        verify(replace(request_, given=(drawn, "fbnet_z")), QUIET, additive_device())


def scattering(names: Callable[[str], bool], additive: OpenDevice, by: float) -> tuple[OpenDevice, list[FakeAgent]]:
    """The additive device, in whose every other worker process nets that are named take longer by a fraction.

    The devices that it opened are kept in a list.
    """
    opened: list[FakeAgent] = []

    def open_device(device: object, settings: object) -> FakeAgent:
        script = additive(device, settings)._script

        def scattered(artifact: str, depth: int, invocation: int) -> int:
            is_slow = names(artifact) and len(opened[-1].renewed) % 2
            return round(script(artifact, depth, invocation) * (1 + by * is_slow))

        opened.append(FakeAgent(scattered))
        return opened[-1]

    return open_device, opened


def visits_of(agent: FakeAgent) -> Counter[str]:
    return Counter(name for batch in agent.batches for cycle in batch.cycles for name in cycle.artifacts)


def test_nets_that_differ_from_process_to_process_are_measured_on(
    request_: VerifyRequest, additive_device: Callable[..., OpenDevice]
) -> None:
    request = replace(request_, rounds=12)
    steady = [result.net for result in verify(request, QUIET, additive_device(scale=1.06))[1]]
    unsteady = set(steady[::4])
    open_device, opened = scattering(unsteady.__contains__, additive_device(scale=1.06), by=0.06)
    found, results = verify(request, QUIET, open_device)
    visits = visits_of(opened[-1])
    assert {visits[net] for net in unsteady} == {2 * 12}  # six per cent are never known to 1.25
    assert {visits[net] for net in steady if net not in unsteady} == {12}
    tuning = read_lut(request.lut_path).metadata.context.nets
    assert min(visits[net] for net in tuning) > 12  # or a round of five nets would not tell what they have in common
    assert {result.net for result in results if result.noise > 0.04} == unsteady
    assert found.max_abs_error < 0.005  # odd processes have little say


def test_nets_that_differ_little_are_not(request_: VerifyRequest, additive_device: Callable[..., OpenDevice]) -> None:
    open_device, opened = scattering(lambda name: ":" in name, additive_device(scale=1.06), by=0.004)
    _, results = verify(replace(request_, rounds=12), QUIET, open_device)
    visits = visits_of(opened[-1])
    assert {visits[result.net] for result in results} == {12}


def test_a_machine_that_is_never_quiet_is_one_error(
    request_: VerifyRequest, additive_device: Callable[..., OpenDevice]
) -> None:
    nets = {result.net for result in verify(request_, QUIET, additive_device(scale=1.06))[1]}
    with pytest.raises(DeviceError, match="never quiet while 20 of 20 nets ran"):
        verify(request_, QUIET, busy_while(nets.__contains__, additive_device(scale=1.06)))


def not_exported(monkeypatch: pytest.MonkeyPatch, refused: Callable[[str], bool]) -> None:
    """Exports fail for the workloads whose names are refused."""

    def export(workloads: Any, *arguments: Any) -> tuple[list[Artifact], list[Failure]]:
        artifacts, failures = export_workloads(workloads, *arguments)
        gone = [Failure(one.name, "too far off") for one in artifacts if refused(one.name)]
        return [one for one in artifacts if not refused(one.name)], [*failures, *gone]

    monkeypatch.setattr("lutbench.jobs.verify.export_workloads", export)


def test_a_net_that_cannot_be_exported_costs_itself(
    request_: VerifyRequest, additive_device: Callable[..., OpenDevice], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = [result.net for result in verify(request_, QUIET, additive_device(scale=1.06))[1]]
    not_exported(monkeypatch, lambda name: name == judged[3])
    events: list[object] = []
    found, results = verify(request_, events.append, additive_device(scale=1.06))
    assert [result.net for result in results] == [net for net in judged if net != judged[3]] and found.nets == 19
    (note,) = [event.text for event in events if isinstance(event, Note) and event.warning]
    assert note == f"{judged[3]} cannot be exported, and is not judged: too far off"


def test_a_tuning_net_that_cannot_be_exported_ends_the_run(
    request_: VerifyRequest, additive_device: Callable[..., OpenDevice], monkeypatch: pytest.MonkeyPatch
) -> None:
    tuning = read_lut(request_.lut_path).metadata.context.nets[0]
    not_exported(monkeypatch, lambda name: name == tuning)
    with pytest.raises(DeviceError, match="a net cannot be exported: too far off"):
        verify(request_, QUIET, additive_device(scale=1.06))


def test_an_interrupted_verify_goes_on(
    request_: VerifyRequest, additive_device: Callable[..., OpenDevice], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lutbench.jobs.verify_rounds.TUNING_NETS_PER_ROUND", 16)
    with pytest.raises(InterruptedRunError):
        verify(request_, QUIET, additive_device(crash_at=7))
    folder = request_.lut_path.with_suffix(".journal")
    (journal,) = folder.glob("verify-*.jsonl")
    held = journal.read_text()
    agents: list[FakeAgent] = []

    def remembered(device: object, settings: object) -> FakeAgent:
        agents.append(additive_device()(device, settings))
        return agents[-1]

    verify(request_, QUIET, remembered)
    (finished,) = folder.glob("verify-*.aside1.jsonl")
    assert finished.read_text().startswith(held)
    visits = [
        (r["operator"], r["round"]) for r in map(json.loads, finished.read_text().splitlines()) if "operator" in r
    ]
    tuning = read_lut(request_.lut_path).metadata.context.nets  # in two turns
    assert len(visits) == len(set(visits)) == 8 * 20 + 4 * len(tuning)
    a_round = Counter(number for net, number in visits if net in tuning)
    assert set(a_round.values()) == {16} and len(tuning) == 2 * 16


def test_figures_by_hand() -> None:
    results = [
        NetResult("a", 101.0, 101.0, 100.0, 99.0, 100.0),
        NetResult("b", 196.0, 190.0, 200.0, 200.0, 200.0),
        NetResult("c", 318.0, 303.0, 300.0, 300.0, 306.0),
    ]
    request = VerifyRequest(lut_path=Path("x.csv"), device=Device("host", "host", Path("x.csv"), ""), nets=3)
    found = summarize_nets(results, request, drift=0.0, disturbed=0.25)
    assert found.mean_abs_error == pytest.approx((0.01 + 0.02 + 0.06) / 3)
    assert found.mean_error == pytest.approx((0.01 - 0.02 + 0.06) / 3)
    assert found.max_abs_error == pytest.approx(0.06)
    assert (found.within_3pct, found.within_5pct, found.within_10pct) == (pytest.approx(2 / 3), pytest.approx(2 / 3), 1)
    assert found.kendall_tau == found.spearman == pytest.approx(1.0)
    assert found.uncorrected_mean_abs_error == pytest.approx((0.01 + 0.05 + 0.01) / 3)
    assert found.noise_mean == pytest.approx((0.01 + 0 + 1 - 300 / 306) / 3)
    assert [result.net for result in worst(results, 2)] == ["c", "b"]


def test_too_few_nets_and_missing_rows(request_: VerifyRequest, additive_device: Callable[..., OpenDevice]) -> None:
    with pytest.raises(UsageError, match="at least 2 nets"):
        replace(request_, nets=1)
    with pytest.raises(UsageError, match="at least 4 rounds"):
        replace(request_, rounds=2)
    text = request_.lut_path.read_text()
    lines = [line for line in text.splitlines(keepends=True) if not line.startswith("fc_32_10")]
    count = sum(1 for line in lines if not line.startswith("#")) - 1
    request_.lut_path.write_text("".join(lines).replace(f"# rows = {count + 1}\n", f"# rows = {count}\n"))
    with pytest.raises(LutError, match="fc_32_10"):
        verify(request_, QUIET, additive_device())
