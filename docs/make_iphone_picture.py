"""Draws docs/pictures/iphone.svg: what a host says of iPhones, one of which is the app's server on this machine.

LUTBENCH_IOS_APP=FOLDER/lutbench-app PYTHONPATH=. python docs/make_iphone_picture.py

usbmuxd and the phones are the stand-ins of the tests (tests/device_agents/ios); the app's server is the one that
device_agents/ios/linux/build.sh builds.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from lutbench.device_agents.ios.usbmux import SOCKET_VARIABLE
from tests.device_agents.ios.app import App
from tests.device_agents.ios.fake_usbmuxd import FakePhone, FakeUsbmuxd

OTHER = "4f1a9c27e5b80d6e3f2a1c9b7d5e8f0a6b4c2d1e"
CHECKED = '[devices.my-iphone]\nkind = "ios"\nudid = "00008030-001A2B3C4D5E6F70"\n'


def main() -> None:
    console = Console(record=True, width=112, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    with FakeUsbmuxd() as mux, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "devices.toml").write_text(CHECKED)
        environment = {**os.environ, SOCKET_VARIABLE: mux.address, "LUTBENCH_CONFIG": name, "COLUMNS": "112"}
        app = App(folder / "phone", mux)
        app.tell(battery=0.8, charging=True)
        mux.plug_in(FakePhone(OTHER, values={"ProductType": "iPhone14,5", "ProductVersion": "17.5"}, trusted=False))
        try:
            for words in (["devices"], ["devices", "--check", "my-iphone"]):
                done = subprocess.run(
                    [sys.executable, "-m", "lutbench", *words],
                    env=environment, capture_output=True, text=True, check=True,
                )  # fmt: skip
                shown = re.sub(r"Linux \S+,", "Linux,", done.stdout.rstrip("\n"))  # which kernel is no matter here
                if words == ["devices"]:
                    shown = shown[shown.rindex("iPhone attached") :]  # the rest is no iPhone's
                console.print(Text(f"$ lutbench {' '.join(words)}", style="bold green"))
                console.print(Text(shown))
        finally:
            app.close()
    console.save_svg(str(Path(__file__).parent / "pictures" / "iphone.svg"), title="lutbench")


if __name__ == "__main__":
    main()
