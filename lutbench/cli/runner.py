"""`lutbench runner`"""

from __future__ import annotations

from pathlib import Path

import click

from lutbench.cli.help import HelpCommand
from lutbench.cli.options import json_option, output_option
from lutbench.cli.out import say

TARGETS = ("android-arm64", "android-x86_64", "host")


@click.group("runner", no_args_is_help=False)
def command() -> None:
    """Build the program that measures on phones (lutbench-runner)."""


@command.command("build", cls=HelpCommand)
@click.option(
    "--target",
    type=click.Choice(TARGETS),
    required=True,
    help="Build for an arm64 phone, for an x86_64 one (emulators, Chromebooks), or for this machine.",
)
@click.option(
    "--ndk",
    type=click.Path(path_type=Path),
    help="Build for Android's own ABI with the NDK in this folder. [default: use the cross compiler, and put a C"
    " library into the bundle]",
)
@click.option(
    "--libraries",
    type=click.Path(path_type=Path),
    help="Take libonnxruntime.so for arm64-v8a from this folder; needs --ndk.",
)
@output_option("Write the bundle into this folder. [default: it stays in the cache]")
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
