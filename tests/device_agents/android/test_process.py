"""The runner's process on the phone: a phone that is this machine's shell, a runner that is a script."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lutbench.device_agents.android.connection import Connection
from lutbench.device_agents.android.install import ROOT
from lutbench.device_agents.android.lock import PhoneLock
from lutbench.device_agents.android.process import RunnerProcess
from lutbench.device_agents.remote.process import Look
from lutbench.errors import DeviceError
from tests.device_agents.android.local_phone import LocalLink

# takes jobs as --jobs does, and waits as --await does: half of a job's records come at once, the others when they were
# waited for a second time
_RUNNER = """#!/bin/sh
PATH=/usr/bin:/bin
half() { head -c 20000 /dev/zero | tr '\\0' x | fold -w 99; echo; }
look() {
  [ -e "$1" ] && done=0 || done=1
  echo "0 $done -"
  for from; do :; done
  tail -c +$((from + 1)) "${1%.json}.jsonl" 2>/dev/null
  exit 0
}
if [ "$1" = --await ]; then
  shift
  echo "$@" >> $(dirname "$1")/waits
  [ $(wc -l < $(dirname "$1")/waits) -lt $MOST ] || touch "$1.go"
  n=0
  while [ -e "$1" ] && [ $n -lt 600 ]; do
    size=$(wc -c < "${1%.json}.jsonl" 2>/dev/null || echo 0)
    [ "$4" = --bytes ] && [ "$size" -ge "$5" ] && look "$@"
    n=$((n + 1)); sleep 0.05
  done
  look "$@"
fi
cd "$2" || exit 1
for n in 1 2 3; do
  until [ -e $n.json ]; do [ -e pid ] || exit 0; sleep 0.02; done
  half > $n.jsonl
  [ $n = 1 ] || until [ -e $n.json.go ]; do [ -e pid ] || exit 0; sleep 0.02; done
  half >> $n.jsonl
  rm $n.json
done
"""


@pytest.fixture
def process(tmp_path: Path) -> Iterator[RunnerProcess]:
    link = LocalLink(tmp_path / "phone", "9")
    (link.tmp / "lutbench").mkdir()
    connection = Connection(link, "phone", reconnect_s=0.0)
    lock = PhoneLock(connection, ROOT, "host")
    lock.acquire()
    yield RunnerProcess(connection, lock)
    for pid in (tmp_path / "phone/tmp/lutbench/jobs").glob("*/pid"):
        pid.unlink()  # without which the script ends


def test_most_records_are_read_while_the_rest_is_measured(process: RunnerProcess, tmp_path: Path) -> None:
    """The second job's second half comes only after a second look: the first one has to end before the job does."""
    runner = tmp_path / "runner"
    runner.write_text(_RUNNER.replace("$MOST", "3"))
    runner.chmod(0o755)
    process.start(b"{}\n", [str(runner)])
    first = list(process.follow(lambda: 20.0))
    assert [look.done for look in first] == [True]
    size = sum(len(line) + 1 for line in first[0].lines)
    assert size > 40_000
    process.start(b"{}\n", [str(runner)])
    process._job.early = size // 2 - 200  # as the first half is; a job is looked at when most of its records are there
    looks = list(process.follow(lambda: 20.0))
    assert [look.done for look in looks] == [False, True]
    assert sum(len(line) + 1 for look in looks for line in look.lines) == size
    waits = (Path(str(runner.parent)) / "phone/tmp/lutbench/jobs" / process._name / "waits").read_text().splitlines()
    assert ["--bytes" in line for line in waits] == [False, True, False]


def test_how_early_a_job_is_looked_at_is_known_by_the_last_one(process: RunnerProcess, tmp_path: Path) -> None:
    runner = tmp_path / "runner"
    runner.write_text(_RUNNER.replace("$MOST", "1"))
    runner.chmod(0o755)
    assert "--bytes" not in process._waiting(0.5)
    process.start(b"{}\n", [str(runner)])
    assert "--bytes" not in process._waiting(0.5)
    (look,) = process.follow(lambda: 20.0)
    process.start(b"{}\n", [str(runner)])
    assert process._waiting(0.5)[4:6] == ["--bytes", str(round(0.5 * process_bytes(look.lines)))]
    process._job.offset = 1 << 20  # more has come than that
    assert "--bytes" not in process._waiting(0.5)


def process_bytes(lines: tuple[bytes, ...]) -> int:
    return sum(len(line) + 1 for line in lines)


def test_a_renewed_process_is_another_one(process: RunnerProcess, tmp_path: Path) -> None:
    """Its memory lies elsewhere, which moves some operators' times; the one before it has ended."""
    runner = tmp_path / "runner"
    runner.write_text(_RUNNER.replace("$MOST", "1"))
    runner.chmod(0o755)
    pids = []
    for _ in range(2):
        process.start(b"{}\n", [str(runner)])
        assert list(process.follow(lambda: 20.0))[-1].done
        pids.append(int((tmp_path / "phone/tmp/lutbench/jobs" / process._name / "pid").read_text()))
        process.renew()
    assert pids[0] != pids[1]
    assert len(list((tmp_path / "phone/tmp/lutbench/jobs").iterdir())) == 1
    stat = Path(f"/proc/{pids[0]}/stat")
    assert not stat.exists() or stat.read_text().rpartition(") ")[2][0] == "Z"


def test_a_job_given_behind_another_begins_by_itself(process: RunnerProcess, tmp_path: Path) -> None:
    """One process does both; the second begins before anybody has looked at what came of the first."""
    runner = scripted(tmp_path)
    process.start(b"{}\n", [str(runner)])
    process.start_behind(b"{}\n")
    (folder,) = (tmp_path / "phone/tmp/lutbench/jobs").iterdir()
    assert sorted(path.name for path in folder.glob("*.json")) == ["1.json", "2.json"]
    assert list(process.follow(lambda: 20.0))[-1].done
    second = folder / "2.jsonl"
    until = time.monotonic() + 20.0
    while not second.exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert second.exists() and process.go_on() and not process.go_on()
    assert list(process.follow(lambda: 20.0))[-1].done
    assert process.job_file.endswith("2.json")


def test_a_job_given_behind_another_has_a_new_process_where_that_is_asked_for(
    process: RunnerProcess, tmp_path: Path
) -> None:
    """It is started once the first job has ended, and not before: two at once would disturb each other."""
    runner = scripted(tmp_path)
    process.start(b"{}\n", [str(runner)])
    jobs = tmp_path / "phone/tmp/lutbench/jobs"
    (first,) = jobs.iterdir()
    process.renew()
    process.start_behind(b"{}\n")
    (second,) = set(jobs.iterdir()) - {first}
    assert not (second / "started").exists()
    looks = list(process.follow(lambda: 20.0))
    assert looks[-1].done and (second / "started").exists() and not first.exists()
    assert process.go_on()
    more = list(process.follow(lambda: 20.0))
    assert more[-1].done and lines_of(looks) == lines_of(more) != []


def test_what_was_given_behind_a_job_that_is_taken_up_again_is_dropped(process: RunnerProcess, tmp_path: Path) -> None:
    runner = scripted(tmp_path)
    process.start(b"{}\n", [str(runner)])
    process.start_behind(b"{}\n")
    assert list(process.follow(lambda: 20.0))[-1].done
    jobs = tmp_path / "phone/tmp/lutbench/jobs"
    (first,) = jobs.iterdir()
    process.start(b"{}\n", [str(runner)])
    assert not process.go_on() and not first.exists()
    assert list(process.follow(lambda: 20.0))[-1].done and process.job_file.endswith("1.json")


def test_what_was_given_behind_a_job_whose_process_has_gone_is_not_there(
    process: RunnerProcess, tmp_path: Path
) -> None:
    runner = tmp_path / "runner"
    runner.write_text('#!/bin/sh\n[ "$1" = --await ] && echo "1 0 1"\nexit 1\n')
    runner.chmod(0o755)
    process.start(b"{}\n", [str(runner)])
    process.start_behind(b"{}\n")
    look = list(process.follow(lambda: 20.0))[-1]
    assert look.gone and not look.done and not process.go_on()


def test_a_process_that_cannot_be_started_behind_a_job_does_not_cost_its_records(
    process: RunnerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = scripted(tmp_path)
    process.start(b"{}\n", [str(runner)])
    process.renew()
    process.start_behind(b"{}\n")

    def gone(_job: object) -> None:
        raise DeviceError("the phone does not answer any more")

    monkeypatch.setattr(process, "_launch", gone)
    looks = list(process.follow(lambda: 20.0))
    assert looks[-1].done and lines_of(looks) and not process.go_on()


def test_a_connection_that_broke_since_a_job_was_given_is_known(process: RunnerProcess, tmp_path: Path) -> None:
    """By the job: what was given behind it, after the connection was back, did not lose it."""
    runner = scripted(tmp_path)
    process.start(b"{}\n", [str(runner)])
    assert not process.link_lost
    link = process._connection._link
    assert isinstance(link, LocalLink)
    link.lose = 1
    process._connection._persistence._reconnect_s = 20.0
    assert list(process.follow(lambda: 20.0))[-1].done
    assert process.link_lost
    process.start_behind(b"{}\n")
    assert process.link_lost and process.go_on() and not process.link_lost


def scripted(tmp_path: Path) -> Path:
    """A runner whose jobs end when they are waited for."""
    runner = tmp_path / "runner"
    runner.write_text(_RUNNER.replace("$MOST", "1"))
    runner.chmod(0o755)
    return runner


def lines_of(looks: list[Look]) -> list[bytes]:
    return [line for look in looks for line in look.lines]
