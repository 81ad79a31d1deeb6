"""The agent on the emulated phone: real adbd, real runner, real runtimes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lutbench.device_agents.android.install import ROOT, install_files
from lutbench.device_agents.android.shell import command_line
from lutbench.device_agents.registry import Device, clean_device
from lutbench.device_agents.remote.stored import StoredFile
from lutbench.errors import DeviceError
from lutbench.events import Event, Note
from lutbench.export.artifact import Artifact
from lutbench.measure.protocol import Batch, Canary, Cycle, Failure, Samples, Spent
from tests.phone.conftest import BLOCK, CONV, NAMES, Open
from tests.phone.emulated import Phone

CANARIES = (Canary("quiet", CONV, 2, 1.0),)
BATCH = Batch((*(Cycle((name,), 0, 1, 3, "quiet") for name in NAMES), Cycle(NAMES, 2, 0, 2, "quiet")), CANARIES)
EXPECTED = [(name, 0, 3) for name in NAMES] + [(name, 2, 2) for name in NAMES]


@pytest.mark.parametrize("runtime", ["onnx", "executorch"])
def test_artifacts_compute_on_the_phone_what_they_compute_here_and_are_timed(
    runtime: str, open_agent: Open, artifacts_of: Callable[[str], list[Artifact]]
) -> None:
    artifacts = artifacts_of(runtime)
    with open_agent(runtime) as agent:
        assert list(agent.install(artifacts)) == []  # a wrong output would be a failure
        outcomes = list(agent.measure(BATCH))
        info = agent.describe()
    assert [(o.artifact, o.depth, len(o.durations_ns)) for o in outcomes if isinstance(o, Samples)] == EXPECTED
    (spent,) = (o for o in outcomes if isinstance(o, Spent))
    assert spent.runtime_ns > sum(sum(o.durations_ns) for o in outcomes if isinstance(o, Samples))
    environment = info.environment
    assert (info.make, info.model, environment["cpu"]) == ("samsung", "SM-G950F", "exynos8895")
    assert environment["pinned_to"] == [1] and environment["core_choice"] == "big"  # core 1 is the faster one
    assert "android-arm64" in environment["bundle"] and runtime in environment["bundle"].replace("runtime", "")
    assert environment["emulated"] is True
    assert (environment["governor"], environment["temperature_c"]) == ("interactive", 35.2)
    assert all(value not in (None, "") for value in environment.values())


def test_the_second_time_nothing_is_pushed(phone: Phone, open_agent: Open, artifacts: list[Artifact]) -> None:
    with open_agent() as agent:
        list(agent.install(artifacts))
    before = phone.relay.sent_bytes
    with open_agent() as agent:
        assert list(agent.install(artifacts)) == []
        assert agent.installed_files == 0
    assert phone.relay.sent_bytes - before < 20_000  # commands and a job


def test_a_wrong_result_is_a_failure(open_agent: Open, artifacts: list[Artifact]) -> None:
    """The phone gets another operator's file than this machine compares with."""
    conv, block = (next(a for a in artifacts if a.name == name) for name in (CONV, BLOCK))
    with open_agent() as agent:
        list(agent.install(artifacts))
        swapped = replace(conv, path=block.path)  # content by the hash is there: it is not sent again
        (failure,) = agent.install([swapped])
    assert failure.artifact == CONV and "computes something else" in failure.reason


def test_a_corrupt_artifact_costs_itself(open_agent: Open, artifacts: list[Artifact], tmp_path: Path) -> None:
    junk = tmp_path / "junk.onnx"
    junk.write_bytes(b"\x00not a model")
    digest = hashlib.sha256(junk.read_bytes()).hexdigest()
    bad = replace(artifacts[0], name="junk", path=junk, sha256=digest, size_bytes=junk.stat().st_size)
    with open_agent() as agent:
        assert [failure.artifact for failure in agent.install([bad, *artifacts])] == ["junk"]
        outcomes = list(agent.measure(replace(BATCH, cycles=(*BATCH.cycles, Cycle(("junk",), 0, 0, 1, "quiet")))))
    assert [o for o in outcomes if isinstance(o, Failure)] == [Failure("junk", "it is not loaded")]
    assert len([o for o in outcomes if isinstance(o, Samples)]) == len(EXPECTED)


@pytest.mark.parametrize("cores", ["little", "all", "0x3"])
def test_cores_are_chosen_by_cluster(cores: str, open_agent: Open, artifacts: list[Artifact]) -> None:
    with open_agent(cores=cores) as agent:
        list(agent.install(artifacts[:1]))
        assert agent.describe().environment["pinned_to"] == ([0] if cores == "little" else [0, 1])


def test_cores_that_the_phone_does_not_have(open_agent: Open) -> None:
    with pytest.raises(DeviceError, match="no core 2, 3"):
        open_agent(cores="0xc")
    with pytest.raises(DeviceError, match="1 cores, 2 threads"):
        open_agent(cores="little", threads=2)


def test_another_model_is_refused_unless_forced(device: Device, open_agent: Open, phone: Phone) -> None:
    phone.set_property("ro.product.model", "Pixel 4a")
    object.__setattr__(device, "model", "SM-G950*")
    with pytest.raises(DeviceError, match="is a Pixel 4a, not a SM-G950") as caught:
        open_agent()
    assert "--force" in caught.value.remedy
    events: list[Event] = []
    with open_agent(force=True, events=events) as agent:
        assert agent.describe().model == "Pixel 4a"
    assert any(isinstance(event, Note) and "Pixel 4a" in event.text for event in events)


def test_what_cannot_be_read_is_unreadable(open_agent: Open, phone: Phone) -> None:
    phone.set_record("dumpsys_battery", "Permission Denial")
    phone.set_record("dumpsys_thermalservice", "")
    for zone in (0, 1):
        (phone.root / f"sys/class/thermal/thermal_zone{zone}/temp").chmod(0)
    try:
        with open_agent() as agent:
            environment = agent.describe().environment
    finally:
        for zone in (0, 1):
            (phone.root / f"sys/class/thermal/thermal_zone{zone}/temp").chmod(0o644)
    for key in ("battery_level", "battery_temperature_c", "battery_status", "thermal_status", "temperature_c"):
        assert environment[key] == "unreadable"


def test_cleaning_leaves_nothing(device: Device, open_agent: Open, artifacts: list[Artifact], phone: Phone) -> None:
    with open_agent() as agent:
        list(agent.install(artifacts))
    stranger = phone.tmp / "mine.txt"
    stranger.write_text("keep")
    assert clean_device(device) > 10_000_000  # the bundle alone is larger
    assert list(phone.tmp.iterdir()) == [stranger]
    stranger.unlink()


NASTY = [
    "it's",
    'a "quoted" name',
    "a b;echo x",
    "$(id)",
    "`id`",
    "\\",
    "a\nb",
    "*",
    "~",
    "-n",
    "é",
    "$HOME",
    "#",
    "!x",
]


def test_words_reach_the_shell_as_data(open_agent: Open, phone: Phone) -> None:
    with open_agent() as agent:
        for name in NASTY:
            path = f"/data/local/tmp/words/{name}"
            agent.connection.push(name.encode(), path)
            assert agent.connection.pull(path) == name.encode()
            assert agent.connection.run(command_line(["cat", path])).output == name.encode()
            assert agent.connection.run(command_line(["print", "-rn", "--", name])).output == name.encode()
        assert {path.name for path in (phone.tmp / "words").iterdir()} == set(NASTY)
        agent.connection.check("rm -rf /data/local/tmp/words")


def test_nasty_artifact_names_are_measured(open_agent: Open, artifacts: list[Artifact], tmp_path: Path) -> None:
    name = 'it\'s $(id); "x" `id` \\ é'
    path = tmp_path / f"{name}.onnx"
    path.write_bytes(artifacts[-1].path.read_bytes())
    nasty = replace(artifacts[-1], name=name, path=path)
    batch = Batch((Cycle((name,), 0, 0, 2, name),), (Canary(name, name, 1, 1.0),))
    with open_agent() as agent:
        assert list(agent.install([nasty])) == []
        assert [o.artifact for o in agent.measure(batch) if isinstance(o, Samples)] == [name]


def test_a_file_is_hashed_where_it_lies(open_agent: Open, phone: Phone, tmp_path: Path) -> None:
    """A push that arrives as other bytes is sent again, and nothing half takes the file's place."""
    path = tmp_path / "data"
    path.write_bytes(bytes(range(256)) * 4000)
    file = StoredFile(path, "artifacts/data", hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
    with open_agent() as agent:
        push, sizes = agent.connection.push, []

        def truncated(data: bytes, place: str) -> None:
            sizes.append(len(data))
            push(data if len(sizes) > 1 else data[: len(data) // 2], place)

        agent.connection.push = truncated  # type: ignore[method-assign]
        assert install_files(agent.connection, [file]) == 1
        assert len(sizes) == 2
        assert (phone.tmp / "lutbench/artifacts/data").read_bytes() == path.read_bytes()
        assert install_files(agent.connection, [file]) == 0
        lies = replace(file, place="artifacts/other", sha256="0" * 64)
        with pytest.raises(DeviceError, match="arrived as other bytes"):
            install_files(agent.connection, [lies])
        assert not (phone.tmp / "lutbench/artifacts/other").exists()
        assert agent.connection.run(f"ls {ROOT}/incoming").status != 0
