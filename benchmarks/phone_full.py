"""The whole FBNet space over adb on the emulated phone, in both runtimes: correctness only, its times mean nothing.

    PYTHONPATH=. python benchmarks/phone_full.py [--runtime onnx ...] [--resolution 224] [--width 1.0] [--folder DIR]

Every operator is exported (int8), pushed to Google's adbd in the emulated userland of tests/phone, loaded by the real
aarch64 runtime, its output compared with this machine's, and timed in two rounds; no whole nets. Exit status 1 where a
row failed, which a wrong output is. Needs what tests/phone needs.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from lutbench.device_agents.registry import Device
from lutbench.events import Event, ExportProgress, Note
from lutbench.jobs.profile import ProfileRequest, profile
from lutbench.lut.table import Lut
from lutbench.measure.protocol import Protocol
from tests.phone.emulated import Phone, built_phone

RUNTIMES = ("onnx", "executorch")
ROUNDS = 2


def say(event: Event) -> None:
    if isinstance(event, Note):
        print(event.text, file=sys.stderr)
    elif isinstance(event, ExportProgress) and event.done % 20 == 0:
        print(f"exported {event.done} of {event.total}", file=sys.stderr)


def full_lut(runtime: str, resolution: int, width: float, folder: Path, report: Callable[[Event], None] = say) -> Lut:
    """The LUT of a phone of its own."""
    phone = Phone(built_phone())
    try:
        device = Device("emulated", "android", folder / "emulated.csv", "", address=phone.address)
        request = ProfileRequest(
            device=device,
            runtime=runtime,
            resolutions=(resolution,),
            widths=(width,),
            output=folder / f"{runtime}.csv",
            protocol=Protocol(min_rounds=ROUNDS, max_rounds=ROUNDS, warmup=0, max_repeats=3),
        )
        with mock.patch("lutbench.jobs.tuning.TUNING_NETS", 0):
            return profile(request, report)
    finally:
        phone.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", action="append", choices=RUNTIMES, help="of both")
    parser.add_argument("--resolution", type=int, default=224)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--folder", type=Path, help="keep the LUTs here")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="lutbench-"))
    os.environ.setdefault("LUTBENCH_CONFIG", str(folder / "config"))
    failed = 0
    for runtime in arguments.runtime or RUNTIMES:
        started = time.monotonic()
        lut = full_lut(runtime, arguments.resolution, arguments.width, folder)
        wrong = [row for row in lut.rows if not row.is_ok]
        failed += len(wrong)
        measured = sum(row.parts.is_measured and row.is_ok for row in lut.rows)
        print(
            f"{runtime}: {measured} operators compute on the phone what they compute here, {len(wrong)} do not;"
            f" {time.monotonic() - started:.0f} s, of which export and all"
        )
        for row in wrong:
            print(f"  {row.operator}: {row.status}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
