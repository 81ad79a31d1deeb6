"""--wait-quiet: waits while the canary is slow, not longer than asked for, and says what for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.fake import FakeAgent
from lutbench.device_agents.registry import Device
from lutbench.events import Event, Note
from lutbench.export.artifact import Artifact
from lutbench.jobs.artifacts import canary_identity
from lutbench.jobs.machine_state import note_state
from lutbench.jobs.profile import ProfileRequest, profile
from lutbench.jobs.quiet import Waiting, wait_for_quiet
from lutbench.measure.protocol import Canary

QUIET_NS = 50_000
CANARY = Canary("nets", "canary", 1, 1.1)
ARTIFACT = Artifact("canary", "onnx", "int8", Path("canary.onnx"), "0" * 64, 1000, 0.0)
OpenDevice = Callable[..., FakeAgent]


class Clock:
    """A clock that goes on only where somebody sleeps."""

    def __init__(self) -> None:
        self.s = 0.0

    def waiting(self, limit_s: float) -> Waiting:
        def sleep(seconds: float) -> None:
            self.s += seconds

        return Waiting(limit_s, lambda: self.s, sleep)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LUTBENCH_CACHE", str(tmp_path / "cache"))


def waited(
    host: Device, limit_s: float, slow: Callable[[float, int], float], known_us: float | None = 50.0
) -> tuple[bool, float, list[Note]]:
    """Whether it came to be quiet, the seconds waited, and what was said. slow: by the clock and the invocation."""
    clock = Clock()
    events: list[Event] = []
    agent = FakeAgent(lambda *_: QUIET_NS, canary=lambda n: round(QUIET_NS * slow(clock.s, n)))
    settings = AgentSettings("onnx", "int8", 1, report=events.append)
    if known_us is not None:
        identity = canary_identity(host, agent.describe(), ARTIFACT, 1)
        note_state(identity, known_us, lambda _: None)
    quiet = wait_for_quiet(clock.waiting(limit_s), agent, CANARY, [ARTIFACT], host, settings)
    return quiet, clock.s, [event for event in events if isinstance(event, Note)]


def test_a_quiet_machine_is_not_waited_for(host: Device) -> None:
    assert waited(host, 600, lambda _s, _n: 1.05) == (True, 0.0, [])


def test_nothing_is_looked_at_without_the_option(host: Device) -> None:
    assert waited(host, 0, lambda _s, _n: 9.0) == (True, 0.0, [])


def test_a_slow_machine_is_waited_for_until_it_is_as_usual(host: Device) -> None:
    quiet, seconds, notes = waited(host, 600, lambda s, _n: 3.0 if s < 42 else 1.0)
    assert quiet and 42 <= seconds < 50
    assert "waiting up to 10 min 00 s until the machine is quiet: the canary, a small net, takes 150" in notes[0].text
    assert "and 50.0 us when it is" in notes[0].text and not notes[0].warning
    assert "the machine is quiet after 45 s" in notes[1].text and len(notes) == 2


def test_a_machine_that_never_comes_to_rest_is_measured_with_a_warning(host: Device) -> None:
    quiet, seconds, notes = waited(host, 90, lambda _s, _n: 3.0)
    assert not quiet and seconds == pytest.approx(90)
    assert notes[-1].warning and "was not quiet within 90 s" in notes[-1].text and "going on" in notes[-1].text


def test_without_earlier_runs_the_canarys_own_times_have_to_agree(host: Device) -> None:
    quiet, seconds, _ = waited(host, 60, lambda s, n: 1.0 if s >= 20 or n % 4 == 0 else 2.0, known_us=None)
    assert quiet and 20 <= seconds < 30
    assert waited(host, 60, lambda _s, _n: 2.0, known_us=None)[:2] == (True, 0.0)  # all alike: nothing says it is slow


def test_profile_waits_before_it_measures(
    host: Device, tiny_file: Path, tmp_path: Path, additive_device: Callable[..., OpenDevice]
) -> None:
    request = ProfileRequest(device=host, space=str(tiny_file), output=tmp_path / "a.csv")
    profile(request, lambda _: None, additive_device())  # which remembers the canary's time
    events: list[Event] = []
    slow = additive_device(canary=lambda _n: 3 * QUIET_NS)
    profile(replace(request, output=tmp_path / "b.csv", wait_quiet_s=0.01), events.append, slow)
    texts = [event.text for event in events if isinstance(event, Note)]
    assert any("the machine was not quiet within" in text for text in texts)
