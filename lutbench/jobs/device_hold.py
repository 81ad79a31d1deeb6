"""Holding a device: what every command that measures does before it opens the device and after it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lutbench.device_agents.agent import Agent, AgentSettings
from lutbench.device_agents.registry import Device
from lutbench.errors import InterruptedRunError, OutputError
from lutbench.locks import device_lock

OpenAgent = Callable[[Device, AgentSettings], Agent]


@contextmanager
def held(device: Device, folder: Path) -> Iterator[None]:
    """A measuring run: nobody else has the device, and an interruption says that folder keeps what was measured."""
    try:
        with device_lock(device.lock_name, device.name):
            yield
    except OutputError as error:
        if not error.is_full:
            raise
        remedy = f"what was measured is kept in {folder}; free some space and run the same command again"
        raise OutputError(error.problem, path=error.path, remedy=remedy) from error
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "interrupted", remedy=f"what was measured is kept in {folder}; the same command goes on from it"
        ) from None
