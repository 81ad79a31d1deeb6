"""The app's server as it is built on Linux, behind the stand-in for usbmuxd: what a person and iOS do is done here."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lutbench.device_agents.ios.link import PORT
from lutbench.device_agents.runner.wheels import RUNTIMES, installed_root
from tests.device_agents.ios.fake_usbmuxd import FakePhone, FakeUsbmuxd

PROGRAM_VARIABLE = "LUTBENCH_IOS_APP"  # what device_agents/ios/linux/build.sh leaves: set where there is one
EXECUTORCH_VARIABLE = "LUTBENCH_IOS_APP_EXECUTORCH"  # what `build.sh FOLDER executorch` leaves
UDID = "00008030-001A2B3C4D5E6F70"
IPHONE_X = "iPhone10,3"


def program(variable: str = PROGRAM_VARIABLE) -> str:
    """The server's program; the test is skipped where there is none."""
    found = os.environ.get(variable, "")
    if not found:
        pytest.skip(f"needs the app's server: device_agents/ios/linux/build.sh, and {variable}")
    return found


def runtime_library() -> Path:
    """ONNX Runtime's, of the wheel that is installed here."""
    (onnx,) = (runtime for runtime in RUNTIMES if runtime.engine == "onnx")
    root = installed_root(onnx)
    return next(
        path
        for path in sorted((root / "onnxruntime/capi").iterdir())
        if onnx.files.fullmatch(path.relative_to(root).as_posix())
    )


class App:
    """The app on a phone that is plugged in. wifi_port, code: of its other way in.

    programs: a table of what stands in for Core ML (Sources/lutbench-app/ScriptedEngine.swift).
    variable: that says where its program is.
    """

    def __init__(
        self,
        folder: Path,
        mux: FakeUsbmuxd,
        machine: str = IPHONE_X,
        programs: Path | None = None,
        variable: str = PROGRAM_VARIABLE,
    ) -> None:
        self.folder = folder
        self._program = program(variable)
        self._programs = [] if programs is None else ["--programs", str(programs)]
        self._machine = machine
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self._mux = mux
        self.phone = FakePhone(UDID, {PORT: self.port}, {"ProductType": machine, "ProductVersion": "16.7"})
        self.attachment = mux.plug_in(self.phone)
        self.start()

    def start(self) -> None:
        """Somebody taps the app."""
        self.process = subprocess.Popen(
            [self._program, "--folder", str(self.folder), "--library", str(runtime_library()), "--port", str(self.port),
             "--wifi", "0", "--machine", self._machine, *self._programs],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.said: list[str] = []
        assert self.process.stdout is not None and self.process.stderr is not None
        assert self.process.stdout.readline().startswith("listening")
        words = self.process.stdout.readline().split()
        self.wifi_port, self.code = int(words[2].rpartition(":")[2]), words[4]
        assert self.process.stdout.readline() == "ready\n"
        threading.Thread(target=self._listen, args=(self.process.stderr,), daemon=True).start()

    def _listen(self, stream: Any) -> None:
        for line in stream:
            self.said.append(line.strip())

    def tell(self, **state: object) -> None:
        """iOS tells the app how the phone is now."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(state) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "updated\n"

    def kill(self) -> None:
        """iOS, or somebody, ends the app."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def unplug(self) -> None:
        self._mux.unplug(self.attachment)

    def plug_in(self) -> None:
        self.attachment = self._mux.plug_in(self.phone)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                if stream is not None:
                    stream.close()
