"""bench: whole nets on a device, by the protocol that operators are timed by."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lutbench.device_agents.agent import CORE_CHOICE
from lutbench.device_agents.registry import check_measurable, open_agent
from lutbench.errors import LutError, UsageError
from lutbench.events import Note, Report
from lutbench.export.artifact import Artifact, ModelInput
from lutbench.export.exporters import Exporter, check_times_nets, find_exporter
from lutbench.export.model_inputs import RANDOM_FLOATS, RANDOM_INTEGERS
from lutbench.export.onnx_counts import Counts
from lutbench.files import check_writable, default_cache_folder, write_atomically
from lutbench.jobs.bench_nets import BenchNet, parse_net_text, prepare_nets
from lutbench.jobs.bench_rounds import BenchRounds
from lutbench.jobs.check import LookFirst, look_first_at_phone
from lutbench.jobs.device_hold import OpenAgent, held
from lutbench.jobs.measure_request import MeasureRequest
from lutbench.jobs.model_options import InputOptions
from lutbench.jobs.net_rounds import Measuring
from lutbench.jobs.quiet import Waiting
from lutbench.jobs.tuning import choose_canaries
from lutbench.lut.predict import net_half_width, predict
from lutbench.lut.table import Lut
from lutbench.measure.protocol import MOST_ROUNDS_OF_NETS, Protocol
from lutbench.measure.statistics import Summary
from lutbench.reading.cells import guarded
from lutbench.space.fbnet import FBNET, fbnet
from lutbench.space.graph import Model
from lutbench.space.macro import Space
from lutbench.space.net import Net
from lutbench.space.zoo import net_of_blocks
from lutbench.units import US_PER_S

MIN_ROUNDS = 40
OK = "ok"
CSV_COLUMNS = (
    "net", "resolution", "width", "device", "latency_us", "ci_low_us", "ci_high_us", "mmacs", "params_m", "runtime",
    "dtype", "threads", "batch", "inputs", "key",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class BenchRequest(MeasureRequest):
    """What to time.

    inputs: shapes and values of model files' inputs.
    lut: predicts the nets that it covers.

    output: a CSV file of the results; none means no file.
    """

    nets: tuple[str, ...]
    lut: Lut | None = None
    inputs: InputOptions = field(default_factory=InputOptions)
    protocol: Protocol = field(default_factory=lambda: Protocol(min_rounds=MIN_ROUNDS, max_rounds=MOST_ROUNDS_OF_NETS))

    def __post_init__(self) -> None:
        if not self.nets:
            raise UsageError("no net to time", remedy="name some, or give --paper-table")
        self.device.cores_for(self.cores)
        self.device.check_phone_only(fixed_performance=self.fixed_performance)


@dataclass(frozen=True)
class BenchResult:
    """One net.

    summary: its figures, or None where it failed.
    predicted_us: None where no LUT covers it.
    predicted_half_width: half its 95 % interval, a fraction; None where the LUT does not tell.
    """

    net: BenchNet
    status: str
    summary: Summary | None
    counts: Counts
    predicted_us: float | None
    predicted_half_width: float | None = None

    @property
    def gmacs_per_s(self) -> float | None:
        if self.summary is None or not self.counts.macs:
            return None
        return self.counts.macs / 1e9 / (self.summary.latency_us / US_PER_S)

    @property
    def error(self) -> float | None:
        """The fraction of the measured latency by which the prediction is off."""
        if self.summary is None or self.predicted_us is None:
            return None
        return self.predicted_us / self.summary.latency_us - 1


@dataclass(frozen=True)
class BenchReport:
    """Every net's result in the order asked for.

    runtime: with its version.
    target: of the protocol.
    disturbed_share: of samples, which do not count.
    """

    device: str
    cpu: str
    runtime: str
    dtype: str
    threads: int
    batch: int
    target: float
    disturbed_share: float
    results: tuple[BenchResult, ...]

    @property
    def failed(self) -> tuple[BenchResult, ...]:
        return tuple(result for result in self.results if result.summary is None)

    def latencies_us(self) -> dict[str, float]:
        """The latency of each net that ran, by its text."""
        return {r.net.text: r.summary.latency_us for r in self.results if r.summary is not None}


def bench(
    request: BenchRequest,
    report: Report,
    open_device: OpenAgent = open_agent,
    look_first: LookFirst = look_first_at_phone,
    tell: Callable[[BenchReport], None] | None = None,
) -> BenchReport:
    """Times the nets and writes the CSV file where one is asked for; a run that is cut off goes on from its journal.

    A net that cannot be read, exported or run costs itself. InterruptedRunError on Ctrl-C.

    tell: is given the results while their journals still stand; what it raises leaves them there, for results that
        nobody got are not to be measured again.
    """
    check_measurable(request.device, request.runtime)
    exporter = find_exporter(request.runtime, request.dtype, batch=request.batch)
    check_times_nets(exporter)
    if request.output is not None:
        check_writable(request.output)
    spaces = _spaces(request.lut)
    wanted = {text: parse_net_text(text, spaces) for text in request.nets}
    if request.lut is not None:
        for text in lut_differences(request, exporter):
            report(Note(text, warning=True))
    folder = default_cache_folder() / "bench"
    with held(request.device, folder):
        canaries = choose_canaries((fbnet(FBNET.resolution, 1.0),), request.protocol, request.batch)
        how = Measuring(
            device=request.device,
            settings=request.settings(report),
            canaries=canaries,
            protocol=request.protocol,
            open_device=open_device,
            look_first=look_first,
            waiting=Waiting(request.wait_quiet_s),
        )
        nets, loaded = prepare_nets(wanted, canaries.operators, exporter, request.dtype, request.inputs, report)
        texts = {net.artifact.name: net.text for net in nets if net.artifact}
        rounds = BenchRounds(how, request, exporter.runtime_version, texts, folder)
        found = _measured(request, rounds, nets, loaded, exporter.runtime_version)
        if request.output is not None and len(found.failed) < len(found.results):
            write_atomically(request.output, csv_table(found).encode())
        if tell is not None:
            tell(found)
        rounds.set_journals_aside()
    return found


def lut_differences(request: BenchRequest, exporter: Exporter) -> list[str]:
    """What sets the LUT's predictions apart from what is measured here, one line each."""
    assert request.lut is not None
    meta = request.lut.metadata
    pairs = {
        "device": (meta.device, request.device.name),
        "runtime": (meta.runtime, exporter.runtime_version),
        "dtype": (meta.dtype, request.dtype),
        "threads": (str(meta.threads), str(request.threads)),
        "batch": (str(meta.batch), str(request.batch)),
        "choice of cores": (str(meta.environment.get(CORE_CHOICE, "")), request.chosen_cores),
    }
    return [
        f"the LUT's {name} is {theirs}, here it is {mine}: its predictions are of something else"
        for name, (theirs, mine) in pairs.items()
        if theirs != mine
    ]


def _spaces(lut: Lut | None) -> tuple[Space, ...]:
    """Where candidate strings belong: the LUT's spaces, else FBNet's own."""
    return (fbnet(FBNET.resolution, 1.0),) if lut is None else lut.metadata.space.spaces


def _measured(
    request: BenchRequest, rounds: BenchRounds, nets: Sequence[BenchNet], canaries: Sequence[Artifact], runtime: str
) -> BenchReport:
    artifacts = list({net.artifact.name: net.artifact for net in nets if net.artifact}.values())
    disturbed_share = rounds.measure(artifacts, canaries)
    return BenchReport(
        request.device.name,
        rounds.cpu,
        runtime,
        request.dtype,
        request.threads,
        request.batch,
        request.protocol.target,
        disturbed_share,
        tuple(_result(net, rounds.found, request) for net in nets),
    )


def _result(net: BenchNet, found: Mapping[str, Summary | str], request: BenchRequest) -> BenchResult:
    outcome = found[net.artifact.name] if net.artifact else net.reason
    if isinstance(outcome, str):
        return BenchResult(net, f"failed: {' '.join(outcome.split())}{_hint(net)}", None, Counts(None, None), None)
    half_width = net_half_width(request.lut) if request.lut else None
    return BenchResult(net, OK, outcome, net.counts(request.batch), _predicted_us(net, request), half_width)


def _predicted_us(net: BenchNet, request: BenchRequest) -> float | None:
    lut = request.lut
    if lut is None or lut.metadata.batch != request.batch:
        return None
    wanted = net_of_blocks(net.wanted) if isinstance(net.wanted, Model) else net.wanted
    if not isinstance(wanted, Net):
        return None
    try:
        return predict(lut, wanted).latency_us
    except LutError:  # not covered: the table shows that there is no prediction
        return None


def _hint(net: BenchNet) -> str:
    """What may help where a model ran, or would have, on values that nobody chose."""
    guessed = [given.name for given in net.inputs if given.said == RANDOM_INTEGERS]
    if not guessed:
        return ""
    return f"; it ran with 0 or 1 in {', '.join(guessed)}: --value {guessed[0]}=NUMBER gives another"


def said_inputs(inputs: Sequence[ModelInput]) -> str:
    """What a model was timed with: `ids 1x9 (random 0 or 1), mask 1x9 (1)`; an assumed batch says so."""
    told = []
    for given in inputs:
        values = "" if given.said == RANDOM_FLOATS else given.said
        notes = ", ".join(part for part in ("batch assumed" if given.assumed else "", values) if part)
        shape = "x".join(str(size) for size in given.shape) or "scalar"
        told.append(f"{given.name} {shape}" + (f" ({notes})" if notes else ""))
    return ", ".join(told)


def csv_table(found: BenchReport) -> str:
    """The nets that ran, one line each, as `lutbench estimate` reads them; no resolution and width for ONNX files.

    A net's key says what an architecture file holds, for names of files in a table are not followed.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for result in found.results:
        if result.summary is None:
            continue
        resolution, width = result.net.variant or ("", "")
        summary, counts = result.summary, result.counts
        writer.writerow(
            [
                guarded(result.net.label),
                resolution,
                width,
                guarded(found.device),
                *(f"{value:.3f}" for value in (summary.latency_us, summary.ci_low_us, summary.ci_high_us)),
                "" if counts.macs is None else f"{counts.macs / 1e6:.3f}",
                "" if counts.params is None else f"{counts.params / 1e6:.4f}",
                found.runtime,
                result.net.dtype,
                found.threads,
                found.batch,
                said_inputs(result.net.inputs),
                guarded(result.net.key),
            ]
        )
    return text.getvalue()
