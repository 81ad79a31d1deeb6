"""What the shell of each Android release offers, and a phone of its time: the commands that AOSP lists for it, how the
older ones behaved, its cores, thermal zones and properties.

Where no old toybox can be had, small scripts in `old` stand before the present one and do what it did.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
# in every release beside what is listed: the shell, toybox under its own name, and the services' commands
ALWAYS = ("sh", "toybox", "getprop", "dumpsys", "cmd", "input", "settings", "svc")
_FEATURES = "fp asimd evtstrm aes pmull sha1 sha2 crc32"  # of a core without dot products
_DOT_FEATURES = f"{_FEATURES} atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"


@dataclass(frozen=True)
class Userland:
    """A release on a phone of its time, of two clusters.

    old: commands that behave otherwise than the present toybox's. parts: implementer and part of a little and a big
    core; khz: their highest frequencies. core: the nearest that the emulator has. zones: type -> what the file holds.
    """

    release: str
    properties: Mapping[str, str]
    old: tuple[str, ...]
    parts: tuple[tuple[str, str], tuple[str, str]]
    khz: tuple[int, int]
    core: str
    features: str
    governor: str
    zones: Mapping[str, int]
    has_thermal_service: bool = False

    @property
    def commands(self) -> frozenset[str]:
        """By AOSP's list, with the shell and the system's own."""
        lines = (HERE / "commands" / self.release).read_text().splitlines()
        names = (line.split(":", 1)[1].split() for line in lines if not line.startswith("#"))
        return frozenset(name for words in names for name in words) | frozenset(ALWAYS)

    @property
    def getprop(self) -> str:
        """What that prints."""
        return "".join(f"[{name}]: [{value}]\n" for name, value in self.properties.items())


def _properties(make: str, model: str, soc: str, version: str, api: int) -> dict[str, str]:
    return {
        "ro.product.manufacturer": make,
        "ro.product.brand": make,
        "ro.product.model": model,
        "ro.hardware.chipname": soc,
        "ro.board.platform": soc,
        "ro.build.version.release": version,
        "ro.build.version.sdk": str(api),
        "ro.product.cpu.abi": "arm64-v8a",
        "ro.serialno": "0123456789ABCDEF",
        "ro.boot.qemu": "1",
    }


USERLANDS = {
    userland.release: userland
    for userland in (
        Userland(  # a Galaxy S8 as it was sold: zones of Exynos kernels
            "7", _properties("samsung", "SM-G950F", "exynos8895", "7.0", 24), ("tar", "date", "ps", "grep"),
            (("0x41", "0xd03"), ("0x53", "0x001")), (1690000, 2314000), "cortex-a57", _FEATURES, "interactive",
            {"mngs-thermal": 41000, "APOLLO": 39000, "gpu-thermal": 37000, "isp-thermal": 36000, "battery": 29000},
        ),
        Userland(  # zones of Qualcomm's 4.4 kernels: tenths of a degree
            "8", _properties("Google", "Pixel 2", "msm8998", "8.0.0", 26), ("tar", "grep"),
            (("0x51", "0x801"), ("0x51", "0x800")), (1900800, 2457600), "cortex-a57", _FEATURES, "interactive",
            {"tsens_tz_sensor1": 385, "tsens_tz_sensor2": 391, "tsens_tz_sensor12": 402, "pm8998_tz": 31234,
             "emmc_therm": 30, "battery": 30200},
        ),
        Userland(  # zones of Qualcomm's 4.9 kernels: soc is the battery's level
            "9", _properties("OnePlus", "ONEPLUS A5000", "msm8998", "9", 28), ("tar", "grep"),
            (("0x51", "0x801"), ("0x51", "0x800")), (1900800, 2457600), "cortex-a57", _FEATURES, "schedutil",
            {"cpu0-silver-usr": 38100, "cpu1-gold-usr": 39400, "gpu0-usr": 36000, "pm8998_tz": 33000, "soc": 85,
             "battery": 31000},
        ),
        Userland(
            "13", _properties("Google", "Pixel 6", "gs101", "13", 33), (),
            (("0x41", "0xd05"), ("0x41", "0xd44")), (1803000, 2802000), "cortex-a76", _DOT_FEATURES, "sched_pixel",
            {"BIG": 42000, "MID": 40000, "LITTLE": 38000, "G3D": 37000, "battery": 30100}, True,
        ),
    )
}  # fmt: skip
RELEASES = tuple(USERLANDS)


def fill_bin(
    folder: Path,
    userland: Userland,
    available: Sequence[str],
    system: Path,
    shell: str = "/system/bin/sh",
    recorded: str = "/sys/recorded",
) -> None:
    """A /system/bin: commands as links to `toybox` there, the old ones' scripts, and what is the system's own.

    available: the commands that this toybox has; system: a folder of scripts; shell: runs them; recorded: the folder
    of what they answer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(userland.commands & set(available) - {"sh", "toybox"}):
        (folder / name).symlink_to("toybox")
    for path in (*(HERE / "old" / name for name in userland.old), *system.iterdir()):
        target = folder / path.name
        target.unlink(missing_ok=True)
        text = path.read_text().replace("#!/system/bin/sh", f"#!{shell}", 1)
        target.write_text(text.replace("/sys/recorded", recorded))
        shutil.copymode(path, target)


def write_userland(folder: Path, userland: Userland, built: Path, system: Path, cores: int | None = None) -> None:
    """What up_phone.sh lays over a built phone, whose root is `built`: bin, sys, recorded, cpuinfo and core."""
    (folder / "bin").mkdir(parents=True)
    tools = built / "system/bin"
    for name in ("sh", "toybox"):
        shutil.copy(tools / name, folder / "bin" / name)
    links = [path.name for path in tools.iterdir() if path.is_symlink() and path.readlink() == Path("toybox")]
    fill_bin(folder / "bin", userland, links, system)
    count = cores or len(os.sched_getaffinity(0))
    little = range(count // 2)
    for core in range(count):
        place = folder / f"sys/devices/system/cpu/cpu{core}/cpufreq"
        place.mkdir(parents=True)
        khz = userland.khz[core not in little]
        files = {f"{kind}_freq": khz for kind in ("cpuinfo_max", "scaling_max", "scaling_cur")}
        for name, text in {**files, "scaling_governor": userland.governor}.items():
            (place / name).write_text(f"{text}\n")
    for number, (kind, value) in enumerate(userland.zones.items()):
        zone = folder / f"sys/class/thermal/thermal_zone{number}"
        zone.mkdir(parents=True)
        (zone / "type").write_text(f"{kind}\n")
        (zone / "temp").write_text(f"{value}\n")
    (folder / "recorded").mkdir()
    (folder / "recorded/getprop").write_text(userland.getprop)
    parts = [userland.parts[core not in little] for core in range(count)]
    (folder / "cpuinfo").write_text("".join(_cpuinfo(n, *part, userland.features) for n, part in enumerate(parts)))
    (folder / "core").write_text(f"{userland.core}\n")
    (folder / "lacks").write_text("" if userland.has_thermal_service else "dumpsys_thermalservice\n")


def _cpuinfo(number: int, implementer: str, part: str, features: str) -> str:
    return (
        f"processor\t: {number}\nBogoMIPS\t: 38.40\nFeatures\t: {features}\nCPU implementer\t: {implementer}\n"
        f"CPU architecture: 8\nCPU variant\t: 0x1\nCPU part\t: {part}\nCPU revision\t: 0\n\n"
    )
