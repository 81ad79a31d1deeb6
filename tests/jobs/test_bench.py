"""bench against a device whose nets take what its script says."""

from __future__ import annotations

import csv
import inspect
import json
import os
from collections.abc import Callable
from dataclasses import replace
from math import nan
from pathlib import Path

import pytest

from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.fake import FakeAgent
from lutbench.device_agents.registry import Device
from lutbench.errors import DeviceError, InterruptedRunError, OutputError, UsageError
from lutbench.events import Event, Note
from lutbench.export.artifact import Artifact
from lutbench.jobs import net_rounds
from lutbench.jobs.bench import MIN_ROUNDS, BenchReport, BenchRequest, bench, csv_table
from lutbench.jobs.bench_rounds import ROUND_US, visit_of
from lutbench.jobs.check import look_first_at_phone
from lutbench.jobs.model_options import InputOptions
from lutbench.jobs.profile import ProfileRequest, profile
from lutbench.lut.file import read_lut
from lutbench.lut.latencies import read_latencies
from lutbench.lut.metadata import Metadata, SpaceSection
from lutbench.lut.row import Row
from lutbench.lut.table import Lut
from lutbench.measure.protocol import Protocol
from lutbench.measure.statistics import summarize
from lutbench.space.architecture import Architecture, write_architecture
from lutbench.space.macro import Space
from lutbench.space.sampling import random_nets
from lutbench.space.zoo import find_net
from tests.conftest import TINY_TOML
from tests.onnx_models import convolution

OpenDevice = Callable[..., FakeAgent]
QUIET: Callable[[Event], None] = lambda _event: None  # noqa: E731
SMALL_NETS = ("mobilenet_v2@32x0.35", "shufflenet_v2@32x0.5")


def script(artifact: str, _depth: int, invocation: int) -> int:
    """A thousand nanoseconds per letter of the artifact's name, give or take 0.2 %."""
    return round(1000 * len(artifact) * (1 + 0.002 * ((invocation * 7919) % 11 - 5) / 5))


def device(**arguments: object) -> OpenDevice:
    def open_device(_device: Device, _settings: AgentSettings) -> FakeAgent:
        return FakeAgent(script, **arguments)  # type: ignore[arg-type]

    return open_device


@pytest.fixture(autouse=True)
def own_journals(shared_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Journals of each test's own, for others measure beside it; what is exported is the whole run's."""
    exported, cache = shared_cache / "artifacts", tmp_path / "own cache"
    exported.mkdir(exist_ok=True)
    cache.mkdir()
    (cache / "artifacts").symlink_to(exported)
    monkeypatch.setenv("LUTBENCH_CACHE", str(cache))


def journals() -> set[Path]:
    return set((Path(os.environ["LUTBENCH_CACHE"]) / "bench").glob("*.jsonl"))


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """Two ONNX files, the second with an open batch."""
    first = convolution(tmp_path / "first.onnx")
    return str(first), str(convolution(tmp_path / "second_one.onnx", ("N", 3, 8, 8)))


def test_a_device_is_looked_at_before_it_is_opened_and_may_refuse(host: Device, files: tuple[str, str]) -> None:
    done: list[str] = []

    def look(_device: Device, settings: AgentSettings, artifact: Artifact | None) -> None:
        assert artifact is not None and settings.runtime == artifact.runtime == "onnx"
        done.append("looked")

    def opened(asked: Device, settings: AgentSettings) -> FakeAgent:
        done.append("opened")
        return device()(asked, settings)

    def refuse(*_: object) -> None:
        raise DeviceError("tar: it cannot")

    bench(BenchRequest(device=host, nets=(files[0],)), QUIET, opened, look)
    assert done == ["looked", "opened"]
    with pytest.raises(DeviceError, match="tar: it cannot"):
        bench(BenchRequest(device=host, nets=(files[1],)), QUIET, opened, refuse)
    assert done == ["looked", "opened"]
    assert inspect.signature(bench).parameters["look_first"].default is look_first_at_phone


def test_latencies_counts_and_order(host: Device, files: tuple[str, str]) -> None:
    nets = (files[1], *SMALL_NETS, files[0])
    found = bench(BenchRequest(device=host, nets=nets), QUIET, device())
    assert [result.net.text for result in found.results] == list(nets)
    for result in found.results:
        assert result.summary is not None and result.net.artifact is not None and result.status == "ok"
        assert result.summary.latency_us == pytest.approx(len(result.net.artifact.name), rel=0.002)
        assert result.summary.rounds >= MIN_ROUNDS and result.summary.half_width <= 0.01
        assert result.predicted_us is None and result.error is None
        assert result.counts.macs and result.counts.params
        giga_per_s = result.counts.macs / 1e9 / (result.summary.latency_us * 1e-6)
        assert result.gmacs_per_s == pytest.approx(giga_per_s)
    assert found.results[0].counts.macs == 8 * 8 * 4 * 27
    assert found.results[1].net.variant == (32, 0.35) and found.results[0].net.variant is None
    assert (found.runtime.split()[0], found.dtype, found.threads) == ("onnxruntime", "int8", 1)
    assert [result.net.dtype for result in found.results] == ["file", "int8", "int8", "file"]


def test_a_lut_predicts_the_nets_it_covers(
    host: Device, tiny_file: Path, tmp_path: Path, additive_device: Callable[..., OpenDevice]
) -> None:
    path = tmp_path / "host.csv"
    profile(ProfileRequest(device=host, space=str(tiny_file), output=path), QUIET, additive_device(scale=1.06))
    nets = ("k3_e1,skip|k5_e2,k3_e2_g2", "k5_e2 k5_e2 k5_e2 k5_e2")
    request = BenchRequest(device=host, nets=nets, lut=read_lut(path))
    events: list[Event] = []
    found = bench(request, events.append, additive_device(scale=1.06))
    errors = [result.error for result in found.results]
    assert all(error is not None and abs(error) < 0.005 for error in errors)
    assert not [event for event in events if isinstance(event, Note) and event.warning]
    bench(
        replace(request, dtype="fp32", threads=2, force=True, nets=nets[:1]), events.append, additive_device(scale=1.06)
    )
    warnings = [event.text for event in events if isinstance(event, Note) and event.warning]
    assert len(warnings) == 2
    assert "dtype is int8, here it is fp32" in warnings[0] and "threads is 1, here it is 2" in warnings[1]


def test_a_net_outside_the_luts_space_has_no_prediction(
    host: Device, tiny_file: Path, tmp_path: Path, additive_device: Callable[..., OpenDevice]
) -> None:
    path = tmp_path / "host.csv"
    profile(ProfileRequest(device=host, space=str(tiny_file), output=path), QUIET, additive_device())
    (result,) = bench(BenchRequest(device=host, nets=("fbnet_96_035_1",), lut=read_lut(path)), QUIET, device()).results
    assert result.summary is not None and result.predicted_us is None


def test_a_published_net_of_blocks_is_predicted_wherever_a_lut_has_its_operators(host: Device) -> None:
    names = {op.name.replace("_relu6", "") for op in find_net("mobilenet_v2@32x0.35", ()).operators}
    rows = tuple(Row(name, 10.0, *[nan] * 5, samples=0, rounds=0) for name in sorted(names))
    metadata = Metadata("host", "unknown", "int8", 1, SpaceSection("imported", (), ()), provenance="imported")
    request = BenchRequest(device=host, nets=SMALL_NETS, lut=Lut(metadata, rows))
    of_blocks, of_others = bench(request, QUIET, device()).results
    assert of_blocks.predicted_us == 10.0 * len(find_net("mobilenet_v2@32x0.35", ()).operators)
    assert of_others.summary is not None and of_others.predicted_us is None


def test_what_fails_costs_itself(host: Device, files: tuple[str, str], tmp_path: Path) -> None:
    junk = tmp_path / "junk.onnx"
    junk.write_bytes(b"\x00")
    nets = (files[0], "none.onnx", str(junk), *SMALL_NETS, files[1])
    artifact = bench(BenchRequest(device=host, nets=(files[1],)), QUIET, device()).results[0].net.artifact
    assert artifact is not None
    output = tmp_path / "out.csv"
    request = BenchRequest(device=host, nets=nets, output=output)
    found = bench(request, QUIET, device(refused=[artifact.name]))
    statuses = {result.net.text: result.status for result in found.results}
    assert statuses == {
        files[0]: "ok",
        "none.onnx": "failed: no such file",
        str(junk): "failed: not an ONNX model",
        **dict.fromkeys(SMALL_NETS, "ok"),
        files[1]: "failed: refused by script",
    }
    assert [result.net.text for result in found.failed] == ["none.onnx", str(junk), files[1]]
    assert set(found.latencies_us()) == {files[0], *SMALL_NETS}
    assert len(output.read_text().splitlines()) == 4


def test_nothing_is_opened_and_written_where_no_net_can_run(host: Device, tmp_path: Path) -> None:
    def never(_device: Device, _settings: AgentSettings) -> FakeAgent:
        raise AssertionError

    output = tmp_path / "out.csv"
    found = bench(BenchRequest(device=host, nets=("none.onnx",), output=output), QUIET, never)
    assert [result.status for result in found.results] == ["failed: no such file"]
    assert not output.exists()


def test_the_table_in_a_file(host: Device, files: tuple[str, str], tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    found = bench(BenchRequest(device=host, nets=(SMALL_NETS[0], files[0]), output=output), QUIET, device())
    rows = list(csv.DictReader(output.read_text().splitlines()))
    assert output.read_text() == csv_table(found)
    model, file = rows
    assert (model["net"], model["resolution"], model["width"], model["device"]) == (
        "mobilenet_v2",
        "32",
        "0.35",
        "host",
    )
    assert (file["net"], file["resolution"], file["width"], file["dtype"]) == (files[0], "", "", "file")
    summary = found.results[0].summary
    assert summary is not None
    assert float(model["latency_us"]) == pytest.approx(summary.latency_us, abs=1e-3)
    assert float(model["ci_low_us"]) <= float(model["latency_us"]) <= float(model["ci_high_us"])
    assert float(model["mmacs"]) > 0 and float(model["params_m"]) > 0
    assert (model["dtype"], model["threads"], model["runtime"].split()[0]) == ("int8", "1", "onnxruntime")


def test_an_architecture_file_is_timed_and_a_table_does_not_follow_its_name(
    host: Device, tiny: Space, tmp_path: Path
) -> None:
    file, output = tmp_path / "found@32x1.0.json", tmp_path / "out.csv"
    net = random_nets(tiny, 1, 0, "found")[0]
    write_architecture(Architecture(net, {}, 0, TINY_TOML), file)
    (result,) = bench(BenchRequest(device=host, nets=(str(file),), output=output), QUIET, device()).results
    assert result.net.wanted == net and result.counts.macs == net.macs and result.summary is not None
    (row,) = csv.DictReader(output.read_text().splitlines())
    assert (row["net"], row["resolution"], row["width"], row["key"]) == (str(file), "32", "1.0", net.key)
    file.unlink()
    (timed,) = read_latencies(str(output), "host", (tiny,)).nets  # by its key: the file is not followed
    assert (timed.net.key, timed.name) == (net.key, str(file))
    assert "is of the space tiny@32x1.0, which is not known here" in read_latencies(str(output), "host", ()).left_out[0]


def test_a_net_is_named_by_its_key(host: Device, tiny: Space, tmp_path: Path) -> None:
    """As verify's results and tables of bench have it."""
    output = tmp_path / "out.csv"
    key = find_net("fbnet_a@32x0.35", ()).key
    (result,) = bench(BenchRequest(device=host, nets=(key,), output=output), QUIET, device()).results
    assert result.summary is not None and result.net.wanted == replace(find_net(key, ()), name=key)
    (row,) = csv.DictReader(output.read_text().splitlines())
    assert (row["net"], row["resolution"], row["width"], row["key"]) == (key, "32", "0.35", key)
    assert read_latencies(str(output), "host", ()).nets[0].net.key == key
    with pytest.raises(UsageError, match="which is not known here"):
        bench(BenchRequest(device=host, nets=(random_nets(tiny, 1, 0, "x")[0].key,)), QUIET, device())


def test_an_interrupted_run_goes_on_and_a_finished_one_starts_anew(host: Device, files: tuple[str, str]) -> None:
    request = BenchRequest(device=host, nets=(*files, SMALL_NETS[0]))
    before = journals()
    with pytest.raises(InterruptedRunError, match="the same command goes on"):
        bench(request, QUIET, device(crash_at=9))
    (journal,) = journals() - before
    held = journal.read_text()
    notes: list[Event] = []
    bench(request, notes.append, device())
    (finished,) = journals() - before
    assert finished != journal and finished.read_text().startswith(held)
    records = [json.loads(line) for line in finished.read_text().splitlines()]
    visits = [(record["operator"], record["round"]) for record in records if "operator" in record]
    assert len(visits) == len(set(visits)) == MIN_ROUNDS * 3
    assert any(isinstance(note, Note) and "going on after 8 rounds" in note.text for note in notes)
    bench(request, QUIET, device())
    assert len(journals() - before) == 2


def test_results_that_could_not_be_told_are_not_measured_again(host: Device, files: tuple[str, str]) -> None:
    def full(_found: BenchReport) -> None:
        raise OutputError("no space")

    request = BenchRequest(device=host, nets=files, protocol=max_and_min(12), threads=4, force=True)
    before = journals()
    with pytest.raises(OutputError):
        bench(request, QUIET, device(), tell=full)
    (journal,) = journals() - before
    notes: list[Event] = []
    told: list[BenchReport] = []
    found = bench(request, notes.append, device(), tell=told.append)
    assert told == [found] and not found.failed
    assert any(isinstance(note, Note) and "going on after 12 rounds" in note.text for note in notes)
    (finished,) = journals() - before
    assert finished != journal
    assert len([line for line in finished.read_text().splitlines() if '"end":' in line]) == 12


def test_fresh_puts_the_journal_aside(host: Device, files: tuple[str, str]) -> None:
    request = BenchRequest(device=host, nets=files, threads=3, force=True, protocol=max_and_min(12), fresh=True)
    before = journals()
    with pytest.raises(InterruptedRunError):
        bench(request, QUIET, device(crash_at=9))
    notes: list[Event] = []
    bench(request, notes.append, device())
    assert len(journals() - before) == 2
    assert not [note for note in notes if isinstance(note, Note)]


def max_and_min(rounds: int) -> Protocol:
    return Protocol(min_rounds=rounds, max_rounds=rounds)


def test_groups_each_have_a_journal(host: Device, files: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(net_rounds, "NETS_PER_GROUP", 2)
    before = journals()
    found = bench(BenchRequest(device=host, nets=(*files, SMALL_NETS[0])), QUIET, device())
    assert not found.failed
    assert len(journals() - before) == 2


def test_a_net_asked_for_twice_is_measured_once(host: Device, files: tuple[str, str]) -> None:
    before = journals()
    again = str(Path(files[0]).parent / "." / ".." / Path(files[0]).parent.name / "first.onnx")
    found = bench(BenchRequest(device=host, nets=(files[0], again)), QUIET, device())
    assert found.results[0].summary == found.results[1].summary is not None
    (journal,) = journals() - before
    assert len({json.loads(line).get("operator") for line in journal.read_text().splitlines()} - {None}) == 1


def test_a_net_that_never_gives_samples_ends(host: Device, files: tuple[str, str]) -> None:
    class Silent(FakeAgent):
        def measure(self, batch):  # type: ignore[no-untyped-def]
            yield from (s for s in super().measure(batch) if "second" not in getattr(s, "artifact", ""))

    request = BenchRequest(device=host, nets=files, protocol=max_and_min(12))
    found = bench(request, QUIET, lambda _device, _settings: Silent(script))
    assert [result.status for result in found.results] == ["ok", "failed: the device gave no sample of it"]


def test_visits_fill_a_round() -> None:
    protocol = Protocol()
    assert visit_of(None, 1, protocol) == (protocol.net_warmup, protocol.net_repeats)
    for latency_us in (5, 300, 2_000, 40_000, 1e6):
        for nets in (1, 9, 50):
            summary = summarize([[int(latency_us * 1000)] * 3] * 8)
            warmup, repeats = visit_of(summary, nets, protocol)
            least, least_timed = protocol.net_visit(latency_us)
            assert least_timed <= repeats <= protocol.max_repeats and warmup >= least
            usual = (least + least_timed) * latency_us
            assert (warmup + repeats) * latency_us == pytest.approx(max(usual, ROUND_US / nets), rel=0.5)


@pytest.mark.parametrize(
    ("nets", "options", "problem"),
    [
        ((), {}, "no net to time"),
        (("fbnet_z",), {}, "no net is called 'fbnet_z'"),
        (("fbnet_a",), {"dtype": "int4"}, "no dtype"),
        (("fbnet_a",), {"inputs": InputOptions({"x": (1,)})}, "--shape x: no model has an input of this name"),
    ],
)
def test_wrong_use(nets: tuple[str, ...], options: dict[str, object], problem: str, host: Device) -> None:
    with pytest.raises(UsageError, match=problem):
        bench(BenchRequest(device=host, nets=nets, **options), QUIET, device())  # type: ignore[arg-type]


def test_after_four_short_processes_each_lasts_ten_rounds(host: Device, files: tuple[str, str]) -> None:
    before = journals()
    protocol = Protocol(min_rounds=12, max_rounds=35, target=1e-9)
    bench(BenchRequest(device=host, nets=files[:1], protocol=protocol), QUIET, device())
    (journal,) = journals() - before
    notes = (json.loads(line) for line in journal.read_text().splitlines() if '"processes"' in line)
    assert list(notes)[-1]["value"] == [0, 3, 6, 9, 12, 22, 32]
