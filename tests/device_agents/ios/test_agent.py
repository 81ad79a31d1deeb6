"""The iPhone's agent against the app's server: what it measures, and every way in which the phone gets in the way."""

from __future__ import annotations

import dataclasses
import re
import signal
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from lutbench.device_agents.agent import UNREADABLE, AgentSettings
from lutbench.device_agents.ios import link as link_module
from lutbench.device_agents.ios.find import READY, WantedIphone, attached
from lutbench.device_agents.ios.opening import clean_iphone, open_iphone
from lutbench.device_agents.remote.agent import Patience
from lutbench.errors import DeviceError
from lutbench.events import Event, Note
from lutbench.export.artifact import Artifact
from lutbench.measure.protocol import Batch, Canary, Cycle, Failure, Outcome, Samples, Spent
from lutbench.space.operator import OVERHEAD
from tests.device_agents.ios.app import UDID, App
from tests.device_agents.ios.conftest import RUNTIME, OpenIphone
from tests.device_agents.ios.fake_usbmuxd import FakeUsbmuxd
from tests.device_agents.runner.phone import BATCH, BLOCK, CONV

pytestmark = pytest.mark.slow
LONG_S = 30.0
# some seconds of cycles, and more than anybody waits for
LONG = Batch(tuple(Cycle((BLOCK,), 0, 0, 500, "c") for _ in range(150)), (Canary("c", CONV, 1, 1e9),), 0.0)
ENDLESS = Batch(LONG.cycles * 40, LONG.canaries, 0.0)


def notes(events: Iterable[Event]) -> str:
    return "\n".join(event.text for event in events if isinstance(event, Note))


def until(is_true: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONG_S
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def samples(outcomes: Sequence[Outcome]) -> list[Samples]:
    return [outcome for outcome in outcomes if isinstance(outcome, Samples)]


def while_measuring(app: App, act: Callable[[], None]) -> threading.Thread:
    """Acts once a few cycles of the job have been recorded."""

    def wait_and_act() -> None:
        jobs = app.folder / "jobs"
        until(lambda: any(path.read_bytes().count(b'"cycle"') > 3 for path in jobs.glob("*.jsonl")))
        act()

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    return thread


def test_cycles_come_back_as_samples_and_the_environment_says_what_measured(
    app: App, opened: OpenIphone, artifacts: list[Artifact]
) -> None:
    agent = opened()
    assert list(agent.install(artifacts)) == []  # each computes what it computes here
    assert agent.installed_files == len(artifacts)
    outcomes = list(agent.measure(BATCH))
    assert [(s.artifact, s.depth, len(s.durations_ns)) for s in samples(outcomes)] == [
        (BLOCK, 1, 3), (CONV, 1, 3), (OVERHEAD.name, 0, 2),
    ]  # fmt: skip
    (spent,) = (outcome for outcome in outcomes if isinstance(outcome, Spent))
    assert spent.runtime_ns > sum(sum(s.durations_ns) for s in samples(outcomes))
    info = agent.describe()
    assert (info.model, info.cpu) == ("iPhone X", "A11")
    environment = info.environment
    assert (environment["connection"], environment["qos"], environment["thermal_state"]) == (
        "USB", "userInteractive", "nominal",
    )  # fmt: skip
    assert environment["runner_runtime"] == RUNTIME and environment["pinned_to"] == UNREADABLE
    assert 0 < environment["clock_ns"] < 100_000 and environment["low_power"] is False
    agent.close()
    assert f"loading ({len(artifacts)} artifacts)" in app.said and f"measuring {BLOCK} and 2 more" in app.said
    until(lambda: any(re.fullmatch(rf"last result: {OVERHEAD.name}: [\d.]+ us", line) for line in app.said))
    assert app.process.poll() is None
    again = opened()
    assert list(again.install(artifacts)) == [] and again.installed_files == 0  # by content, it is all there


def test_a_renewed_session_loads_anew_and_measures(opened: OpenIphone, artifacts: list[Artifact], app: App) -> None:
    agent = opened()
    assert list(agent.install(artifacts)) == []
    agent.renew([])
    assert len(samples(list(agent.measure(BATCH)))) == 3
    assert app.process.poll() is None


def test_the_cable_is_pulled_in_mid_batch(app: App, opened: OpenIphone, artifacts: list[Artifact]) -> None:
    """The phone goes on measuring; what it measured meanwhile is read once it is plugged in again, each cycle once."""
    agent = opened()
    assert list(agent.install(artifacts)) == []

    def pull() -> None:
        app.unplug()
        time.sleep(0.5)
        app.plug_in()

    thread = while_measuring(app, pull)
    found = samples(list(agent.measure(LONG)))
    thread.join()
    assert len(found) == len(LONG.cycles) and agent.connection.losses
    assert len(list((app.folder / "jobs").glob("*.jsonl"))) == 2  # loading, and one job of cycles: nothing was repeated


def test_the_app_is_ended_in_mid_batch_and_started_again(
    app: App, opened: OpenIphone, artifacts: list[Artifact], events: list[Event]
) -> None:
    """What was measured is kept, and only the rest measured again."""
    agent = opened()
    assert list(agent.install(artifacts)) == []

    def restart() -> None:
        app.kill()
        until(lambda: "tap lutbench on it" in notes(events))
        app.start()

    thread = while_measuring(app, restart)
    outcomes = list(agent.measure(LONG))
    thread.join()
    assert len(samples(outcomes)) == len(LONG.cycles)
    assert not [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert "answers again" in notes(events)
    cycles = [path.read_bytes().count(b'"cycle"') for path in (app.folder / "jobs").glob("*.jsonl")]
    assert sum(cycles) - len(LONG.cycles) <= 1  # no cycle that was recorded was measured again


def test_a_host_that_goes_in_mid_batch_leaves_nothing_running(
    app: App, opened: OpenIphone, artifacts: list[Artifact]
) -> None:
    """As after Ctrl-C: the next run begins at once."""
    agent = opened()
    assert list(agent.install(artifacts)) == []
    measuring = agent.measure(ENDLESS)
    assert isinstance(next(measuring), Samples)
    agent.close()
    again = opened()
    assert list(again.install(artifacts)) == []
    assert len(samples(list(again.measure(BATCH)))) == 3
    assert app.process.poll() is None


def test_a_phone_that_is_locked_in_mid_batch_and_unlocked_again(
    app: App, opened: OpenIphone, artifacts: list[Artifact], events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """iOS suspends the app: its connections stay, and nothing answers."""
    agent = opened()
    assert list(agent.install(artifacts)) == []
    monkeypatch.setattr(link_module, "ANSWER_TIMEOUT_S", 1.0)

    def lock() -> None:
        app.process.send_signal(signal.SIGSTOP)
        until(lambda: "does not answer" in notes(events))
        app.process.send_signal(signal.SIGCONT)

    thread = while_measuring(app, lock)
    outcomes = list(agent.measure(LONG))
    thread.join()
    assert len(samples(outcomes)) == len(LONG.cycles)
    assert not [outcome for outcome in outcomes if isinstance(outcome, Failure)]


def test_an_app_that_stays_away_is_an_error(app: App, opened: OpenIphone, artifacts: list[Artifact]) -> None:
    agent = opened(patience=Patience(reconnect_s=0.5))
    assert list(agent.install(artifacts)) == []
    thread = while_measuring(app, app.kill)
    with pytest.raises(DeviceError, match="does not answer any more") as caught:
        list(agent.measure(ENDLESS))
    thread.join()
    assert "the same command goes on" in caught.value.remedy


@pytest.mark.parametrize(
    ("bad", "good", "said"),
    [
        ({"thermal": "serious"}, {"thermal": "nominal"}, "its thermal state is serious"),
        ({"low_power": True}, {"low_power": False}, "low-power mode is on"),
        ({"foreground": False}, {"foreground": True}, "the app is not in front"),
    ],
    ids=["hot", "low power", "behind"],
)
def test_a_phone_that_becomes_other_than_it_should_be_is_waited_for(
    bad: dict[str, object],
    good: dict[str, object],
    said: str,
    app: App,
    opened: OpenIphone,
    artifacts: list[Artifact],
    events: list[Event],
) -> None:
    """The app ends the job; what was measured before is kept, nothing is measured meanwhile, then the rest."""
    agent = opened()
    assert list(agent.install(artifacts)) == []

    def change() -> None:
        app.tell(**bad)
        until(lambda: said in notes(events))
        app.tell(**good)

    thread = while_measuring(app, change)
    outcomes = list(agent.measure(LONG))
    thread.join()
    assert len(samples(outcomes)) == len(LONG.cycles)
    assert not [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert "the phone is ready again" in notes(events)


def test_heat_is_not_waited_for_where_that_is_asked(app: App, opened: OpenIphone, artifacts: list[Artifact]) -> None:
    app.tell(thermal="serious")
    agent = opened(heat_wait=False)
    assert list(agent.install(artifacts)) == []
    assert len(samples(list(agent.measure(BATCH)))) == 3
    environment = agent.describe().environment
    assert environment["heat_wait"] is False and environment["hottest_thermal_state"] == "serious"


def test_an_empty_battery_that_does_not_charge_is_an_error(
    app: App, opened: OpenIphone, artifacts: list[Artifact]
) -> None:
    agent = opened()
    assert list(agent.install(artifacts)) == []
    app.tell(battery=0.1, charging=False)
    with pytest.raises(DeviceError, match="battery is at 10 %"):
        list(agent.measure(BATCH))


def test_a_runtime_that_hangs_ends_the_app_and_names_the_artifact(
    app: App, opened: OpenIphone, artifacts: list[Artifact]
) -> None:
    """The batch never comes to an end here, so it is silent for longer than its artifact may take."""
    agent = opened(patience=Patience(load_s=1.0, invocation_s=1.0, reconnect_s=0.5))
    assert list(agent.install(artifacts)) == []
    endless = Batch((Cycle((BLOCK,), 0, 0, 1_000_000, "c"),), (Canary("c", CONV, 1, 1e9),))
    agent._silence_s = lambda _batch: 1.0  # type: ignore[method-assign]
    with pytest.raises(DeviceError):
        list(agent.measure(endless))
    until(lambda: app.process.poll() is not None)
    assert "a job hangs: the app ends itself" in app.said
    records = b"".join(path.read_bytes() for path in (app.folder / "jobs").glob("*.jsonl"))
    assert b'"fatal":"SIGTERM while running ' in records


def test_a_corrupt_artifact_costs_itself(
    app: App, opened: OpenIphone, artifacts: list[Artifact], tmp_path: Path
) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no model")
    from lutbench.files import file_sha256

    broken = dataclasses.replace(
        artifacts[0], name="broken", path=path, sha256=file_sha256(path), size_bytes=path.stat().st_size
    )
    (failure,) = opened().install([broken, *artifacts])
    assert failure.artifact == "broken"
    assert app.process.poll() is None


def test_bytes_that_are_not_what_their_hash_says_are_refused(
    app: App, opened: OpenIphone, artifacts: list[Artifact], tmp_path: Path
) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(b"other bytes")
    lies = dataclasses.replace(artifacts[0], path=path, size_bytes=11)
    with pytest.raises(DeviceError, match=r"does not store what is sent: .*damaged"):
        list(opened().install([lies]))
    assert not list((app.folder / "artifacts").iterdir()) and not list((app.folder / "incoming").iterdir())


def test_another_model_is_refused_unless_it_is_forced(app: App, events: list[Event]) -> None:
    assert app.process.poll() is None
    wanted = WantedIphone("mine", model="iPhone15,*")
    with pytest.raises(DeviceError, match=r"is a iPhone X \(iPhone10,3\), not a iPhone15"):
        open_iphone(wanted, AgentSettings("onnx", "int8", 1), RUNTIME)
    settings = AgentSettings("onnx", "int8", 1, force=True, report=events.append)
    open_iphone(wanted, settings, RUNTIME).close()
    assert "the LUT says so" in notes(events)


def test_another_runtime_is_not_mixed_in(app: App) -> None:
    assert app.process.poll() is None
    with pytest.raises(DeviceError, match="one LUT does not mix them") as caught:
        open_iphone(WantedIphone("ios"), AgentSettings("onnx", "int8", 1), "onnxruntime 1.0.0")
    assert f"pip install onnxruntime=={RUNTIME.split()[1]}" in caught.value.remedy


def test_an_app_of_another_protocol_version_says_which_is_newer(
    app: App, opened: OpenIphone, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert app.process.poll() is None
    monkeypatch.setattr(link_module, "PROTOCOL", 2)
    with pytest.raises(DeviceError, match=r"speaks version 1 of the protocol, this lutbench version 2") as caught:
        opened()
    assert "build and install the app" in caught.value.remedy
    monkeypatch.setattr(link_module, "PROTOCOL", 0)
    with pytest.raises(DeviceError) as caught:
        opened()
    assert "install the lutbench that it was built from" in caught.value.remedy


def test_a_second_host_is_told_that_the_phone_is_in_use(
    app: App, opened: OpenIphone, artifacts: list[Artifact], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of another machine: on this one the lock on the device stands before it."""
    agent = opened()
    assert list(agent.install(artifacts)) == []
    monkeypatch.setenv("LUTBENCH_LOCKS", str(tmp_path / "another machine's"))
    with pytest.raises(DeviceError, match="another lutbench measures on this iPhone"):
        opened()
    assert len(samples(list(agent.measure(BATCH)))) == 3
    agent.close()
    assert list(opened().install(artifacts)) == []
    assert app.process.poll() is None


def test_a_host_of_this_machine_waits_its_turn(app: App, opened: OpenIphone) -> None:
    assert app.process.poll() is None
    opened()
    with pytest.raises(DeviceError, match="another lutbench is measuring on this device"):
        opened()


def test_what_is_kept_is_removed(app: App, opened: OpenIphone, artifacts: list[Artifact]) -> None:
    agent = opened()
    assert list(agent.install(artifacts)) == []
    agent.close()
    assert clean_iphone(WantedIphone("ios")) >= sum(artifact.size_bytes for artifact in artifacts)
    assert not list((app.folder / "artifacts").iterdir())


def test_the_list_says_what_to_do_with_each_phone(app: App) -> None:
    assert [(phone.udid, phone.state, phone.model, phone.system) for phone in attached()] == [
        (UDID, READY, "iPhone X", "iOS 16.7")
    ]
    app.kill()
    (phone,) = attached()
    assert phone.state == "app not running" and "tap lutbench" in phone.remedy
    app.phone.values = {**app.phone.values, "PasswordProtected": True}
    assert attached()[0].state == "locked" and "unlock" in attached()[0].remedy
    app.phone.trusted = False
    assert attached()[0].state == "not trusted" and "Trust" in attached()[0].remedy
    with pytest.raises(DeviceError, match="not trusted"):
        open_iphone(WantedIphone("ios"), AgentSettings("onnx", "int8", 1), RUNTIME)


def test_which_iphone_is_meant(app: App, mux: FakeUsbmuxd, opened: OpenIphone) -> None:
    with pytest.raises(DeviceError, match="no iPhone of UDID"):
        opened(WantedIphone("mine", udid="f" * 40))
    other = mux.plug_in(dataclasses.replace(app.phone, udid="a" * 40))
    with pytest.raises(DeviceError, match="2 iPhones are attached"):
        opened()
    opened(WantedIphone("mine", udid=UDID.replace("-", "").lower())).close()
    mux.unplug(other)
    app.unplug()
    with pytest.raises(DeviceError, match="no iPhone is attached"):
        opened()
