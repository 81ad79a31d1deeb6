"""The table of commands in docs/how-to/android.md is what the agent sends, and AOSP's lists agree on releases."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.android import find, opening, process
from lutbench.device_agents.android.connection import Connection
from lutbench.device_agents.android.find import Attached, Wanted, state_of
from lutbench.device_agents.android.install import install_files
from lutbench.device_agents.android.opening import clean_phone, open_phone
from lutbench.device_agents.android.process import RunnerProcess
from lutbench.device_agents.remote.stored import StoredFile
from lutbench.device_agents.runner.bundle import Bundle
from lutbench.files import file_sha256
from tests.device_agents.android.commands import programs
from tests.device_agents.android.local_phone import LocalLink
from tests.phone.userlands import RELEASES, USERLANDS

PAGE = Path(__file__).parents[3] / "docs/how-to/android.md"
_ROW = re.compile(r"^\| `([a-z0-9_`, ]+)` \|[^|]*\| (\d+|always) \|", re.MULTILINE)


def table() -> dict[str, str]:
    """Command -> the release since which it is there."""
    rows = _ROW.findall(PAGE.read_text())
    return {name: since for names, since in rows for name in re.findall(r"\w+", names)}


@pytest.fixture(params=[RELEASES[0], RELEASES[-1]])
def link(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalLink:
    link = LocalLink(tmp_path / "phone", request.param)
    recorded = tmp_path / "phone/recorded"
    (recorded / "fixed_performance").touch()
    power = recorded / "dumpsys_power"  # asleep: it has to be woken
    power.write_text(power.read_text().replace("mWakefulness=Awake", "mWakefulness=Asleep"))
    bundle = Bundle(tmp_path, "t", "abi", "", "0", {"onnx": "onnxruntime 1"}, {"onnx": ["run"]}, {}, ())
    monkeypatch.setattr(opening, "connect", lambda *_words: Connection(link, "phone", reconnect_s=0.0))
    monkeypatch.setattr(opening, "_usual_bundle", lambda *_about: bundle)
    monkeypatch.setattr(process, "_END_GRACE_S", 0.2)
    monkeypatch.setattr(find, "_usb_link", lambda *_words: link)
    return link


def use_everything(folder: Path, fixed: bool) -> None:
    """Asks a phone whatever the agent does, two jobs among it: one that ends, and one that hangs.

    fixed: fixed performance mode, too.
    """
    assert state_of(Attached("A", "device", "usb"), folder)[0] == "device"
    (folder / "file").write_text("x")
    file = StoredFile(folder / "file", "artifacts/x", file_sha256(folder / "file"), 1)
    settings = AgentSettings("onnx", "int8", 1, "all", fixed_performance=fixed, heat_wait=False)
    with open_phone(Wanted("phone"), folder, settings) as agent:
        agent.describe()
        assert install_files(agent.connection, [file]) == 1
        agent._watch.wait()
        stands = (
            'if [ $1 = --await ]; then read -r s < ${2%/*}/status; [ "$s" ] && echo "1 0 $s" || echo "0 0 -"; exit; fi'
        )
        for script, silence_s in ((f"{stands}\nexit 5", 20.0), (f"{stands}\nsleep 20", 0.0)):
            runner = RunnerProcess(agent.connection, agent._lock)
            runner.start(b"{}", ["sh", "-c", script, "x"])
            *_, last = runner.follow(lambda silence_s=silence_s: silence_s)  # type: ignore[misc]
            assert last.status == (5 if silence_s else None)
    assert clean_phone(Wanted("phone"), folder) > 0


def test_every_command_that_is_sent_stands_in_the_table(link: LocalLink, tmp_path: Path) -> None:
    newest = link.release == RELEASES[-1]
    use_everything(tmp_path, fixed=newest)
    sent = set[str]().union(*map(programs, link.commands))
    sent -= {"sleep"}  # the job of this test's
    assert sent == set(table()) - (set() if newest else {"cmd"})  # fixed performance mode came with Android 11


@pytest.mark.parametrize("release", RELEASES)
def test_the_table_says_since_which_release(release: str) -> None:
    for name, since in table().items():
        there = since == "always" or int(since) <= int(release)
        assert there == (name in USERLANDS[release].commands), f"{name} on Android {release}"


def test_programs_of_a_script() -> None:
    script = (
        "cd /x || exit 1\n[ -e a ] && kill -9 -$pid 2>/dev/null; owner=$(cat lock/owner)\n"
        "echo $(( $(date +%s) - made )) \"$(stat -c %Y 'it; rm')\" | grep -q x\n"
        "for tool in sha256sum md5sum; do command -v $tool; done\n$tool $(ls)\n"
        "setsid nohup sh -c 'date > began; ./run --job 1 > log' x </dev/null &\nif mkdir lock; then rm -rf a; fi"
    )
    assert programs(script) == {
        "cat", "date", "stat", "grep", "sha256sum", "md5sum", "ls", "setsid", "nohup", "sh", "mkdir", "rm",
    }  # fmt: skip
