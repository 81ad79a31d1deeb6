"""What the agent does where a job ends in some way; the jobs are scripted, the phone is none."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lutbench.device_agents.agent import AgentSettings, Following
from lutbench.device_agents.android import agent as module
from lutbench.device_agents.android.agent import AndroidAgent
from lutbench.device_agents.android.connection import Connection
from lutbench.device_agents.android.describe import State
from lutbench.device_agents.android.lock import PhoneLock
from lutbench.device_agents.android.watch import PhoneWatch
from lutbench.device_agents.remote.agent import Patience
from lutbench.device_agents.remote.job_run import Ending
from lutbench.device_agents.remote.link import PushError
from lutbench.device_agents.runner.bundle import Bundle
from lutbench.device_agents.runner.job import RunnerJob
from lutbench.device_agents.runner.records import CycleRecord, FailedRecord, Fatal, LoadedRecord, Record
from lutbench.device_agents.runner.records import State as Reading
from lutbench.errors import DeviceError
from lutbench.export.artifact import Artifact
from lutbench.measure.protocol import Batch, Canary, Cycle, Failure, Outcome, Samples, Spent

NOTHING = Reading(0, {}, {})
DONE = Ending("")
BATCH = Batch(tuple(Cycle((name,), 0, 0, 1, "a") for name in "abc"), (Canary("a", "a", 1, 1.0),))

Script = Callable[[dict[str, Any]], tuple[Sequence[Record], Ending]]  # a job -> its records and how it ends


def measured(job: dict[str, Any], *skipped: str) -> list[Record]:
    """A record for each cycle of the job that has none of the names skipped."""
    return [
        CycleRecord(number, tuple((7,) for _ in names), (9,), NOTHING, NOTHING, 40)
        for number, (names, *_) in enumerate(job["cycles"])
        if not set(names) & set(skipped)
    ]


class ScriptedRun:
    wall_s = 1.0
    spent_ns = 5
    end = None

    def __init__(self, script: Script, job: RunnerJob) -> None:
        self._script = script
        self._job = job
        self.ending = DONE

    def records(self) -> Iterator[Record]:
        records, self.ending = self._script(json.loads(self._job.encoded()))
        yield from records


class NoConnection(Connection):
    """check_space asks for what is left; everything else finds nothing."""

    def __init__(self) -> None:
        super().__init__(None, "phone")  # type: ignore[arg-type]


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Callable[..., AndroidAgent]:
    """Makes an agent whose jobs follow a script; loaded: what it has installed. Its list `jobs` keeps them."""

    def make(script: Script, loaded: str = "abc") -> AndroidAgent:
        bundle = Bundle(Path("b"), "t", "abi", "", "0", {"onnx": "onnxruntime 1"}, {"onnx": ["run"]}, {"onnx": "l"}, ())
        settings = AgentSettings("onnx", "int8", 1, "big")
        lock = PhoneLock(NoConnection(), "root", "host")
        watch = PhoneWatch(NoConnection(), settings.report, State({}), [0])
        made = AndroidAgent(
            NoConnection(), lock, bundle, settings, watch, Patience(), ExitStack()  # type: ignore[arg-type]
        )  # fmt: skip
        made.jobs = []  # type: ignore[attr-defined]

        def kept(job: dict[str, Any]) -> tuple[Sequence[Record], Ending]:
            made.jobs.append(job)  # type: ignore[attr-defined]
            return script(job)

        monkeypatch.setattr(made._process, "start", lambda _job, _command: None)
        monkeypatch.setattr(made, "_job_run", lambda job, _limit_s: ScriptedRun(kept, job))
        monkeypatch.setattr(made._watch, "wait", lambda: None)
        made._artifacts = {name: artifact(name) for name in loaded}
        return made

    return make


def artifact(name: str) -> Artifact:
    return Artifact(name, "onnx", "int8", Path(f"{name}.onnx"), f"{ord(name):064x}", 1, 0.0)


def names_of(outcomes: list[Outcome]) -> list[str]:
    return [outcome.artifact for outcome in outcomes if isinstance(outcome, Samples)]


def test_what_a_dead_runner_left_is_measured_by_the_next_one(agent: Callable[..., AndroidAgent]) -> None:
    endings = iter([Ending("the runner was ended by signal 9"), DONE])

    def script(job: dict[str, Any]) -> tuple[Sequence[Record], Ending]:
        ending = next(endings)
        return measured(job)[:1] if ending.why else measured(job), ending

    made = agent(script)
    outcomes = list(made.measure(BATCH))
    assert names_of(outcomes) == ["a", "b", "c"]  # each once
    assert [outcome for outcome in outcomes if isinstance(outcome, Failure)] == []
    assert [[names for names, *_ in job["cycles"]] for job in made.jobs] == [[["a"], ["b"], ["c"]], [["b"], ["c"]]]  # type: ignore[attr-defined]


def test_the_artifact_of_which_the_runner_dies_alone_too_is_the_one_that_fails(
    agent: Callable[..., AndroidAgent],
) -> None:
    def script(job: dict[str, Any]) -> tuple[Sequence[Record], Ending]:
        names = [names for names, *_ in job["cycles"]]
        if ["b"] not in names:
            return measured(job), DONE
        ending = Ending("SIGSEGV while running b", "b", fatal=Fatal("SIGSEGV while running b", None, 11, "b"))
        return measured(job)[: names.index(["b"])], ending

    outcomes = list(agent(script).measure(BATCH))
    assert names_of(outcomes) == ["a", "c"]
    assert [o for o in outcomes if isinstance(o, Failure)] == [Failure("b", "SIGSEGV while running b")]


def test_an_artifact_that_a_dying_runner_names_by_chance_is_innocent(agent: Callable[..., AndroidAgent]) -> None:
    first = iter([True])

    def script(job: dict[str, Any]) -> tuple[Sequence[Record], Ending]:
        return ([], Ending("the runner hangs", "b")) if next(first, False) else (measured(job), DONE)

    outcomes = list(agent(script).measure(BATCH))
    assert names_of(outcomes) == ["a", "b", "c"] and not [o for o in outcomes if isinstance(o, Failure)]


def test_without_a_name_every_artifact_of_the_first_cycle_left_is_tried_alone(
    agent: Callable[..., AndroidAgent],
) -> None:
    def script(job: dict[str, Any]) -> tuple[Sequence[Record], Ending]:
        names = [names for names, *_ in job["cycles"]]
        return (measured(job)[: names.index(["b"])] if ["b"] in names else measured(job)), (
            Ending("the runner was ended by signal 9") if ["b"] in names else DONE
        )

    outcomes = list(agent(script).measure(BATCH))
    assert names_of(outcomes) == ["a", "c"]
    assert [o for o in outcomes if isinstance(o, Failure)] == [Failure("b", "the runner was ended by signal 9")]


def test_a_runner_that_dies_again_and_again_of_nothing_is_an_error(agent: Callable[..., AndroidAgent]) -> None:
    alone = lambda job: len(job["cycles"]) == 1 and job["cycles"][0][2] == 3  # noqa: E731

    def script(job: dict[str, Any]) -> tuple[Sequence[Record], Ending]:
        return (measured(job), DONE) if alone(job) else ([], Ending("the runner was ended"))

    with pytest.raises(DeviceError, match="the runner was ended, 3 times in a row"):
        list(agent(script).measure(BATCH))


def test_every_renewed_runner_loads_in_an_order_of_its_own(agent: Callable[..., AndroidAgent]) -> None:
    """In one that stays each process of a run has the same layout of memory, and all are off by the same."""
    names = "abcdefgh"
    batch = replace(BATCH, cycles=tuple(Cycle((name,), 0, 0, 1, "a") for name in names))

    def orders() -> list[tuple[str, ...]]:
        made = agent(lambda job: (measured(job), DONE), loaded=names)
        made._process.renew = lambda: None  # type: ignore[method-assign]
        for _ in range(4):
            list(made.measure(batch))
            made.renew(names)
        return [tuple(artifact["name"] for artifact in job["artifacts"]) for job in made.jobs]  # type: ignore[attr-defined]

    found = orders()
    assert all(sorted(order) == list(names) for order in found)
    assert len(set(found)) == len(found) and found == orders()


def test_damaged_records_are_measured_again_but_not_for_ever(agent: Callable[..., AndroidAgent]) -> None:
    tries = iter([1, 1, 0])

    def script(job: dict[str, Any]) -> tuple[Sequence[Record], Ending]:
        return (measured(job, "b"), Ending("", corrupt=1)) if next(tries, 1) else (measured(job), DONE)

    assert names_of(list(agent(script).measure(BATCH))) == ["a", "c", "b"]
    with pytest.raises(DeviceError, match="damaged time and again"):
        list(agent(lambda _job: ([], Ending("", corrupt=3))).measure(BATCH))


def on_cores(records: list[Record], **cores: tuple[int, ...]) -> list[Record]:
    """The records with what each cycle read back of its cores; cores: by the number of the cycle, c0 ..."""
    return [
        replace(record, cores=cores.get(f"c{record.cycle}", (0,))) if isinstance(record, CycleRecord) else record
        for record in records
    ]


def test_a_cycle_that_ran_on_another_core_is_measured_again(agent: Callable[..., AndroidAgent]) -> None:
    tries = iter([(0, 3), (0,)])
    made = agent(lambda job: (on_cores(measured(job), c1=next(tries)), DONE))
    assert names_of(list(made.measure(BATCH))) == ["a", "c", "b"]
    assert made._watch.seen()["cycles_on_other_cores"] == 1


def test_a_phone_that_never_runs_it_on_its_cores_is_an_error(agent: Callable[..., AndroidAgent]) -> None:
    made = agent(lambda job: (on_cores(measured(job), c0=(3,), c1=(3,), c2=(3,)), DONE))
    with pytest.raises(DeviceError, match="on its cores 3, not on 0"):
        list(made.measure(BATCH))


def test_an_artifact_that_fails_in_a_cycle_costs_itself(agent: Callable[..., AndroidAgent]) -> None:
    made = agent(lambda job: ([*measured(job, "b"), FailedRecord("b", "no memory", 1)], DONE))
    outcomes = list(made.measure(BATCH))
    assert names_of(outcomes) == ["a", "c"]
    assert [o for o in outcomes if isinstance(o, Failure)] == [Failure("b", "no memory")]
    assert len(made.jobs) == 1  # type: ignore[attr-defined]
    assert [o for o in outcomes if isinstance(o, Spent)] == [Spent(5)]


def test_a_canary_that_does_not_run_is_an_error(agent: Callable[..., AndroidAgent]) -> None:
    with pytest.raises(DeviceError, match="canary"):
        list(agent(lambda job: (measured(job), DONE), loaded="bc").measure(BATCH))


def test_a_refused_system_call_names_the_bundle_to_use(agent: Callable[..., AndroidAgent]) -> None:
    ending = Ending("the system refuses the call rseq", fatal=Fatal("...", 293, None, None), refused=True)
    with pytest.raises(DeviceError, match="rseq") as caught:
        list(agent(lambda _job: ([], ending)).measure(BATCH))
    assert "--ndk" in caught.value.remedy and "bundle =" in caught.value.remedy


def test_what_the_runner_itself_calls_fatal_is_an_error(agent: Callable[..., AndroidAgent]) -> None:
    ending = Ending("no such library", fatal=Fatal("no such library", None, None, None))
    with pytest.raises(DeviceError, match="no such library"):
        list(agent(lambda _job: ([], ending)).measure(BATCH))


def test_records_that_cannot_be_written_name_the_full_disk(
    agent: Callable[..., AndroidAgent], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_connection: Connection, _needed: int, otherwise: str = "") -> None:
        raise DeviceError("/data/local/tmp is full" + otherwise)

    monkeypatch.setattr(module, "check_space", full)
    with pytest.raises(DeviceError, match="is full"):
        list(agent(lambda _job: ([], Ending("status 3", unwritten=True))).measure(BATCH))


LOST = Ending("the runner was ended", "b", link_lost=True)


def test_an_artifact_is_innocent_of_a_death_that_came_with_a_lost_link(agent: Callable[..., AndroidAgent]) -> None:
    """adbd's end takes the job along, in mid-batch and when the suspect runs alone."""
    endings = iter([LOST, Ending("the runner was ended", "b"), LOST, DONE])

    def script(job: dict[str, Any]) -> tuple[Sequence[Record], Ending]:
        ending = next(endings)
        return ([] if ending.why else measured(job)), ending

    outcomes = list(agent(script).measure(BATCH))
    assert names_of(outcomes) == ["a", "b", "c"] and not [o for o in outcomes if isinstance(o, Failure)]


def test_a_link_that_takes_every_job_along_is_an_error(agent: Callable[..., AndroidAgent]) -> None:
    with pytest.raises(DeviceError, match="while the connection was lost, 3 times in a row") as caught:
        list(agent(lambda _job: ([], LOST)).measure(BATCH))
    assert "charging only" in caught.value.remedy
    with pytest.raises(DeviceError, match="while the connection was lost, 3 times in a row"):
        load(agent(lambda _job: ([], LOST), loaded=""))


HELD = Ending("the phone is hot", "b", fatal=Fatal("the phone is hot", None, None, None, held=True), held=True)


def test_an_artifact_is_innocent_of_a_device_that_became_hot(agent: Callable[..., AndroidAgent]) -> None:
    """In mid-batch, while the suspect of a death runs alone, and while it is loaded: it is waited for each time."""
    endings = iter([HELD, Ending("the runner was ended", "b"), HELD, HELD, DONE])

    def script(job: dict[str, Any]) -> tuple[Sequence[Record], Ending]:
        ending = next(endings)
        return ([] if ending.why else measured(job)), ending

    outcomes = list(agent(script).measure(BATCH))
    assert names_of(outcomes) == ["a", "b", "c"] and not [o for o in outcomes if isinstance(o, Failure)]
    endings = iter([HELD, HELD, HELD, DONE])
    waits: list[bool] = []

    def loads(job: dict[str, Any]) -> tuple[Sequence[Record], Ending]:
        ending = next(endings)
        return ([] if ending.why else loading(job)), ending

    made = agent(loads, loaded="")
    made._watch.wait = lambda: waits.append(True)  # type: ignore[method-assign]
    assert load(made) == [] and set(made._artifacts) == set("abc") and len(waits) == 3


def test_a_device_that_is_never_as_it_should_be_is_an_error(agent: Callable[..., AndroidAgent]) -> None:
    with pytest.raises(DeviceError, match="the phone is hot, 10 times in a row before anything was measured"):
        list(agent(lambda _job: ([], HELD)).measure(BATCH))


class Agreed:
    """A Reference that finds nothing wrong but with what is in its list."""

    def __init__(self, wrong: Sequence[str] = ()) -> None:
        self._wrong = wrong

    def wrong(self, given: Artifact, _output: object) -> str:
        return "other values" if given.name in self._wrong else ""


def loading(job: dict[str, Any], *skipped: str) -> list[Record]:
    return [LoadedRecord(a["name"], 1000, None) for a in job["artifacts"] if a["name"] not in skipped]


def load(made: AndroidAgent, wrong: Sequence[str] = ()) -> list[Failure]:
    return list(made._load({name: artifact(name) for name in "abc"}, Agreed(wrong)))  # type: ignore[arg-type]


def test_loading_goes_on_after_the_artifact_that_kills_it_twice(agent: Callable[..., AndroidAgent]) -> None:
    def script(job: dict[str, Any]) -> tuple[Sequence[Record], Ending]:
        names = [a["name"] for a in job["artifacts"]]
        if "b" not in names:
            return loading(job), DONE
        return loading(job)[: names.index("b")], Ending("the runner hangs", "b")

    made = agent(script, loaded="")
    assert load(made) == [Failure("b", "the runner hangs")]
    assert set(made._artifacts) == {"a", "c"}


def test_one_death_while_loading_is_no_ones_fault(agent: Callable[..., AndroidAgent]) -> None:
    first = iter([True])

    def script(job: dict[str, Any]) -> tuple[Sequence[Record], Ending]:
        return ([], Ending("the runner was ended", "a")) if next(first, False) else (loading(job), DONE)

    made = agent(script, loaded="")
    assert load(made) == [] and set(made._artifacts) == set("abc")


def test_two_deaths_with_a_lost_link_while_loading_are_no_ones_fault(agent: Callable[..., AndroidAgent]) -> None:
    endings = iter([LOST, LOST, DONE])

    def script(job: dict[str, Any]) -> tuple[Sequence[Record], Ending]:
        ending = next(endings)
        return ([] if ending.why else loading(job)), ending

    made = agent(script, loaded="")
    assert load(made) == [] and set(made._artifacts) == set("abc")


def test_refused_and_wrong_artifacts_fail_alone(agent: Callable[..., AndroidAgent]) -> None:
    made = agent(lambda job: ([*loading(job, "c"), FailedRecord("c", "no such operator", None)], DONE), loaded="")
    assert load(made, wrong="a") == [Failure("a", "other values"), Failure("c", "no such operator")]
    assert set(made._artifacts) == {"b"}


AFTER = replace(BATCH, cycles=(Cycle(("b",), 0, 0, 2, "a"), Cycle(("c",), 0, 0, 2, "a")))


def going_ahead(made: AndroidAgent, monkeypatch: pytest.MonkeyPatch, renewed: bool = False) -> list[str]:
    """Has an agent measure BATCH with AFTER behind it; what its process is told, in order. Jobs are numbered."""
    told: list[str] = []
    behind: list[str] = []

    def drop() -> None:
        behind.clear()

    monkeypatch.setattr(made._process, "start", lambda _job, _command: (drop(), told.append("start")))
    monkeypatch.setattr(made._process, "renew", lambda: (drop(), told.append("renew")))
    monkeypatch.setattr(made._process, "start_behind", lambda _job: (behind.append("b"), told.append("behind")))
    monkeypatch.setattr(made._process, "go_on", lambda: bool(behind) and bool(behind.pop()))
    monkeypatch.setattr(made._watch, "_look_at", math.inf)
    made.go_ahead(lambda: Following(AFTER, renewed))
    return told


def numbered(job: dict[str, Any]) -> list[Record]:
    """Samples that say how many cycles the job has."""
    return [
        CycleRecord(number, tuple((len(job["cycles"]),) * repeats for _ in names), (9,) * repeats, None, None, 40)
        for number, (names, _, repeats, _) in enumerate(job["cycles"])
    ]


@pytest.mark.parametrize("renewed", [False, True])
def test_what_follows_is_given_before_a_batch_is_measured(
    agent: Callable[..., AndroidAgent], monkeypatch: pytest.MonkeyPatch, renewed: bool
) -> None:
    made = agent(lambda job: (numbered(job), DONE))
    told = going_ahead(made, monkeypatch, renewed)
    batch = made.measure(BATCH)
    next(iter(batch))
    assert told == ["start", *["renew"] * renewed, "behind"]
    list(batch)
    samples = [found for found in made.measure(AFTER) if isinstance(found, Samples)]
    assert [(found.artifact, found.durations_ns) for found in samples] == [("b", (2, 2)), ("c", (2, 2))]
    assert told[-1] == "behind"  # nothing was given anew
    list(made.measure(BATCH))
    assert told[-1] == "start"  # one batch at a time is asked for


def test_what_was_given_behind_is_measured_in_its_turn_where_a_batch_is_taken_up_again(
    agent: Callable[..., AndroidAgent], monkeypatch: pytest.MonkeyPatch
) -> None:
    endings = iter([Ending("", corrupt=1)])

    def script(job: dict[str, Any]) -> tuple[Sequence[Record], Ending]:
        ending = next(endings, DONE) if len(job["cycles"]) == 3 else DONE
        return (numbered(job)[:1] if ending.corrupt else numbered(job)), ending

    made = agent(script)
    told = going_ahead(made, monkeypatch)
    assert names_of(list(made.measure(BATCH))) == ["a", "b", "c"]
    assert names_of(list(made.measure(AFTER))) == ["b", "c"]
    assert told == ["start", "behind", "start", "start"]


def test_nothing_is_given_ahead_of_a_look_at_the_phone(
    agent: Callable[..., AndroidAgent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A phone that was hot, moved what it ran to other cores, or was not looked at for long."""
    made = agent(lambda job: (numbered(job), DONE))
    told = going_ahead(made, monkeypatch)
    monkeypatch.setattr(made._watch, "_look_at", -1.0)
    list(made.measure(BATCH))
    list(made.measure(AFTER))
    assert told == ["start", "start"]


def test_a_full_phone_is_said_where_the_batch_has_its_turn(
    agent: Callable[..., AndroidAgent], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = agent(lambda job: (numbered(job), DONE))
    going_ahead(made, monkeypatch)

    def full(*_: object) -> None:
        raise PushError("no space left")

    monkeypatch.setattr(made._process, "start_behind", full)
    assert names_of(list(made.measure(BATCH))) == ["a", "b", "c"]
    monkeypatch.setattr(made._process, "start", full)
    monkeypatch.setattr(module, "check_space", lambda _connection, _bytes, otherwise="": raised(otherwise))
    with pytest.raises(DeviceError, match="no space left"):
        list(made.measure(AFTER))


def raised(problem: str) -> None:
    raise DeviceError(problem)
