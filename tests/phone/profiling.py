"""A whole profile of a space of a few operators on the phone, and what has to hold of its LUT and journal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.android.agent import AndroidAgent
from lutbench.device_agents.android.find import Wanted
from lutbench.device_agents.android.opening import open_phone
from lutbench.device_agents.registry import Device
from lutbench.device_agents.remote.agent import Patience
from lutbench.events import Event, Note
from lutbench.jobs.profile import ProfileRequest, profile
from lutbench.lut.table import Lut
from lutbench.measure.protocol import Protocol

SPACE_TOML = """\
name = "few"
resolution = 16
classes = 4
candidates = ["k3_e1"]

[stem]
channels = 8

[[stage]]
channels = 8
layers = 1

[head]
channels = 16
"""
ROUNDS = 2


@dataclass
class Profiler:
    """Profiles the phone as `lutbench profile` does, with less patience. events: what it reported."""

    device: Device
    folder: Path
    patience: Patience = field(default_factory=lambda: Patience(reconnect_s=15.0))
    resolution: int = 16
    events: list[Event] = field(default_factory=list)
    agents: list[AndroidAgent] = field(default_factory=list)

    @property
    def request(self) -> ProfileRequest:
        space = self.folder / "few.toml"
        space.write_text(SPACE_TOML.replace("resolution = 16", f"resolution = {self.resolution}"))
        protocol = Protocol(min_rounds=ROUNDS, max_rounds=ROUNDS)
        return ProfileRequest(device=self.device, space=str(space), output=self.folder / "phone.csv", protocol=protocol)

    def run(self, change: Callable[[AndroidAgent], None] = lambda _agent: None) -> Lut:
        """change: done to the agent when it is open."""

        def open_device(device: Device, settings: AgentSettings) -> AndroidAgent:
            wanted = Wanted(device.name, device.serial, device.address, device.model, device.bundle)
            agent = open_phone(wanted, self.folder / "config", settings, self.patience)
            self.agents.append(agent)
            change(agent)
            return agent

        return profile(self.request, self.events.append, open_device, look_first=lambda *_: None)

    @property
    def notes(self) -> str:
        return "\n".join(event.text for event in self.events if isinstance(event, Note))

    @property
    def journal(self) -> list[dict[str, Any]]:
        """The journal's records of samples."""
        path = self.folder / "phone.journal" / "r1.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [record for record in map(json.loads, lines) if "operator" in record]

    def check(self, lut: Lut) -> None:
        """The LUT is complete, and its journal holds each operator once a round, with as many samples as asked for."""
        assert [row.operator for row in lut.rows if not row.is_ok] == []
        measured = [row for row in lut.rows if row.parts.is_measured]
        assert len(measured) >= 5
        assert {row.rounds for row in measured} == {ROUNDS}
        visits = Counter((record["operator"], record["depth"], record["round"]) for record in self.journal)
        assert visits == {(row.operator, 0, number): 1 for row in measured for number in range(ROUNDS)}
        for record in self.journal:
            assert len(record["ns"]) == len(record["canary_ns"]) >= 3
        for row in measured:  # of a round, the samples that were not disturbed, where they are a third; else all
            taken = sum(len(record["ns"]) for record in self.journal if record["operator"] == row.operator)
            assert taken <= 3 * row.samples <= 3 * taken
