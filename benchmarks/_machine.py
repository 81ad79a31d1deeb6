"""The machine a benchmark ran on, as the docs quote it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

import torch

from lutbench.device_agents.host.environment import describe_host


def machine() -> str:
    """One line: CPU, cores, GPU where torch sees one, system, versions."""
    info = describe_host([])
    gpu = f" {torch.cuda.get_device_name()}," if torch.cuda.is_available() else ""
    return (
        f"{info.cpu}, {os.cpu_count()} cores,{gpu} {platform.system()} {platform.machine()}, Python"
        f" {platform.python_version()}, onnxruntime {version('onnxruntime')}, torch {version('torch')}"
    )
