"""Batches of several images: exported, timed, predicted, refused where they do not fit; operators keep their names."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest

from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.fake import FakeAgent
from lutbench.device_agents.host.agent import HostAgent
from lutbench.device_agents.registry import Device
from lutbench.errors import InterruptedRunError, JournalError, LatencyTableError, UsageError
from lutbench.events import Event, Note
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import EXPORTERS, exporter_of, find_exporter
from lutbench.jobs.bench import BenchReport, BenchRequest, bench, csv_table
from lutbench.jobs.profile import ProfileRequest, profile
from lutbench.jobs.tuning import choose_canaries
from lutbench.jobs.verify import VerifyRequest, verify
from lutbench.lut.file import format_lut, read_lut, write_lut
from lutbench.lut.latencies import read_latencies
from lutbench.measure.protocol import Batch, Canary, Cycle, Protocol, Samples
from lutbench.space.fbnet import FBNET, fbnet
from lutbench.space.macro import Space
from lutbench.space.operator import OVERHEAD, parse_operator
from lutbench.space.sampling import random_nets
from tests.cli.running import one_line, run
from tests.conftest import TINY_TOML
from tests.lut.made import made_lut
from tests.onnx_models import convolution

NAMES = ["stem_k3_3x16x16_8_s2", "ir_k3_e2_g2_8x8x8_8_s1", "pool_16x4x4", "fc_16_10", OVERHEAD.name]
SHORT = Protocol(min_rounds=1, max_rounds=1)
QUIET: Callable[[object], None] = lambda _event: None  # noqa: E731
OpenDevice = Callable[..., FakeAgent]

ONE_BLOCK = """\
name = "one_block"
resolution = 16
classes = 10
candidates = ["k3_e1", "k3_e2_g2"]
stem = {channels = 8}
head = {channels = 16}
[[stage]]
channels = 8
layers = 1
"""


@pytest.fixture
def request_(tmp_path: Path, host: Device) -> ProfileRequest:
    space = tmp_path / "one_block.toml"
    space.write_text(ONE_BLOCK)
    return ProfileRequest(device=host, space=str(space), output=tmp_path / "host.csv", batch=4, protocol=SHORT)


@pytest.fixture
def faked(request_: ProfileRequest) -> ProfileRequest:
    """For a device with scripted times."""
    return replace(request_, protocol=Protocol())


def sizes_in(data: bytes) -> list[int]:
    return [d.dim_value for d in onnx.load_model_from_string(data).graph.input[0].type.tensor_type.shape.dim]


CASES = [
    *((name, runtime, dtype) for name in NAMES for runtime in ("onnx", "torchscript") for dtype in ("int8", "fp32")),
    *((name, "executorch", "int8") for name in NAMES),  # its exports take seconds each
    (NAMES[1], "executorch", "fp32"),
]


@pytest.mark.parametrize(("name", "runtime", "dtype"), CASES)
def test_an_artifact_takes_the_whole_batch_and_computes_what_torch_computes(
    name: str, runtime: str, dtype: str
) -> None:
    exporter = find_exporter(runtime, dtype, batch=4)
    workload = parse_operator(name)
    exported = exporter.export(workload, dtype)  # checked there: all four outputs against torch's
    if runtime == "onnx":
        assert sizes_in(exported.data)[0] == (1 if workload == OVERHEAD else 4)
    single = find_exporter(runtime, dtype)
    assert exporter.recipe(workload, dtype).key != single.recipe(workload, dtype).key
    assert exporter.recipe(workload, dtype).workload == single.recipe(workload, dtype).workload == name


def test_single_images_keep_their_recipe_and_their_bytes() -> None:
    operator = parse_operator(NAMES[1])
    plain, one = EXPORTERS["onnx"], find_exporter("onnx", "int8", batch=1)
    assert plain.recipe(operator, "int8") == one.recipe(operator, "int8")
    assert "batch" not in one.recipe(operator, "int8").versions
    assert plain.export(operator, "int8").data == one.export(operator, "int8").data


@pytest.mark.parametrize("batch", [0, -1, 1025])
def test_a_batch_that_cannot_be(batch: int) -> None:
    with pytest.raises(UsageError, match=f"a batch of {batch} images"):
        find_exporter("onnx", "int8", batch=batch)


@pytest.mark.slow
def test_profile_and_verify_on_this_machine(request_: ProfileRequest) -> None:
    single = profile(replace(request_, batch=1, output=request_.lut_path.with_name("1.csv")), QUIET)
    lut = profile(request_, QUIET)
    assert [row.operator for row in lut.rows] == [row.operator for row in single.rows]
    assert [row.status for row in lut.rows if not row.is_ok] == []
    assert (lut.metadata.batch, single.metadata.batch) == (4, 1)
    found, _ = verify(
        VerifyRequest(lut_path=request_.lut_path, device=request_.device, nets=2, rounds=4, protocol=SHORT), QUIET
    )
    assert found.nets == 2
    assert read_lut(request_.lut_path).metadata.batch == 4


@pytest.mark.slow
@pytest.mark.parametrize("runtime", [name for name, exporter in EXPORTERS.items() if "int8" in exporter.dtypes])
def test_this_machine_runs_batches_on_every_runtime(runtime: str, shared_cache: Path) -> None:
    exporter, workload = find_exporter(runtime, "int8", batch=4), parse_operator(NAMES[1])
    assert exporter_of(exporter.runtime_version, 4) == exporter
    artifact = ArtifactCache(shared_cache).put(
        exporter.recipe(workload, "int8"), exporter.suffix, exporter.export(workload, "int8")
    )
    with HostAgent(AgentSettings(runtime, "int8", 1)) as agent:
        assert list(agent.install([artifact])) == []
        cycle, canary = Cycle((artifact.name,), 0, 1, 3, "small"), Canary("small", artifact.name, 1, 1.0)
        samples, _spent = agent.measure(Batch((cycle,), (canary,)))
        assert isinstance(samples, Samples)
        assert len(samples.durations_ns) == 3


def test_the_luts_file_says_so_and_is_not_replaced_by_another_batch(
    faked: ProfileRequest, additive_device: Callable[..., OpenDevice]
) -> None:
    lut = profile(faked, QUIET, additive_device())
    assert "# batch = 4\n" in format_lut(lut)
    assert "--batch 4" in lut.measure_command
    with pytest.raises(UsageError, match="has batch 4, not 1"):
        profile(replace(faked, batch=1), QUIET, additive_device())


def test_a_lut_of_batches_has_a_name_of_its_own(faked: ProfileRequest) -> None:
    assert replace(faked, output=None).lut_path == Path("luts/host_batch4.csv")
    assert replace(faked, output=None, batch=1).lut_path == Path("luts/host.csv")


def test_a_journal_of_one_batch_is_not_gone_on_with_for_another(
    faked: ProfileRequest, additive_device: Callable[..., OpenDevice]
) -> None:
    with pytest.raises((InterruptedRunError, KeyboardInterrupt)):
        profile(faked, QUIET, additive_device(crash_at=3))
    with pytest.raises(JournalError, match="batch"):
        profile(replace(faked, batch=8), QUIET, additive_device())
    assert profile(faked, QUIET, additive_device()).metadata.batch == 4


def test_more_operators_are_large_in_a_batch() -> None:
    space = fbnet(FBNET.resolution, 1.0)
    one, eight = (choose_canaries((space,), Protocol(), batch) for batch in (1, 8))
    assert one.large_operators < eight.large_operators
    assert one.operators == eight.operators


@pytest.mark.slow
def test_bench_times_batches_and_counts_them(
    tiny: Space, host: Device, additive_device: Callable[..., OpenDevice]
) -> None:
    (net,) = random_nets(tiny, 1, 0, "batch")
    lut = made_lut(space=tiny)
    section = replace(lut.metadata.space, definition=TINY_TOML)
    lut = replace(
        lut, metadata=replace(lut.metadata, space=section, runtime=find_exporter("onnx", "int8").runtime_version)
    )
    events: list[Event] = []

    def timed(batch: int) -> BenchReport:
        request = BenchRequest(device=host, nets=(net.candidates_text,), batch=batch, lut=lut, fresh=True)
        return bench(request, events.append, additive_device())

    one, four = timed(1), timed(4)
    (single,), (several,) = one.results, four.results
    assert several.counts.macs == 4 * single.counts.macs
    assert single.predicted_us is not None
    assert several.predicted_us is None  # the LUT's latencies are of single images
    assert [e.text for e in events if isinstance(e, Note)] == [
        "the LUT's batch is 1, here it is 4: its predictions are of something else"
    ]
    row = next(csv.DictReader(csv_table(four).splitlines()))
    assert (row["batch"], row["net"]) == ("4", net.candidates_text)


def test_a_file_of_another_batch_costs_its_row(tmp_path: Path, host: Device) -> None:
    convolution(tmp_path / "fixed.onnx", (1, 3, 8, 8))
    convolution(tmp_path / "open.onnx", ("n", 3, 8, 8))
    nets = tuple(str(tmp_path / name) for name in ("fixed.onnx", "open.onnx"))
    found = bench(
        BenchRequest(device=host, nets=nets, batch=4, fresh=True), QUIET, lambda *_: FakeAgent(lambda *_: 10_000)
    )
    fixed, opened = found.results
    assert "does not take 4 images at once: input " in fixed.status
    assert opened.status == "ok"
    assert opened.net.artifact is not None and opened.net.artifact.use is not None
    assert [one.shape for one in opened.net.artifact.use.inputs] == [(4, 3, 8, 8)]


@pytest.fixture
def fours(tmp_path: Path) -> Path:
    """A LUT of batches of 4."""
    path = tmp_path / "fours.csv"
    write_lut(made_lut(batch=4), path)
    return path


def shown(*arguments: object, cwd: Path) -> dict[str, Any]:
    done = run(*map(str, arguments), "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_predict_show_and_diff_say_of_how_many_images(fours: Path, tmp_path: Path) -> None:
    found = shown("predict", "--lut", fours, "fbnet_a", cwd=tmp_path)
    (one,) = found["nets"]
    assert found["batch"] == 4
    assert one["image_us"] == pytest.approx(one["latency_us"] / 4)
    assert shown("show", fours, cwd=tmp_path)["batch"] == 4
    write_lut(made_lut(), tmp_path / "ones.csv")
    assert "batch" in one_line(run("diff", "fours.csv", "ones.csv", cwd=tmp_path), 2)
    table = run("predict", "--lut", "fours.csv", "fbnet_a", "--batch", "4", cwd=tmp_path).stdout
    assert "per image" in table
    assert "batch 4" in table


@pytest.mark.parametrize("command", ["predict", "verify", "search"])
def test_a_lut_of_another_batch_than_asked_for_is_refused(command: str, fours: Path, tmp_path: Path) -> None:
    nets = ["fbnet_a"] if command == "predict" else []
    line = one_line(run(command, "--lut", fours.name, "--batch", "8", *nets, cwd=tmp_path), 2)
    assert "its latencies are of batches of 4, not of batches of 8" in line
    assert "--batch 8 -o LUT" in line


def test_estimate_fits_single_images_and_lists_the_rest(tmp_path: Path) -> None:
    space = fbnet(FBNET.resolution, 1.0)
    lines = ["net,latency_us,batch"]
    for net in random_nets(space, 16, 0, "batch"):
        lines += [f'"{net.candidates_text}",{net.macs / 1e4:.3f},{batch}' for batch in (1, 4)]
    table = tmp_path / "nets.csv"
    table.write_text("\n".join(lines))
    found = read_latencies(str(table), "host", (space,))
    assert len(found.nets) == 16
    assert len(found.left_out) == 16
    assert all("of a batch of 4 images, and costs are of single ones" in text for text in found.left_out)
    table.write_text("net,latency_us,batch\nfbnet_a,20000,some\n")
    with pytest.raises(LatencyTableError, match=r":2: batch 'some' is not a number of images"):
        read_latencies(str(table), "host", (space,))
