"""Files on a phone whose commands are those of an Android release."""

from __future__ import annotations

import hashlib
import io
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lutbench.device_agents.android import install
from lutbench.device_agents.android.connection import Connection
from lutbench.device_agents.android.install import clean, install_files
from lutbench.device_agents.remote.stored import StoredFile
from lutbench.errors import DeviceError
from tests.device_agents.android.local_phone import LocalLink
from tests.phone.userlands import RELEASES


@pytest.fixture(params=RELEASES)
def link(request: pytest.FixtureRequest, tmp_path: Path) -> LocalLink:
    return LocalLink(tmp_path / "phone", request.param)


@pytest.fixture
def files(tmp_path: Path) -> list[StoredFile]:
    """More than one group's; a name that is a shell's trap."""
    made = []
    for number in range(60):
        path = tmp_path / f"$(x) {number}.onnx"
        path.write_bytes(random.Random(number).randbytes(2000))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        made.append(StoredFile(path, f"artifacts/{digest}.onnx", digest, 2000))
    return made


def stored(link: LocalLink) -> dict[str, str]:
    """Path -> hash of everything that is on the phone."""
    root = link.tmp / "lutbench"
    found = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def test_files_arrive_on_every_release(link: LocalLink, files: list[StoredFile]) -> None:
    """Android 7 to 9: tar ends with 1 where an owner may not be given; 7: no sha256sum; old servers: short commands."""
    connection = Connection(link, "phone", reconnect_s=0.0)
    assert install_files(connection, files) == 60
    assert stored(link) == {file.place: file.sha256 for file in files}
    assert install_files(connection, files) == 0
    assert clean(connection) > 0 and not (link.tmp / "lutbench").exists()


def test_archives_belong_to_the_user_who_unpacks_them(link: LocalLink, files: list[StoredFile]) -> None:
    """To the shell's user, 2000: no release's tar has an owner to give, and none complains."""
    pushed: list[bytes] = []
    push = link.push
    link.push = lambda data, path: (pushed.append(data), push(data, path))  # type: ignore[method-assign, assignment]
    install_files(Connection(link, "phone", reconnect_s=0.0), files[:3])
    with tarfile.open(fileobj=io.BytesIO(pushed[0])) as archive:
        owners = {(member.uid, member.gid) for member in archive}
    assert owners == {(2000, 2000)}


def test_other_bytes_are_noticed_on_every_release(
    link: LocalLink, files: list[StoredFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    push = link.push

    def damaged(data: bytes, path: str) -> None:
        at = data.index(files[7].path.read_bytes()[:100]) + 50
        push(data[:at] + b"!!!!" + data[at + 4 :], path)

    monkeypatch.setattr(link, "push", damaged)
    with pytest.raises(DeviceError, match=r"does not store what is sent: \$\(x\) 7.onnx arrived as other bytes"):
        install_files(Connection(link, "phone", reconnect_s=0.0), files[:10])
    assert stored(link) == {}


def test_a_file_that_changed_here_is_noticed_by_any_hash(link: LocalLink, files: list[StoredFile]) -> None:
    files[3].path.write_bytes(b"x" * 2000)
    with pytest.raises(DeviceError, match=r"3.onnx arrived as other bytes"):
        install_files(Connection(link, "phone", reconnect_s=0.0), files[:5])


def test_hashes_are_trusted_and_not_tars_status(
    files: list[StoredFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shell is another user than the archive's, as on some makers' phones: tar complains, the files are there."""
    monkeypatch.setattr(install, "_SHELL_USER", 1234)
    link = LocalLink(tmp_path / "phone", "8", user=2000)
    connection = Connection(link, "phone", reconnect_s=0.0)
    assert install_files(connection, files[:5]) == 5
    assert len(stored(link)) == 5


def test_an_archive_that_tar_refuses_says_why(
    files: list[StoredFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "_archive", lambda _group: b"junk" * 200)
    link = LocalLink(tmp_path / "phone", "13")
    with pytest.raises(DeviceError, match=r"(?s)does not store what is sent: .*tar"):
        install_files(Connection(link, "phone", reconnect_s=0.0), files[:5])


def test_a_phone_without_any_hash_is_one_line(
    files: list[StoredFile], tmp_path: Path, without: Callable[..., LocalLink]
) -> None:
    link = without(tmp_path / "phone", "sha256sum", "sha1sum", "md5sum")
    with pytest.raises(DeviceError, match="not found"):
        install_files(Connection(link, "phone", reconnect_s=0.0), files[:2])


@pytest.mark.parametrize(
    ("missing", "used"), [((), "sha256sum"), (("sha256sum",), "sha1sum"), (("sha256sum", "sha1sum"), "md5sum")]
)
def test_the_best_hash_that_the_phone_has_is_used(
    missing: tuple[str, ...], used: str, files: list[StoredFile], tmp_path: Path, without: Callable[..., LocalLink]
) -> None:
    link = without(tmp_path / "phone", *missing)
    assert install_files(Connection(link, "phone", reconnect_s=0.0), files[:2]) == 2
    assert f"hashed by {used}" in link.printed


@pytest.fixture
def without() -> Callable[..., LocalLink]:
    def make(folder: Path, *missing: str) -> LocalLink:
        link = LocalLink(folder, "13")
        for name in missing:
            (folder / "bin" / name).unlink()
        return link

    return make
