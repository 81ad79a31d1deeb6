"""`lutbench runner`"""

from __future__ import annotations

from pathlib import Path

import click

from lutbench.cli.options import json_option
from lutbench.cli.out import say

TARGETS = ("android-arm64", "host")


@click.group("runner", no_args_is_help=False)
def command() -> None:
    """The program that measures on phones (lutbench-runner)."""


@command.command("build")
@click.option(
    "--target",
    type=click.Choice(TARGETS),
    required=True,
    help="What it runs on: an arm64 phone, or this machine.",
)
@click.option(
    "--ndk",
    type=click.Path(path_type=Path),
    help="Build for Android's own ABI with the NDK in this folder; none: with the cross compiler and a C library of"
    " the bundle's own.",
)
@click.option(
    "--libraries",
    type=click.Path(path_type=Path),
    help="With --ndk: a folder with the vendor's libonnxruntime.so for arm64-v8a.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The bundle's folder; none: it stays in the cache."
)
@json_option
def build(target: str, ndk: Path | None, libraries: Path | None, output: Path | None, as_json: bool) -> None:
    """Build the runner and its bundle: the folder that is pushed to a phone.

    In it are the runner, the runtimes' libraries in the versions installed here, and manifest.json. `profile` does this
    by itself where it is needed.
    """
    from lutbench.cli.render import print_json, print_table
    from lutbench.device_agents.runner.build import build_bundle

    bundle = build_bundle(target, ndk=ndk, libraries=libraries, output=output, say=lambda text: say(text, err=True))
    if as_json:
        print_json(
            {
                "folder": str(bundle.folder),
                "target": bundle.target,
                "abi": bundle.abi,
                "libc": bundle.libc,
                "runner": bundle.runner,
                "runtimes": dict(bundle.runtimes),
                "files": [
                    {"name": file.name, "sha256": file.sha256, "size_bytes": file.size_bytes, "engines": file.engines}
                    for file in bundle.files
                ],
            }
        )
        return
    print_table(
        str(bundle.folder),
        {"file": False, "MB": True, "needed by": False},
        [[file.name, f"{file.size_bytes / 1e6:.1f}", ", ".join(file.engines)] for file in bundle.files],
        caption=f"for {bundle.abi}{f' with its own {bundle.libc}' if bundle.libc else ''}:"
        f" {', '.join(bundle.runtimes.values())}",
    )
