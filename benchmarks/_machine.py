"""The machine a benchmark ran on, as the docs quote it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

from lutbench.device_agents.host.environment import describe_host


def machine() -> str:
    """One line: CPU, cores, system, versions."""
    info = describe_host([])
    return (
        f"{info.cpu}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python"
        f" {platform.python_version()}, onnxruntime {version('onnxruntime')}, torch {version('torch')}"
    )
