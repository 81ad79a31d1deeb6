"""`lutbench verify`"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lutbench.cli.help import HelpCommand
from lutbench.cli.options import (
    LUT,
    cores_option,
    force_option,
    json_option,
    lut_batch_option,
    no_heat_wait_option,
    wait_quiet_option,
)
from lutbench.cli.out import say

if TYPE_CHECKING:
    from lutbench.jobs.verify import VerifyReport
    from lutbench.lut.verify_file import NetResult


@click.command("verify", cls=HelpCommand)
@click.argument("nets_given", nargs=-1, metavar="[NET]...")
@click.option(
    "--lut", "given", type=LUT, help="Judge this LUT; the summary is written into it. [default: luts/host.csv]"
)
@click.option("--device", "device_name", help="Measure on this device. [default: the one that the LUT names]")
@click.option("--nets", type=int, help="Draw and time this many random nets. [default: 200]")
@click.option("--seed", type=int, help="Seed the draw of nets. [default: 0]")
@click.option(
    "--rounds",
    type=int,
    default=40,
    show_default=True,
    help="Time each net in this many rounds that count, and one that is not known well by then in up to twice as many.",
)
@lut_batch_option
@cores_option
@force_option
@no_heat_wait_option
@wait_quiet_option
@click.option("--max-error", type=float, help="Exit with 1 where the mean absolute error is above this fraction.")
@json_option
def command(
    nets_given: tuple[str, ...],
    given: Path | None,
    device_name: str | None,
    nets: int | None,
    seed: int | None,
    batch: int | None,
    no_heat_wait: bool,
    wait_quiet_s: float,
    max_error: float | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Time random whole nets, and say how far the LUT's predictions are off. The summary is written into the LUT.

    Each net is measured in two separate interleaved halves, so that the machine's own noise stands beside the error.
    Nets that the LUT was tuned on are never drawn.

    NET: judge these nets in place of random ones, as `bench` takes them, and write nothing into the LUT: a name of
    `lutbench nets`, an architecture file of `lutbench search`, a string of candidates, or a key.
    """
    from lutbench.cli.luts import check_batch, lut_or_own, open_lut
    from lutbench.cli.render import Progress, print_json
    from lutbench.device_agents.registry import find_device
    from lutbench.errors import CheckFailedError, UsageError
    from lutbench.jobs.verify import VerifyRequest, verify, worst
    from lutbench.units import format_percent

    draw: dict[str, Any] = {name: value for name, value in (("nets", nets), ("seed", seed)) if value is not None}
    if nets_given and draw:
        raise UsageError(
            f"--{next(iter(draw))} is of random nets, and {nets_given[0]} names one", remedy="give one or the other"
        )
    lut_path = lut_or_own(given)
    lut = open_lut(lut_path)
    check_batch(lut, batch)
    device = find_device(device_name or lut.metadata.device)
    request = VerifyRequest(
        lut_path=lut_path,
        given=nets_given,
        device=device,
        heat_wait=not no_heat_wait,
        wait_quiet_s=wait_quiet_s,
        **draw,
        **options,  # named as the request's fields are
    )
    with Progress() as progress:
        found, results = verify(request, progress)
    if as_json:
        details = [{**asdict(result), "error": result.error} for result in results]
        shown = [{"net": result.net, "error": result.error} for result in worst(results)]
        print_json({**asdict(found), "batch": lut.metadata.batch, "worst": shown, "details": details})
    else:
        _print(found, results)
    if max_error is not None and found.mean_abs_error > max_error:
        raise CheckFailedError(
            f"the mean error {format_percent(found.mean_abs_error, 2)} is above {format_percent(max_error, 2)}",
            path=lut_path,
        )


def _print(found: VerifyReport, results: list[NetResult]) -> None:
    from lutbench.cli.render import print_table
    from lutbench.jobs.verify import describe, worst
    from lutbench.units import format_latency, format_percent

    say(describe(found))
    within = {"1": found.within_1pct, "3": found.within_3pct, "5": found.within_5pct, "10": found.within_10pct}
    say("within " + ", ".join(f"{limit} %: {format_percent(share)}" for limit, share in within.items()))
    say(
        f"Spearman {found.spearman:.4f}; device drift since the LUT {format_percent(found.drift, 2)}"
        f" (without taking it in: mean error {format_percent(found.uncorrected_mean_abs_error, 2)})"
    )
    if found.within_interval is not None:
        say(f"inside the predictions' 95 % intervals: {format_percent(found.within_interval)} of the nets")
    print_table(
        "",
        {"worst nets": False, "predicted": True, "measured": True, "error": True, "its noise": True},
        [
            [
                result.net.split(":", 2)[2],
                format_latency(result.predicted_us),
                format_latency(result.measured_us),
                format_percent(result.error, 2),
                format_percent(result.noise, 2),
            ]
            for result in worst(results)
        ],
    )
