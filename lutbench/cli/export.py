"""`lutbench export`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lutbench.cli.help import HelpCommand
from lutbench.cli.next_steps import say_next
from lutbench.cli.options import NAMES, folder_name, json_option, output_option
from lutbench.export.exporters import EXPORTERS

if TYPE_CHECKING:
    from lutbench.jobs.export import Deployed


@click.command("export", cls=HelpCommand)
@click.argument("net", metavar="NET")
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    help="Take the weights from this weights.pt or checkpoint.pt of `lutbench train`.",
)
@click.option("--random-weights", is_flag=True, help="Export without a training: files to time, and no more.")
@click.option("--data", help="Calibrate and test with these images. [default: what the net was trained on]")
@click.option("--resolution", type=int, help="Export for this input size. [default: that of the training]")
@click.option(
    "--runtime",
    "runtimes",
    type=NAMES,
    default="onnx",
    show_default=True,
    help=f"Export for these runtimes: some of {', '.join(EXPORTERS)}.",
)
@click.option(
    "--dtype",
    "dtypes",
    type=NAMES,
    default="int8,fp32",
    show_default=True,
    help="Export these types: int8, fp32 or both; coreml has fp16 and fp32.",
)
@click.option(
    "--test-images",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Judge the files with at most this many test images.",
)
@click.option(
    "--workers", type=click.IntRange(0), help="Decode photographs in this many processes. [default: one a core]"
)
@click.option("--skip-broken", is_flag=True, help="Leave out photographs that cannot be read, instead of stopping.")
@click.option("--overwrite", is_flag=True, help="Replace the files of another export that the folder holds.")
@output_option("Write into this folder. [default: exported/NET]")
@json_option
def command(
    net: str,
    output: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Write a trained net as files for runtimes, and measure their accuracy on test images beside PyTorch's.

    NET is what `lutbench train` took. int8 files are calibrated with 256 training images; they take and give integers,
    and export.json beside them says what these mean and how images are normalised.
    """
    from lutbench.cli.render import Progress, print_json
    from lutbench.jobs.export import ExportRequest, deploy, file_summary
    from lutbench.jobs.export_folder import SUMMARY

    folder = output or Path("exported") / folder_name(net)
    request = ExportRequest(net=net, folder=folder, **options)  # named as the request's fields are
    with Progress() as progress:
        found = deploy(request, progress)
    if not as_json:
        _print(found)
        files = [file.path for file in found.files]
        say_next([*files, request.folder / SUMMARY], *_bench_commands(files))
        return
    print_json(
        {
            "net": net,
            "data": found.data,
            "calibration_images": found.calibration_images,
            "test_images": found.test_images,
            "torch_accuracy": found.torch_accuracy,
            "files": [{**file_summary(file), "file": str(file.path)} for file in found.files],
        }
    )


def _bench_commands(files: list[Path]) -> list[list[str | Path]]:
    """What times the files, by runtime; `bench` takes no TorchScript files."""
    words = {".onnx": ["bench"], ".pte": ["bench", "--runtime", "executorch"]}
    found = {suffix: [file for file in files if file.suffix == suffix] for suffix in words}
    return [[*words[suffix], *those] for suffix, those in found.items() if those]


def _print(found: Deployed) -> None:
    from lutbench.cli.render import print_table
    from lutbench.units import format_percent

    shape = " x ".join(str(size) for size in found.net.input_shape)
    tested = "not tested: the weights are random"
    if found.torch_accuracy is not None:
        tested = f"torch's fp32 accuracy on the same {found.test_images:,} test images: "
        tested += format_percent(found.torch_accuracy, 2)
    print_table(
        "",
        {"file": False, "runtime": False, "MB": True, "accuracy": True, "as torch": True},
        [
            [
                str(file.path),
                file.runtime,
                f"{len(file.exported.data) / 1e6:.2f}",
                "-" if file.accuracy is None else format_percent(file.accuracy, 2),
                "-" if file.agreement is None else format_percent(file.agreement, 2),
            ]
            for file in found.files
        ],
        caption=f"{found.data}, input {shape}; int8 calibrated with {found.calibration_images} training images;"
        f" {tested}",
    )
