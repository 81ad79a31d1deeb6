"""`lutbench bench`"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lutbench.cli.help import HelpCommand
from lutbench.cli.options import (
    LUT,
    device_option,
    device_options,
    device_use_options,
    json_option,
    output_option,
    round_options,
)
from lutbench.cli.out import say
from lutbench.export.exporters import EXPORTERS
from lutbench.measure.protocol import MOST_ROUNDS_OF_NETS, Protocol

if TYPE_CHECKING:
    from lutbench.jobs.bench import BenchReport, BenchResult
    from lutbench.jobs.paper_tables import Comparison

_PHONES = {"s8": "S8", "iphonex": "iPhone X"}


class InputChoice(click.ParamType["tuple[str, Any]"]):
    """[MODEL:]INPUT=...

    convert_one: what stands behind the sign, ValueError where it is not right.
    """

    def __init__(self, name: str, example: str, convert_one: Callable[[str], Any]) -> None:
        self.name = name
        self._example = example
        self._convert_one = convert_one

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        name, _, rest = str(value).rpartition("=")
        try:
            found = self._convert_one(rest) if name else None
        except (ValueError, OverflowError):
            found = None
        if found is None:
            self.fail(f"{value!r} is not {self.name}, such as {self._example}", param, ctx)
        return name, found


def _sizes(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if not all(part.isascii() and part.isdigit() and int(part) < 1 << 31 for part in parts):
        raise ValueError(text)
    return tuple(int(part) for part in parts)


def _numbers(text: str) -> tuple[float, ...]:
    words = {"true": 1, "false": 0}
    parts = [part.strip().lower() for part in text.split(",")]
    found = tuple(words[p] if p in words else int(p) if p.lstrip("+-").isdigit() else float(p) for p in parts)
    if not all(-(1 << 63) <= number < 1 << 64 for number in found):  # NaN is in no range either
        raise ValueError(text)
    return found


SHAPE = InputChoice("[MODEL:]INPUT=SIZES", "input=1,3,224,224", _sizes)
VALUE = InputChoice("[MODEL:]INPUT=NUMBERS", "sr=16000", _numbers)
FILE = InputChoice("[MODEL:]INPUT=FILE.npy", "ids=ids.npy", lambda text: Path(text) if text else None)


def _once(option: str, given: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """By name; UsageError where one is given twice."""
    from lutbench.errors import UsageError

    found: dict[str, Any] = {}
    for name, value in given:
        if name in found:
            raise UsageError(f"{option} {name} is there twice", remedy="a model apart: MODEL:INPUT=...")
        found[name] = value
    return found


@click.command("bench", cls=HelpCommand)
@device_option
@click.argument("nets", nargs=-1, metavar="[NET]...")
@click.option("--lut", "lut_path", type=LUT, help="Print this LUT's predictions beside the measurements.")
@click.option(
    "--runtime", default="onnx", show_default=True, help=f"Run the nets with this runtime: {', '.join(EXPORTERS)}."
)
@click.option(
    "--dtype", default="int8", show_default=True, help="Time nets of this type: int8 or fp32. A file keeps its own."
)
@device_use_options
@click.option(
    "--shape",
    "shapes",
    type=SHAPE,
    multiple=True,
    help="Fix the shape of a file's input, as x=1,3,224,224. Repeat it for others.",
)
@click.option(
    "--value", "values", type=VALUE, multiple=True, help="Fill a file's input with this number, or with all of these."
)
@click.option("--input", "files", type=FILE, multiple=True, help="Read a file's input from this .npy file.")
@click.option(
    "--paper-table",
    "tables",
    type=click.Choice(["3", "4", "5"]),
    multiple=True,
    help="Time the nets of this table of FBNet's paper, and show its phones beside them.",
)
@output_option("Write the results as a CSV file, which `lutbench estimate` reads.")
@round_options(MOST_ROUNDS_OF_NETS)
@json_option
def command(
    nets: tuple[str, ...],
    device_name: str,
    threads: int | None,
    no_heat_wait: bool,
    lut_path: Path | None,
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
    values: tuple[tuple[str, tuple[float, ...]], ...],
    files: tuple[tuple[str, Path], ...],
    tables: tuple[str, ...],
    target: float,
    max_rounds: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Time whole nets on a device.

    NET is a name of `lutbench nets` (fbnet_a, mobilenet_v2@192x0.5), an architecture file that `lutbench search` wrote
    (net.json), a string of candidates, code that makes a net (module:function), or a model's file: .onnx, .ort, or .pte
    with --runtime executorch. A net that fails costs its row, and the exit status is 3. Run the same command again to
    go on after an interruption.
    """
    from lutbench.cli.luts import open_lut
    from lutbench.cli.render import Progress
    from lutbench.errors import DeviceError, UsageError
    from lutbench.jobs.bench import MIN_ROUNDS, BenchRequest, bench
    from lutbench.jobs.measure_request import check_target
    from lutbench.jobs.model_options import InputOptions
    from lutbench.jobs.paper_tables import compare, paper_table
    from lutbench.streams import check_output

    check_target(target)
    if tables and options["batch"] > 1:
        raise UsageError("the paper's latencies are of single images", remedy="leave --batch or --paper-table out")
    papers = [paper_table(int(number)) for number in dict.fromkeys(tables)]
    texts = (*nets, *(text for paper in papers for text in paper.nets))
    request = BenchRequest(
        nets=tuple(dict.fromkeys(texts)),
        lut=open_lut(lut_path) if lut_path else None,
        inputs=InputOptions(_once("--shape", shapes), _once("--value", values), _once("--input", files)),
        protocol=Protocol(target=target, min_rounds=min(MIN_ROUNDS, max_rounds), max_rounds=max_rounds),
        **device_options(device_name, threads, no_heat_wait),
        **options,  # named as the request's fields are
    )

    def tell(found: BenchReport) -> None:
        progress.close()
        _print_report(
            found, [compare(paper, found.latencies_us()) for paper in papers], request.lut is not None, as_json
        )
        check_output()

    with Progress() as progress:
        found = bench(request, progress, tell=tell)
    if found.failed:
        names = ", ".join(result.net.text for result in found.failed)
        raise DeviceError(f"{len(found.failed)} of {len(found.results)} nets failed: {names}", device=found.device)


def _print_report(found: BenchReport, comparisons: list[Comparison], with_lut: bool, as_json: bool) -> None:
    from lutbench.cli.render import print_json

    if as_json:
        print_json(summary(found, comparisons))
        return
    _print_results(found, with_lut)
    for comparison in comparisons:
        print_comparison(comparison, found.device)


def summary(found: BenchReport, comparisons: list[Comparison]) -> dict[str, Any]:
    """Everything as plain values; fractions, microseconds."""
    return {
        "device": found.device,
        "cpu": found.cpu,
        "runtime": found.runtime,
        "dtype": found.dtype,
        "threads": found.threads,
        "batch": found.batch,
        "target": found.target,
        "disturbed_share": found.disturbed_share,
        "nets": [_plain(result) for result in found.results],
        "paper": [
            {
                "table": comparison.table.number,
                "nets": [
                    {"net": net, "latency_us": us, "paper_us": comparison.table.nets[net], "ratio": ratios}
                    for (net, us), ratios in zip(comparison.latency_us.items(), comparison.ratios.values(), strict=True)
                ],
                "kendall_tau": comparison.taus,
                "left_out": [{"net": net, "reason": reason} for net, reason in comparison.table.left_out],
                "apart": dict(comparison.table.apart),
            }
            for comparison in comparisons
        ],
    }


def _plain(result: BenchResult) -> dict[str, Any]:
    figures, counts = result.summary, result.counts
    variant = result.net.variant
    return {
        "net": result.net.text,
        "status": result.status,
        "latency_us": figures.latency_us if figures else None,
        "ci_low_us": figures.ci_low_us if figures else None,
        "ci_high_us": figures.ci_high_us if figures else None,
        "predicted_us": result.predicted_us,
        "error": result.error,
        "rounds": figures.rounds if figures else 0,
        "samples": figures.samples if figures else 0,
        "mmacs": None if counts.macs is None else counts.macs / 1e6,
        "params_m": None if counts.params is None else counts.params / 1e6,
        "gmacs_per_s": result.gmacs_per_s,
        "resolution": variant[0] if variant else None,
        "width": variant[1] if variant else None,
        "dtype": result.net.dtype,
        "inputs": [
            {
                "name": given.name,
                "dtype": given.dtype,
                "shape": list(given.shape),
                "values": given.said,
                "batch_assumed": given.assumed,
            }
            for given in result.net.inputs
        ],
    }


def _print_results(found: BenchReport, with_lut: bool) -> None:
    from lutbench.cli.luts import disturbed_text, threads_text
    from lutbench.cli.render import print_table
    from lutbench.units import format_percent

    columns = {"net": False, "latency": True, "±": True, "MMACs": True, "params (M)": True, "GMAC/s": True}
    if with_lut:
        columns |= {"predicted": True, "error": True}
    files = any(r.net.inputs for r in found.results)
    if files:
        columns["timed with"] = False
    if found.failed:
        columns["status"] = False
    outside = sum(r.summary.half_width > found.target for r in found.results if r.summary)
    wider = f"; {outside} wider than ±{format_percent(found.target)}" if outside else ""
    disturbed = disturbed_text(found.disturbed_share)
    own = " (files in their own)" if any(r.net.is_file for r in found.results) else ""
    device = f"{found.device} ({found.cpu})" if found.cpu else found.device
    threads = threads_text(found.threads, found.batch)
    print_table(
        "",
        columns,
        [_row(result, with_lut, files, bool(found.failed)) for result in found.results],
        caption=f"{device}, {found.runtime}, {found.dtype}{own}, {threads};"
        f" ± of the 95 % interval of the median{wider}{disturbed}",
    )


def _row(result: BenchResult, with_lut: bool, with_inputs: bool, with_status: bool) -> list[str]:
    from lutbench.jobs.bench import said_inputs
    from lutbench.units import format_latency, format_percent

    figures, counts, predicted_us, error = result.summary, result.counts, result.predicted_us, result.error
    cells = [
        result.net.text,
        format_latency(figures.latency_us) if figures else "-",
        format_percent(figures.half_width) if figures else "-",
        "-" if counts.macs is None else f"{counts.macs / 1e6:.2f}",
        "-" if counts.params is None else f"{counts.params / 1e6:.{3 if counts.params >= 10_000 else 6}f}",
        "-" if result.gmacs_per_s is None else f"{result.gmacs_per_s:.1f}",
    ]
    if with_lut:
        half = result.predicted_half_width
        interval = f" ±{format_percent(half)}" if half is not None else ""
        cells.append("-" if predicted_us is None else format_latency(predicted_us) + interval)
        cells.append("-" if error is None else format_percent(error, 2))
    if with_inputs:
        cells.append(said_inputs(result.net.inputs) or "-")
    return [*cells, result.status] if with_status else cells


def print_comparison(comparison: Comparison, device: str) -> None:
    """A table of the paper beside the device: those that ran, those that did not and why."""
    from lutbench.cli.render import print_table
    from lutbench.units import ms_from_us

    table, phones = comparison.table, comparison.table.phones
    columns = {f"table {table.number}": False, **{f"{_PHONES[p]} (ms)": True for p in phones}, f"{device} (ms)": True}
    columns |= {f"{device} / {_PHONES[phone]}": True for phone in phones}
    rows = []
    for net, published_us in table.nets.items():
        here_us = comparison.latency_us.get(net)
        ratios = comparison.ratios.get(net, {})
        rows.append(
            [
                net,
                *(f"{ms_from_us(published_us[phone]):.2f}" for phone in phones),
                "-" if here_us is None else f"{ms_from_us(here_us):.3f}",
                *(f"{ratios[phone]:.3f}" if phone in ratios else "-" for phone in phones),
            ]
        )
    rows += [[net, *["-"] * (2 * len(phones) + 1)] for net, _ in table.left_out]
    taus = ", ".join(f"{_PHONES[phone]} {tau:.3f}" for phone, tau in comparison.taus.items())
    print_table("", columns, rows, caption=f"phones: as published; rank agreement (Kendall tau) with the {taus}")
    reasons: dict[str, list[str]] = {}
    for net, reason in table.left_out:
        reasons.setdefault(reason, []).append(net)
    for reason, nets in reasons.items():
        say(f"not run: {', '.join(nets)}: {reason}")
    for net, reason in table.apart.items():
        say(f"not in the rank agreement: {net}: {reason}")
