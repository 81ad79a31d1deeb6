"""The runner's system calls against Android's published filter for apps: on this machine, traced by strace.

tests/phone/test_calls.py holds the arm64 runner to the same list.
"""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.device_agents.runner.calls import BEFORE_THE_FIRST_LINE, app_calls
from tests.device_agents.runner.conftest import need
from tests.device_agents.runner.phone import ENGINES, Phone

# On x86_64 glibc and ONNX Runtime also make calls that arm64 never had, and that an app's filter refuses there: an app
# for x86_64 would need the runner built with the NDK. adb's shell is outside the filter.
OLD_ON_X86_64 = {"access", "lstat", "chmod", "unlink", "mkdir", "rmdir", "rename", "poll", "pipe", "dup2"}


def test_the_list_is_whole() -> None:
    for machine in ("aarch64", "x86_64"):
        found = app_calls(machine)
        assert len(found) > 200
        assert {"mmap", "futex", "clone", "openat", "sched_setaffinity", "clock_gettime"} <= found
        assert not found & {"setuid", "chroot", "mount", "swapon", "adjtimex", "reboot", "access"}
        assert not found & BEFORE_THE_FIRST_LINE
    assert app_calls("x86_64") - app_calls("aarch64") >= {"open", "stat", "readlink", "arch_prctl"}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_runner_makes_no_other_calls(engine: str, phone_of: Callable[[str], Phone]) -> None:
    need("strace")
    phone = phone_of(engine)
    job = phone.write(replace(phone.job, cores=(0,), threads=2))
    trace = phone.folder / "trace"
    command = phone.bundle.command(engine, str(phone.bundle.folder))
    subprocess.run(
        ["strace", "-f", "-o", str(trace), *command, "--job", str(job), "--output", str(phone.folder / "records")],
        check=True,
        capture_output=True,
        timeout=120,
    )
    made = set(re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.MULTILINE))
    assert {"openat", "sched_setaffinity"} <= made
    others = made - app_calls(platform.machine()) - BEFORE_THE_FIRST_LINE
    assert others <= (OLD_ON_X86_64 if platform.machine() == "x86_64" else set())
