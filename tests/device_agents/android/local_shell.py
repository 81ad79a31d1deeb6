"""A connection to a folder of this machine instead of a phone: commands run in its own shell, on a phone's files.

What Android alone has (dumpsys, settings, svc ...) is answered by the emulated phone's stand-ins, from recordings.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from lutbench.device_agents.android.connection import COMMAND_TIMEOUT_S, Connection
from lutbench.device_agents.android.describe import State, read_state
from lutbench.device_agents.android.shell import Answer

PHONE = Path(__file__).parents[2] / "phone"
CORES = 8


class LocalShell(Connection):
    """A phone in a folder: two clusters of four, cool, awake and powered. scripts: every command that was run."""

    def __init__(self, folder: Path) -> None:
        super().__init__(None, "phone")  # type: ignore[arg-type]
        self.folder = folder
        self.scripts: list[str] = []
        self._programs = os.environ["PATH"]
        self.recorded = folder / "sys/recorded"
        self.recorded.mkdir(parents=True)
        for path in (PHONE / "recorded").iterdir():
            (self.recorded / path.name).write_text(path.read_text())
        (folder / "bin").mkdir()
        for path in (PHONE / "bin").iterdir():
            text = self._here(path.read_text()).replace("#!/system/bin/sh", "#!/bin/sh")
            (folder / "bin" / path.name).write_text(text)
            (folder / "bin" / path.name).chmod(0o755)
        for name in ("possible", "present", "online"):
            self.put(f"sys/devices/system/cpu/{name}", f"0-{CORES - 1}")
        for core in range(CORES):
            top = "1690000" if core < CORES // 2 else "2314000"
            for name in ("cpuinfo_max_freq", "scaling_max_freq", "scaling_cur_freq"):
                self.put(f"sys/devices/system/cpu/cpu{core}/cpufreq/{name}", top)
        self.set_zones(("mngs-thermal", 41000), ("apollo-thermal", 39000), ("battery", 300))
        self.put("proc/self/status", "Name:\tcat\nCpus_allowed_list:\t0-7\n")
        self.put("proc/self/cpuset", "/foreground\n")
        self.put("proc/self/cgroup", "4:cpuset:/foreground\n3:cpu:/\n0::/uid_2000/pid_99\n")

    @property
    def kind(self) -> str:
        return "a folder"

    def run(self, script: str, timeout_s: float = COMMAND_TIMEOUT_S) -> Answer:
        self.scripts.append(script)
        environment = {"PATH": f"{self.folder / 'bin'}:{self._programs}"}
        done = subprocess.run(
            ["sh", "-c", self._here(script)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            env=environment, timeout=timeout_s, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Answer(done.returncode, done.stdout)

    def push(self, data: bytes, path: str) -> None:
        place = Path(self._here(path))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)

    def _here(self, text: str) -> str:
        for place in ("/data/local/tmp", "/sys/", "/proc/"):
            text = text.replace(place, f"{self.folder}{place}")
        return text

    def hide(self, *names: str) -> None:
        """From now on these programs are not there."""
        few = self.folder / "few"
        few.mkdir()
        for folder in reversed(self._programs.split(":")):
            for program in Path(folder).glob("*"):
                (few / program.name).unlink(missing_ok=True)
                (few / program.name).symlink_to(program)
        for name in names:
            (few / name).unlink()
        self._programs = str(few)

    def put(self, place: str, text: str) -> None:
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def set_zones(self, *zones: tuple[str, int]) -> None:
        for number, (name, raw) in enumerate(zones):
            self.put(f"sys/class/thermal/thermal_zone{number}/type", name)
            self.put(f"sys/class/thermal/thermal_zone{number}/temp", str(raw))

    def set_power(self, **values: str) -> None:
        """Values of `dumpsys power`, such as mWakefulness="Asleep"."""
        lines = (self.recorded / "dumpsys_power").read_text().splitlines()
        kept = [line for line in lines if line.split("=")[0].strip() not in values]
        (self.recorded / "dumpsys_power").write_text(
            "\n".join([*kept, *(f"  {k}={v}" for k, v in values.items())]) + "\n"
        )

    def set_battery(self, **values: int) -> None:
        lines = (self.recorded / "dumpsys_battery").read_text().splitlines()
        kept = [line for line in lines if line.split(":")[0].strip() not in values]
        (self.recorded / "dumpsys_battery").write_text("\n".join([*kept, *(f"  {k}: {v}" for k, v in values.items())]))

    @property
    def keys(self) -> list[str]:
        """The keys that were pressed."""
        path = self.recorded / "keys"
        return path.read_text().split() if path.exists() else []

    def setting(self, name: str) -> str:
        path = self.recorded / f"global_{name}"
        return path.read_text().strip() if path.exists() else "null"

    @property
    def state(self) -> State:
        return read_state(self)
