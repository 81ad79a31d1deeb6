"""A whole profile of a space of a few operators through the app, interrupted and gone on with."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.ios.agent import IphoneAgent
from lutbench.device_agents.ios.find import WantedIphone
from lutbench.device_agents.ios.opening import open_iphone
from lutbench.device_agents.registry import Device
from lutbench.device_agents.remote.agent import Patience
from lutbench.errors import DeviceError
from lutbench.events import Event
from lutbench.jobs.profile import ProfileRequest, profile
from lutbench.lut.table import Lut
from lutbench.measure.protocol import Protocol
from tests.device_agents.ios.app import App
from tests.device_agents.ios.conftest import RUNTIME
from tests.phone.profiling import SPACE_TOML

ROUNDS = 10


def run(folder: Path, reconnect_s: float, events: list[Event]) -> Lut:
    (folder / "few.toml").write_text(SPACE_TOML)
    device = Device("mine", "ios", folder / "phone.csv", "")
    request = ProfileRequest(
        device=device,
        space=str(folder / "few.toml"),
        output=device.lut,
        protocol=Protocol(min_rounds=ROUNDS, max_rounds=ROUNDS),
    )

    def opened(device: Device, settings: AgentSettings) -> IphoneAgent:
        return open_iphone(WantedIphone(device.name), settings, RUNTIME, Patience(reconnect_s=reconnect_s))

    return profile(request, events.append, opened, look_first=lambda *_: None)


def samples(folder: Path) -> list[tuple[str, int, int]]:
    """(operator, depth, round) of each line of samples in the journal."""
    path = folder / "phone.journal" / "r1.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    entries = [json.loads(line) for line in lines if line.endswith("}")]  # the last one may still be written
    return [(e["operator"], e["depth"], e["round"]) for e in entries if "operator" in e]


@pytest.mark.slow
def test_a_run_that_the_app_left_goes_on_from_what_was_measured(app: App, tmp_path: Path, events: list[Event]) -> None:
    def kill() -> None:
        until = time.monotonic() + 60
        while len(samples(tmp_path)) < 6 and time.monotonic() < until:
            time.sleep(0.01)
        app.kill()

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(DeviceError, match="does not answer any more"):
        run(tmp_path, 0.5, events)
    thread.join()
    before = samples(tmp_path)
    assert before
    app.start()
    lut = run(tmp_path, 20.0, events)
    found = samples(tmp_path)
    assert found[: len(before)] == before and max(Counter(found).values()) == 1  # nothing was measured twice
    assert all(row.is_ok and row.rounds for row in lut.rows)
    assert lut.metadata.runtime == RUNTIME and lut.metadata.device == "mine"
    environment = lut.metadata.environment
    assert (environment["model"], environment["connection"]) == ("iPhone10,3", "USB")
