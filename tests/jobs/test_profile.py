"""profile from end to end: real exports of a tiny space, a device with scripted times."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from lutbench.device_agents.fake import FakeAgent
from lutbench.device_agents.registry import Device
from lutbench.errors import DeviceError, InterruptedRunError, JournalError, LutError, OutputError, UsageError
from lutbench.events import Event, Note
from lutbench.files import file_sha256
from lutbench.jobs.operator_rounds import NET_ROUNDS, TRIAL_DEPTHS, TRIAL_ROUNDS, is_fresh, is_net_done
from lutbench.jobs.profile import ProfileRequest, profile
from lutbench.jobs.tuning import TUNING_NETS
from lutbench.locks import device_lock
from lutbench.lut.file import read_lut, write_lut
from lutbench.lut.metadata import Metadata, SpaceSection
from lutbench.lut.predict import predict
from lutbench.lut.table import Lut
from lutbench.measure.measurements import Measurements
from lutbench.measure.protocol import Protocol
from lutbench.space.find import known_space
from lutbench.space.macro import Space
from lutbench.space.net import net_of_key
from lutbench.space.operator import OVERHEAD
from tests.conftest import OVERHEAD_NS, operator_ns
from tests.jobs.busy_device import busy_while

OpenDevice = Callable[..., FakeAgent]
QUIET: Callable[[object], None] = lambda _event: None  # noqa: E731


@pytest.fixture
def request_(host: Device, tiny_file: Path, tmp_path: Path) -> ProfileRequest:
    return ProfileRequest(device=host, space=str(tiny_file), output=tmp_path / "luts" / "host.csv")


def records(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_lut_of_every_operator_with_the_devices_own_times(
    request_: ProfileRequest, additive_device: Callable[..., OpenDevice], tiny: Space
) -> None:
    lut = profile(request_, QUIET, additive_device(scale=1.06))
    assert [row.operator for row in lut.rows] == [op.name for op in tiny.operators]
    for row in lut.rows:
        if not row.parts.is_measured:
            assert (row.latency_us, row.samples) == (0.0, 0)
        else:
            assert row.latency_us == pytest.approx(operator_ns(row.operator) / 1000, rel=0.003)
            assert row.rounds >= request_.protocol.min_rounds
    context = lut.metadata.context
    assert context.depth == 0
    assert context.scale == pytest.approx(1.06, rel=0.005)
    assert context.scale_ci_low <= context.scale <= context.scale_ci_high
    assert lut.metadata.quality["within_target"] == 1.0
    assert lut.metadata.quality["disturbed_share"] == 0.0
    assert lut.metadata.quality["clock_us"] >= 0.9 * lut.metadata.quality["canary_us"]["small"] > 0
    again = read_lut(request_.lut_path)
    assert again.rows == lut.rows


def test_nets_that_are_many_take_turns(
    request_: ProfileRequest, additive_device: Callable[..., OpenDevice], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lutbench.jobs.operator_rounds.NETS_PER_ROUND", 8)
    lut = profile(request_, QUIET, additive_device(scale=1.06))
    journal = records(request_.lut_path.with_suffix(".journal") / "r1.jsonl")
    visits = [(r["operator"], r["round"]) for r in journal if ":" in str(r.get("operator"))]
    nets = lut.metadata.context.nets
    assert len(nets) == TUNING_NETS == 4 * 8
    assert Counter(net for net, _ in visits) == dict.fromkeys(nets, NET_ROUNDS / 4)
    assert set(Counter(number for _, number in visits).values()) == {8}
    assert {number for _, number in visits} == set(range(NET_ROUNDS))


@pytest.mark.parametrize(
    ("rounds", "counted", "visits", "is_done"),
    [
        (12, 12, 12, True),
        (12, 3, 11, False),
        (12, 3, 12, True),  # rounds that do not count tell nearly as much
        (6, 5, 11, False),
        (6, 6, 7, True),
        (6, 5, 12, True),
        (3, 1, 6, True),
        (12, 0, 23, False),  # it would not be among those that are fitted
        (12, 0, 24, True),
    ],
)
def test_a_net_is_done_with_its_rounds_or_when_the_machine_had_its_chances(
    rounds: int, counted: int, visits: int, is_done: bool
) -> None:
    data = SimpleNamespace(rounds=lambda *_: counted, visits=lambda *_: visits)
    assert is_net_done(cast(Measurements, data), "net", 0, rounds) is is_done
    assert is_net_done(cast(Measurements, data), "net", 24, rounds)  # visits that are planned count, too


def test_a_net_that_is_never_quiet_has_its_turns_after_all_others_are_done(
    request_: ProfileRequest, additive_device: Callable[..., OpenDevice], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then there are rounds in which nothing is due."""
    monkeypatch.setattr("lutbench.jobs.operator_rounds.NETS_PER_ROUND", 8)
    device = additive_device(scale=1.06)
    unlucky = profile(request_, QUIET, device).metadata.context.nets[5]
    again = replace(request_, output=request_.lut_path.with_name("again.csv"))
    lut = profile(again, QUIET, busy_while(unlucky.__eq__, device))
    visits = [
        r["round"] for r in records(again.lut_path.with_suffix(".journal") / "r1.jsonl") if r.get("operator") == unlucky
    ]
    assert len(visits) == 2 * NET_ROUNDS  # where the others have three
    assert unlucky not in lut.metadata.context.nets and len(lut.metadata.context.nets) == TUNING_NETS - 1


def test_predictions_of_the_lut_are_the_nets_times(
    request_: ProfileRequest, additive_device: Callable[..., OpenDevice], tiny: Space
) -> None:
    lut = profile(request_, QUIET, additive_device(scale=1.06))
    net = net_of_key("tiny@32x1.0:32:k3_e1,skip|k5_e2,k3_e2_g2", [tiny])
    work = sum(operator_ns(op.name) - OVERHEAD_NS for op in net.operators)
    assert predict(lut, net).latency_us == pytest.approx((OVERHEAD_NS + 1.06 * work) / 1000, rel=0.005)


def test_the_deeper_context_is_taken_where_it_is_what_nets_see(request_: ProfileRequest, tiny: Space) -> None:
    """A device whose hot loops say nothing about nets: every second operator is twice as slow among others."""

    def in_net_ns(name: str) -> int:
        work = operator_ns(name) - OVERHEAD_NS
        return OVERHEAD_NS + work * (1 + sum(map(ord, name)) % 2)

    def script(artifact: str, depth: int, invocation: int) -> int:
        del invocation
        if ":" in artifact:
            return OVERHEAD_NS + sum(in_net_ns(op.name) - OVERHEAD_NS for op in net_of_key(artifact, [tiny]).operators)
        return in_net_ns(artifact) if depth == 3 else operator_ns(artifact)

    lut = profile(request_, QUIET, lambda _device, _settings: FakeAgent(script))
    assert lut.metadata.context.depth == 3
    assert lut.metadata.context.scale == pytest.approx(1.0, abs=1e-3)
    assert [trial["depth"] for trial in lut.metadata.context.trials] == list(TRIAL_DEPTHS)


# the first round is two batches; those after it, whose times are known to be short, share one, or each has its
# own where no time counts as short
@pytest.mark.parametrize(
    ("crash_at", "is_shared"),
    [
        *((number, True) for number in range(5)),
        *((number, False) for number in (2, 9, TRIAL_ROUNDS + 1, TRIAL_ROUNDS + 3, NET_ROUNDS - 1)),
    ],
)
def test_an_interrupted_run_goes_on_and_measures_nothing_twice(
    request_: ProfileRequest,
    additive_device: Callable[..., OpenDevice],
    monkeypatch: pytest.MonkeyPatch,
    crash_at: int,
    is_shared: bool,
) -> None:
    if not is_shared:
        monkeypatch.setattr("lutbench.measure.rounds._SHORTEST_US", 1e-9)
    journal_path = request_.lut_path.with_suffix(".journal") / "r1.jsonl"
    with pytest.raises(InterruptedRunError) as caught:
        profile(request_, QUIET, additive_device(crash_at=crash_at))
    assert caught.value.exit_status == 130 and str(journal_path.parent) in str(caught.value)
    assert not request_.lut_path.exists()
    held = records(journal_path)
    lut = profile(request_, QUIET, additive_device())
    after = records(journal_path)
    assert after[: len(held)] == held  # append-only: nothing that was measured is lost
    visits = Counter((r["operator"], r["depth"], r["round"]) for r in after if "operator" in r)
    whole = profile(replace(request_, output=request_.lut_path.with_name("whole.csv")), QUIET, additive_device())
    expected = records(request_.lut_path.with_name("whole.journal") / "r1.jsonl")
    assert {(r["operator"], r["depth"], r["round"]) for r in expected if "operator" in r} == set(visits)
    assert [row.operator for row in lut.rows] == [row.operator for row in whole.rows]
    assert [row.rounds for row in lut.rows] == [row.rounds for row in whole.rows]


@pytest.mark.parametrize("is_shared", [True, False])
def test_a_device_that_goes_ahead_measures_the_same(
    request_: ProfileRequest,
    additive_device: Callable[..., OpenDevice],
    monkeypatch: pytest.MonkeyPatch,
    is_shared: bool,
) -> None:
    """It is given each batch before it is known what came of the one before, but where that decides something."""
    if not is_shared:
        monkeypatch.setattr("lutbench.measure.rounds._SHORTEST_US", 1e-9)
    found = []
    for name, goes_ahead in (("plain", False), ("ahead", True), ("again", True)):
        path = request_.lut_path.with_name(f"{name}.csv")
        lut = profile(replace(request_, output=path), QUIET, additive_device(goes_ahead=goes_ahead))
        lines = records(path.with_suffix(".journal") / "r1.jsonl")
        visits = Counter((r["operator"], r["depth"], r["round"]) for r in lines if "operator" in r)
        assert set(visits.values()) == {1}
        notes = {str(r["note"]): r["value"] for r in lines if "note" in r}
        found.append((set(visits), notes["processes"], [(row.operator, row.rounds) for row in lut.rows]))
    assert found[0] == found[1] == found[2]
    ahead, again = (request_.lut_path.with_name(f"{name}.journal") / "r1.jsonl" for name in ("ahead", "again"))
    measured = [[line for line in records(path) if "operator" in line] for path in (ahead, again)]
    assert measured[0] == measured[1]  # what is decided ahead does not depend on when it is decided


@pytest.mark.parametrize("crash_at", [1, 2, 3, 4])
def test_an_interrupted_run_of_a_device_that_goes_ahead_goes_on(
    request_: ProfileRequest, additive_device: Callable[..., OpenDevice], crash_at: int
) -> None:
    journal_path = request_.lut_path.with_suffix(".journal") / "r1.jsonl"
    with pytest.raises(InterruptedRunError):
        profile(request_, QUIET, additive_device(crash_at=crash_at, goes_ahead=True))
    held = records(journal_path)
    lut = profile(request_, QUIET, additive_device(goes_ahead=True))
    after = records(journal_path)
    assert after[: len(held)] == held
    visits = Counter((r["operator"], r["depth"], r["round"]) for r in after if "operator" in r)
    assert set(visits.values()) == {1}
    assert all(row.rounds >= request_.protocol.min_rounds for row in lut.rows if row.parts.is_measured)
    starts = next(line["value"] for line in reversed(after) if line.get("note") == "processes")
    last = max(number for _, _, number in visits)
    assert isinstance(starts, list) and set(filter(is_fresh, range(last + 1))) <= set(starts)


def test_what_is_nearly_done_is_not_measured_ahead(
    request_: ProfileRequest, additive_device: Callable[..., OpenDevice]
) -> None:
    """An operator that is expected to be done after the rounds that are planned already is not planned once more."""
    protocol = Protocol(target=1e-9, min_rounds=12, max_rounds=14)
    lut = profile(replace(request_, protocol=protocol), QUIET, additive_device(goes_ahead=True))
    assert {row.rounds for row in lut.rows if row.parts.is_measured} == {14}
    lut = profile(replace(request_, protocol=replace(protocol, target=0.1)), QUIET, additive_device(goes_ahead=True))
    assert {row.rounds for row in lut.rows if row.parts.is_measured} == {12}


def test_a_run_killed_before_the_lut_was_written_only_writes_it(
    request_: ProfileRequest, additive_device: Callable[..., OpenDevice]
) -> None:
    profile(request_, QUIET, additive_device())
    first = request_.lut_path.read_text()
    request_.lut_path.unlink()
    agents: list[FakeAgent] = []

    def remembered(device: object, settings: object) -> FakeAgent:
        agents.append(additive_device()(device, settings))
        return agents[0]

    profile(request_, QUIET, remembered)
    assert agents[0].batches == []
    rows = [line for line in request_.lut_path.read_text().splitlines() if not line.startswith("#")]
    assert rows == [line for line in first.splitlines() if not line.startswith("#")]


def test_measuring_again_is_the_next_revision(
    request_: ProfileRequest, additive_device: Callable[..., OpenDevice]
) -> None:
    profile(request_, QUIET, additive_device())
    before = file_sha256(request_.lut_path)
    lut = profile(request_, QUIET, additive_device(slower=1.5))
    assert (lut.metadata.revision, lut.metadata.previous) == (2, before)
    assert lut.by_operator[OVERHEAD.name].latency_us == pytest.approx(4.5, rel=0.01)
    folder = request_.lut_path.with_suffix(".journal")
    assert sorted(path.name for path in folder.glob("*.jsonl")) == ["r1.jsonl", "r2.jsonl"]


def test_another_version_of_the_runtime_goes_on_and_another_runtime_does_not(
    request_: ProfileRequest, additive_device: Callable[..., OpenDevice]
) -> None:
    lut = profile(request_, QUIET, additive_device())
    package = lut.metadata.runtime.partition(" ")[0]
    for runtime in (f"{package} 1.0 (custom)", f"{package} 1.0 of our own", "caffe2 1.0"):
        write_lut(replace(lut, metadata=replace(lut.metadata, runtime=runtime)), request_.lut_path)
        with pytest.raises(UsageError, match="the LUT there is of"):
            profile(request_, QUIET, additive_device())
    write_lut(replace(lut, metadata=replace(lut.metadata, runtime=f"{package} 1.0")), request_.lut_path)
    assert profile(request_, QUIET, additive_device()).metadata.revision == 2


@pytest.mark.parametrize("provenance", ["estimated", "imported"])
def test_a_measurement_replaces_an_estimate_of_the_device_whatever_it_covers(
    provenance: str, request_: ProfileRequest, additive_device: Callable[..., OpenDevice]
) -> None:
    section = SpaceSection("fbnet", (224, 96), (1.0,))
    meta = Metadata("host", "caffe2", "fp32", 4, section, provenance=provenance)  # type: ignore[arg-type]
    write_lut(Lut(meta, ()), request_.lut_path)
    before = file_sha256(request_.lut_path)
    found = profile(request_, QUIET, additive_device()).metadata
    assert (found.provenance, found.revision, found.previous) == ("measured", 2, before)
    other = replace(meta, device="phone")
    write_lut(Lut(other, ()), request_.lut_path)
    with pytest.raises(UsageError, match="has device phone"):
        profile(request_, QUIET, additive_device())


def test_another_definition_of_the_same_name_is_refused(
    request_: ProfileRequest, additive_device: Callable[..., OpenDevice], tiny_file: Path
) -> None:
    with pytest.raises(InterruptedRunError):
        profile(request_, QUIET, additive_device(crash_at=3))
    text = tiny_file.read_text()
    tiny_file.write_text(text.replace("layers = 2", "layers = 3", 1))
    with pytest.raises(JournalError, match="an unfinished run with other settings is here"):
        profile(request_, QUIET, additive_device())
    tiny_file.write_text(text)
    profile(request_, QUIET, additive_device())
    tiny_file.write_text(text.replace("layers = 2", "layers = 3", 1))
    with pytest.raises(UsageError, match="the LUT there was measured with another definition of the space tiny"):
        profile(request_, QUIET, additive_device())
    tiny_file.write_text(f"# the same\n{text}")
    assert profile(request_, QUIET, additive_device()).metadata.revision == 2


def test_fresh_puts_an_unfinished_journal_aside(
    request_: ProfileRequest, additive_device: Callable[..., OpenDevice]
) -> None:
    with pytest.raises(InterruptedRunError):
        profile(request_, QUIET, additive_device(crash_at=3))
    folder = request_.lut_path.with_suffix(".journal")
    kept = (folder / "r1.jsonl").read_text()
    profile(replace(request_, fresh=True), QUIET, additive_device())
    assert (folder / "r1.aside1.jsonl").read_text() == kept


def test_other_settings_do_not_mix_with_an_unfinished_run(
    request_: ProfileRequest, additive_device: Callable[..., OpenDevice]
) -> None:
    with pytest.raises(InterruptedRunError):
        profile(request_, QUIET, additive_device(crash_at=3))
    with pytest.raises(JournalError, match="seed 0 -> 1"):
        profile(replace(request_, seed=1), QUIET, additive_device())


@pytest.mark.parametrize(
    ("change", "problem"),
    [({"threads": 2}, "threads 1, not 2"), ({"dtype": "fp32"}, "dtype int8"), ({"resolutions": (64,)}, "covers tiny")],
)
def test_a_lut_of_something_else_is_not_written_over(
    request_: ProfileRequest, additive_device: Callable[..., OpenDevice], change: dict[str, object], problem: str
) -> None:
    profile(request_, QUIET, additive_device())
    before = request_.lut_path.read_bytes()
    with pytest.raises(UsageError, match=problem):
        profile(replace(request_, **change), QUIET, additive_device())  # type: ignore[arg-type]
    assert request_.lut_path.read_bytes() == before


def test_a_file_that_is_no_lut_is_not_written_over(
    request_: ProfileRequest, additive_device: Callable[..., OpenDevice]
) -> None:
    request_.lut_path.parent.mkdir()
    request_.lut_path.write_text("my thesis\n")
    with pytest.raises(LutError):
        profile(request_, QUIET, additive_device())
    assert request_.lut_path.read_text() == "my thesis\n"


def test_a_refused_operator_costs_its_row(request_: ProfileRequest, additive_device: Callable[..., OpenDevice]) -> None:
    refused = "ir_k5_e2_g1_8x16x16_8_s1"
    lut = profile(request_, QUIET, additive_device(refused=(refused,)))
    assert lut.by_operator[refused].status == "failed: refused by script"
    assert lut.metadata.quality["failed"] == 1
    assert all(row.is_ok for row in lut.rows if row.operator != refused)


def test_operators_that_never_settle_stop_at_the_cap_and_are_flagged(request_: ProfileRequest) -> None:
    noisy = "fc_32_10"

    def script(artifact: str, depth: int, invocation: int) -> int:
        del depth
        if ":" in artifact:
            return 1_000_000
        return round(operator_ns(artifact) * (1 + (artifact == noisy) * random.Random(invocation // 30).random() * 9))

    protocol = Protocol(max_rounds=40)
    lut = profile(replace(request_, protocol=protocol), QUIET, lambda _device, _settings: FakeAgent(script))
    assert lut.by_operator[noisy].rounds == 40
    assert lut.metadata.quality["outside_target"] == [noisy]
    measured = sum(row.parts.is_measured for row in lut.rows)
    assert lut.metadata.quality["within_target"] == pytest.approx(1 - 1 / measured, abs=1e-5)


def test_disturbed_rounds_do_not_move_the_numbers(request_: ProfileRequest, tiny: Space) -> None:
    """Every other 500 invocations the machine is 1.3 times slower, and its canary says so."""

    def slow(invocation: int) -> float:
        return 1.3 if invocation // 500 % 2 else 1.0

    def script(artifact: str, depth: int, invocation: int) -> int:
        del depth
        if ":" in artifact:
            net = net_of_key(artifact, [tiny])
            return round(
                slow(invocation) * (OVERHEAD_NS + sum(operator_ns(o.name) - OVERHEAD_NS for o in net.operators))
            )
        return round(slow(invocation) * operator_ns(artifact))

    def open_device(device: object, settings: object) -> FakeAgent:
        del device, settings
        return FakeAgent(script, canary=lambda invocation: round(50_000 * slow(invocation)))

    lut = profile(request_, QUIET, open_device)
    for row in lut.rows:
        if row.parts.is_measured:
            assert row.latency_us == pytest.approx(operator_ns(row.operator) / 1000, rel=1e-3)
    assert 0.3 < lut.metadata.quality["disturbed_share"] < 0.7
    assert lut.metadata.context.scale == pytest.approx(1.0, abs=1e-3)


def test_two_runs_on_one_device_at_once(request_: ProfileRequest, additive_device: Callable[..., OpenDevice]) -> None:
    with device_lock("host", "host"), pytest.raises(DeviceError) as caught:
        profile(request_, QUIET, additive_device())
    assert "another lutbench" in str(caught.value)


def test_an_unwritable_output_is_known_before_measuring(
    request_: ProfileRequest, additive_device: Callable[..., OpenDevice], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        profile(replace(request_, output=tmp_path / "file" / "host.csv"), QUIET, additive_device())


def test_several_variants_share_one_lut(request_: ProfileRequest) -> None:
    script = lambda artifact, _depth, _n: 1_000_000 if ":" in artifact else operator_ns(artifact)  # noqa: E731
    lut = profile(
        replace(request_, resolutions=(32, 48), widths=(1.0, 0.5)), QUIET, lambda _device, _settings: FakeAgent(script)
    )
    stems = {row.operator for row in lut.rows if row.operator.startswith("stem")}
    assert stems == {"stem_k3_3x32x32_8_s2", "stem_k3_3x48x48_8_s2"}
    assert (lut.metadata.space.resolutions, lut.metadata.space.widths) == ((32, 48), (1.0, 0.5))
    assert "[[stage]]" in lut.metadata.space.definition


def test_default_paths_tell_runtime_and_dtype_apart(host: Device) -> None:
    assert ProfileRequest(device=host).lut_path == Path("luts/host.csv")
    assert ProfileRequest(device=host, dtype="fp32").lut_path == Path("luts/host_fp32.csv")


def test_what_a_grid_of_channels_has_to_measure_is_said_before_anything_is_exported(
    host: Device, tmp_path: Path
) -> None:
    space = known_space("fbnetv2").scaled(224, 1.0)
    count = sum(operator.is_measured for operator in space.operators)
    said: list[Event] = []

    def stop(event: Event) -> None:
        said.append(event)
        raise InterruptedRunError("enough was heard")

    def no_device(*_given: object) -> FakeAgent:
        raise AssertionError("a device was opened")

    request = ProfileRequest(device=host, space="fbnetv2", output=tmp_path / "luts" / "v2.csv")
    with pytest.raises(InterruptedRunError, match="enough was heard"):
        profile(request, stop, no_device)
    (note,) = said
    assert isinstance(note, Note) and count > 10_000
    assert (
        note.text == f"{count:,} operators of fbnetv2 to export and measure: the grid of its channels and resolutions"
    )
    assert not request.lut_path.exists()
