"""`lutbench derive`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lutbench.cli.help import HelpCommand
from lutbench.cli.next_steps import same_images, say_next
from lutbench.cli.options import LUT, NUMBERS, folder_name, json_option, machine_options

if TYPE_CHECKING:
    from lutbench.jobs.derive import DerivedFor, DerivedNets

_COLUMNS = ["candidates", "target_ms", "predicted_us", "accuracy", "cross_entropy", "mmacs", "params_m"]
_COLUMNS += ["on_front", "file"]


@click.command("derive", cls=HelpCommand)
@click.argument("search", type=click.Path(path_type=Path))
@click.option(
    "--lut",
    "luts",
    type=LUT,
    multiple=True,
    help="Derive nets for the device of this LUT: a path or a name. Repeat it for several, each by itself."
    " [default: luts/host.csv]",
)
@click.option(
    "--target-ms",
    "targets_ms",
    type=NUMBERS,
    required=True,
    help="Derive nets for each of these milliseconds, such as 8,12,16, on each LUT's device.",
)
@click.option(
    "--method",
    type=click.Choice(["theta", "random", "evolution", "uniform"]),
    default="evolution",
    show_default=True,
    help="Find nets by evolution, near theta's probabilities, by chance, or with one candidate everywhere.",
)
@click.option("--resolution", type=int, help="Derive nets of this resolution. [default: the LUT's first]")
@click.option("--nets", type=click.IntRange(1), default=1, show_default=True, help="Write so many nets for a target.")
@click.option(
    "--scored", type=click.IntRange(8), default=60, show_default=True, help="Score so many nets for a target."
)
@click.option("--data", default="", help="Read the search's images from here, where they lie at a path.")
@click.option(
    "--workers", type=click.IntRange(0), help="Decode photographs in so many processes. [default: one a core]"
)
@click.option("--skip-broken", is_flag=True, help="Leave out photographs that cannot be read, instead of stopping.")
@click.option(
    "--views", type=click.IntRange(0), help="Look at each image this many times. [default: enough for 1,000 looks]"
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed the choice of nets.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write into this folder. [default: derived/SEARCH]"
)
@machine_options
@json_option
def command(
    search: Path,
    luts: tuple[Path, ...],
    output: Path | None,
    threads: int | None,
    accelerator: Any,
    bf16: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Find nets for other devices and budgets in the supernet of a search, without training.

    SEARCH is the folder of a search that has come to its end. What its supernet says of a net does not depend on a
    device: any LUT of its space will do, and as many targets as there are. Each net takes between 0.97 of its target
    and the target. Nets that were scored before, by the search or for another target, are not scored again.

    On a CPU, nets of images up to 64 x 64 are scored in --threads processes beside each other, by default in one a
    core; how many there are changes no score. Started again, the same command goes on.
    """
    from lutbench.cli.luts import lut_or_own, open_lut
    from lutbench.cli.render import LOADING, Progress, print_json
    from lutbench.jobs.derive import DeriveRequest, derive_nets
    from lutbench.jobs.learning import Computing

    opened = tuple(open_lut(path) for path in luts or (lut_or_own(None),))
    folder = output or Path("derived") / folder_name(search.resolve().name)
    request = DeriveRequest(search=search, luts=opened, folder=folder, computing=Computing(threads=threads), **options)
    with Progress(first=LOADING) as progress:
        from lutbench.search.hardware import Hardware

        found = derive_nets(request, Hardware(accelerator, bf16), progress)
    fronts = _draw(found, folder)
    if as_json:
        print_json(_summary(found))
    else:
        _print(found)
        wrote = [path for part in found.parts for path in part.paths]
        say_next([*wrote, *fronts], ["train", wrote[0], *same_images(found.source)], ["bench", *wrote])


def _summary(found: DerivedNets) -> dict[str, Any]:
    """Everything as plain values; fractions, milliseconds in targets, microseconds else."""
    return {
        "nets": [
            {
                "path": str(path),
                "device": part.device,
                "target_ms": part.target_ms,
                "candidates": one.net.candidates_text,
                "accuracy": one.score.accuracy,
                "cross_entropy": one.score.loss,
                "predicted_us": one.predicted_us[part.device],
                "mmacs": one.net.macs / 1e6,
                "params_m": one.net.params / 1e6,
            }
            for part in found.parts
            for one, path in zip(part.written, part.paths, strict=True)
        ],
        "data": found.data,
        "images": found.images,
        "views": found.views,
        "scored": found.scored,
    }


def _print(found: DerivedNets) -> None:
    from lutbench.cli.render import print_table
    from lutbench.units import format_latency, format_percent

    columns = {"net": False, "device": False}
    columns |= dict.fromkeys(("target", "predicted", "accuracy", "MMACs", "params (M)"), True)
    looks = f", augmented {found.views} times" if found.views else ""
    print_table(
        "",
        columns,
        [
            [
                str(path),
                part.device,
                f"{part.target_ms:g} ms",
                format_latency(one.predicted_us[part.device]),
                format_percent(one.score.accuracy),
                f"{one.net.macs / 1e6:.2f}",
                f"{one.net.params / 1e6:.3f}",
            ]
            for part in found.parts
            for one, path in zip(part.written, part.paths, strict=True)
        ],
        caption=f"accuracy: under the supernet's weights, on {found.images:,} images of {found.data}{looks};"
        f" `lutbench train` tells how good a net is; {found.scored} nets were scored that had not been before",
    )


def _draw(found: DerivedNets, folder: Path) -> list[Path]:
    """Accuracy against latency on each device, as a picture and as a table: all nets that were looked at."""
    from lutbench.report.charts.ranking import Ranked, draw_ranking
    from lutbench.report.charts.style import save

    made = []
    for device in dict.fromkeys(part.device for part in found.parts):
        own = [part for part in found.parts if part.device == device]
        chosen = [
            Ranked(path.stem, one.predicted_us[device], one.score.accuracy)
            for part in own
            for one, path in zip(part.written, part.paths, strict=True)
        ]
        others = [
            Ranked(one.net.name, one.predicted_us[device], one.score.accuracy)
            for part in own
            for one in part.nets[len(part.paths) :]
        ]
        picture = folder / f"front_{folder_name(device)}.svg"
        save(draw_ranking(device, others, chosen, None, has_front=True), picture)
        made += [picture, _write_front(own, picture.with_suffix(".csv"))]
    return made


def _write_front(parts: list[DerivedFor], path: Path) -> Path:
    """A device's nets in a CSV file, the fastest first; on_front: 1 where no other is as fast and more accurate."""
    import csv
    import io

    from lutbench.files import write_atomically
    from lutbench.report.charts.ranking import Ranked, front_of

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    nets = [(part, place, one) for part in parts for place, one in enumerate(part.nets)]
    nets.sort(key=lambda found: (found[2].predicted_us[found[0].device], -found[2].score.accuracy, found[0].target_ms))
    ranked = [Ranked(str(n), one.predicted_us[p.device], one.score.accuracy) for n, (p, _, one) in enumerate(nets)]
    front = front_of(ranked)
    for (part, place, one), rank in zip(nets, ranked, strict=True):
        file = part.paths[place].name if place < len(part.paths) else ""
        cells = [one.net.candidates_text, f"{part.target_ms:g}", f"{one.predicted_us[part.device]:.3f}"]
        cells += [f"{one.score.accuracy:.6f}", f"{one.score.loss:.6f}"]
        cells += [f"{one.net.macs / 1e6:.6f}", f"{one.net.params / 1e6:.6f}", str(int(rank in front)), file]
        writer.writerow(cells)
    write_atomically(path, text.getvalue().encode())
    return path
