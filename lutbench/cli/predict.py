"""`lutbench predict`"""

from __future__ import annotations

from math import isnan
from pathlib import Path

import click

from lutbench.cli.help import HelpCommand
from lutbench.cli.options import LUT, json_option, lut_batch_option


@click.command("predict", cls=HelpCommand)
@click.option(
    "--lut", "lut_path", type=LUT, help="Add up the rows of this LUT: a path or a name. [default: luts/host.csv]"
)
@click.argument("nets", nargs=-1, required=True, metavar="NET...")
@lut_batch_option
@click.option(
    "--space",
    "space_name",
    metavar="NAME|FILE",
    help="Read candidates as those of this space. [default: the LUT's]",
)
@json_option
def command(
    lut_path: Path | None, nets: tuple[str, ...], batch: int | None, space_name: str | None, as_json: bool
) -> None:
    """Add up a LUT's rows: how long a net takes that nobody has run.

    NET is a name of the zoo (fbnet_a, or fbnet_a@192x0.5 at another resolution and width), an architecture file that
    `lutbench search` wrote (net.json) or a string of candidates, one per layer, separated by commas, blanks or |.
    Latencies are of one image, or of a whole batch where the LUT is of batches.
    """
    from lutbench.cli.luts import batch_text, check_batch, lut_or_own, open_lut
    from lutbench.cli.render import print_json, print_table
    from lutbench.lut.definitions import with_counts_of
    from lutbench.lut.predict import predict
    from lutbench.space.find import find_spaces
    from lutbench.space.zoo import find_net
    from lutbench.units import format_latency

    lut = open_lut(lut_or_own(lut_path))
    check_batch(lut, batch)
    images = lut.metadata.batch
    named = find_spaces(space_name, (), (1.0,))[0] if space_name else ()
    spaces = with_counts_of(lut, named) or lut.covered(lut.metadata.space.spaces)
    found = [predict(lut, find_net(text, spaces)) for text in nets]
    if as_json:
        print_json(
            {
                "batch": images,
                "nets": [
                    {
                        "net": text,
                        "latency_us": p.latency_us,
                        "ci_low_us": p.ci_low_us,
                        "ci_high_us": p.ci_high_us,
                        "image_us": p.latency_us / images,
                    }
                    for text, p in zip(nets, found, strict=True)
                ],
            }
        )
        return
    per_image = {"per image": True} if images > 1 else {}
    print_table(
        "",
        {"net": False, "latency": True, "95 % interval": True, **per_image, "MMACs": True},
        [
            [
                text,
                format_latency(p.latency_us),
                "unknown" if isnan(p.ci_low_us) else f"{format_latency(p.ci_low_us)} .. {format_latency(p.ci_high_us)}",
                *([format_latency(p.latency_us / images)] if images > 1 else []),
                f"{images * p.net.macs / 1e6:.2f}",
            ]
            for text, p in zip(nets, found, strict=True)
        ],
        caption=f"{lut.metadata.device}, {lut.metadata.runtime}, {lut.metadata.dtype}{batch_text(images)}",
    )
