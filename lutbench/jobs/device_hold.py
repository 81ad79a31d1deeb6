"""Holding a device: what every command that measures does before it opens the device and after it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lutbench.device_agents.agent import Agent, AgentSettings
from lutbench.device_agents.registry import Device
from lutbench.errors import InterruptedRunError
from lutbench.files import default_cache_folder
from lutbench.locks import device_lock

OpenAgent = Callable[[Device, AgentSettings], Agent]


@contextmanager
def held(device: Device, folder: Path) -> Iterator[None]:
    """A measuring run: nobody else has the device, and an interruption says that folder keeps what was measured."""
    try:
        with device_lock(default_cache_folder() / "locks", device.lock_name, device.name):
            yield
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "interrupted", remedy=f"what was measured is kept in {folder}; the same command goes on from it"
        ) from None
