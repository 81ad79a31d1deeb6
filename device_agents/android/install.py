"""Files on the phone by their content's hash, in lutbench's own folder: what is there is not sent again.

Many files travel as one archive, are unpacked aside, and take their place once the phone has hashed what it stored.
"""

from __future__ import annotations

import hashlib
import io
import secrets
import tarfile
from collections.abc import Iterable, Iterator, Sequence

from lutbench.device_agents.android.connection import Connection
from lutbench.device_agents.remote.link import PushError
from lutbench.device_agents.remote.stored import StoredFile
from lutbench.errors import DeviceError
from lutbench.reading.numbers import whole
from lutbench.reading.plain import show

ROOT = "/data/local/tmp/lutbench"
ARCHIVE_BYTES = 64 << 20  # of one push: the phone holds the archive and its content at once for a moment
_ARCHIVE_FILES = 200  # of one push: the phone hashes them in one command
_SHELL_USER = 2000  # Android's number of the user that adb's shell is
_PLACE = "place"  # the archive's member that says where the others belong, as a script
_HASH_TOOLS = ("sha256sum", "sha1sum", "md5sum")  # the first that the phone has: Android 7 has no sha256sum
_ATTEMPTS = 3
_ALGORITHMS = ("sha256", "sha1", "md5")
_HASH_TIMEOUT_S = 180.0
_SPARE_BYTES = 4 << 20  # for jobs and their records


def install_files(connection: Connection, files: Sequence[StoredFile]) -> int:
    """Brings the missing ones to the phone; how many those were. DeviceError where it cannot hold them."""
    missing = _missing(connection, files)
    for group in _groups(missing):
        _install_group(connection, group)
    return len(missing)


def clean(connection: Connection) -> int:
    """Removes everything that lutbench keeps on the phone; bytes that this freed."""
    text = connection.run(f"[ -d {ROOT} ] && du -sk {ROOT}", timeout_s=_HASH_TIMEOUT_S).text
    connection.check(f"rm -rf {ROOT}", timeout_s=_HASH_TIMEOUT_S)
    return 1024 * (whole(text.split()[0]) or 0) if text.strip() else 0


def free_bytes(connection: Connection) -> int | None:
    """Left where lutbench's folder lies; None where df does not say."""
    lines = connection.run(f"mkdir -p {ROOT}; df -k {ROOT}").text.splitlines()
    words = lines[-1].split() if lines else []
    kib = whole(words[3]) if len(words) >= 4 else None
    return None if kib is None else 1024 * kib


def check_space(connection: Connection, needed_bytes: int, otherwise: str = "") -> None:
    """DeviceError where the phone has less space left than that; with otherwise, also where it has enough."""
    free = free_bytes(connection)
    if free is not None and free < needed_bytes:
        raise DeviceError(
            f"/data/local/tmp is full: {needed_bytes / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are left",
            device=connection.label,
            remedy="delete something on the phone, or what lutbench keeps there: lutbench devices --clean NAME",
        )
    if otherwise:
        raise DeviceError(otherwise, device=connection.label)


def _missing(connection: Connection, files: Sequence[StoredFile]) -> list[StoredFile]:
    listing = connection.check(f"mkdir -p {ROOT} && cd {ROOT} && find . -type f", timeout_s=60.0).text
    there = {line.removeprefix("./") for line in listing.splitlines()}
    return [file for file in {file.place: file for file in files}.values() if file.place not in there]


def _groups(files: Iterable[StoredFile]) -> Iterator[list[StoredFile]]:
    group: list[StoredFile] = []
    size = 0
    for file in files:
        if group and (size + file.size > ARCHIVE_BYTES or len(group) == _ARCHIVE_FILES):
            yield group
            group, size = [], 0
        group.append(file)
        size += file.size
    if group:
        yield group


def _install_group(connection: Connection, group: Sequence[StoredFile]) -> None:
    size = sum(file.size for file in group)
    check_space(connection, 2 * size + _SPARE_BYTES)
    problem = ""
    for _ in range(_ATTEMPTS):
        aside = f"incoming/{secrets.token_hex(8)}"
        try:
            connection.check(f"cd {ROOT} && rm -rf incoming && mkdir -p {aside}")
            connection.push(_archive(group), f"{ROOT}/{aside}.tar")
            problem = _unpack(connection, group, aside)
            if not problem:
                return
        except PushError as error:
            problem = str(error)
        finally:
            connection.run(f"rm -rf {ROOT}/incoming", timeout_s=60.0)
        check_space(connection, 2 * size + _SPARE_BYTES)
    raise DeviceError(f"the phone does not store what is sent: {problem}", device=connection.label)


def _archive(group: Sequence[StoredFile]) -> bytes:
    """A tar file whose members are numbers, for names never reach the phone's shell, and the script of their places.

    They belong to the user that unpacks them: up to Android 9, tar fails where it cannot give a file its owner.
    """
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        contents = (*((str(n), file.path.read_bytes()) for n, file in enumerate(group)), (_PLACE, _placing(group)))
        for name, data in contents:
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o755
            member.uid = member.gid = _SHELL_USER
            archive.addfile(member, io.BytesIO(data))
    return target.getvalue()


def _placing(group: Sequence[StoredFile]) -> bytes:
    """A script, for it would be too long for one command: old adb servers take 4,096 bytes. It runs in incoming/*."""
    folders = sorted({file.place.rpartition("/")[0] for file in group})
    # one that is gone was moved by the same script, before the connection broke
    moves = [f"{{ [ ! -e {n} ] || mv -f {n} ../../{file.place}; }}" for n, file in enumerate(group)]
    return " &&\n".join([*(f"mkdir -p ../../{folder}" for folder in folders), *moves]).encode() + b"\n"


def _unpack(connection: Connection, group: Sequence[StoredFile], aside: str) -> str:
    """Unpacks, hashes, and moves the files to their places; what was wrong, or "".

    Only the hashes say whether everything is there: tar's status is also about owners and times.
    """
    answer = connection.run(
        f"cd {ROOT}/{aside} || exit 1\ntar xf ../{aside.rpartition('/')[2]}.tar\n"
        f"for tool in {' '.join(_HASH_TOOLS)}; do command -v $tool >/dev/null && break; done\n"
        "echo hashed by $tool\n$tool $(ls)",
        timeout_s=_HASH_TIMEOUT_S,
    )
    said, _, hashed = answer.text.rpartition("hashed by ")
    tool, _, listing = hashed.partition("\n")
    found = {words[1]: words[0] for line in listing.splitlines() if len(words := line.split()) == 2}
    if not found:
        return answer.text[-200:]
    algorithm = tool.strip().removesuffix("sum")
    if algorithm not in _ALGORITHMS:
        return f"it hashed by {show(tool)}"
    expected = {str(number): _digest(file, algorithm) for number, file in enumerate(group)}
    expected[_PLACE] = hashlib.new(algorithm, _placing(group), usedforsecurity=False).hexdigest()
    for name, digest in expected.items():
        if found.get(name) != digest:
            what = group[int(name)].path.name if name != _PLACE else "the list of places"
            return f"{what} arrived as other bytes {said.strip()[-150:]}".rstrip()
    answer = connection.run(f"cd {ROOT}/{aside} && sh ./{_PLACE}", timeout_s=60.0)
    return answer.text[-200:] if answer.status else ""


def _digest(file: StoredFile, algorithm: str) -> str:
    """Of what the file has to hold; "" where this machine's copy is not that any more."""
    if algorithm == "sha256":
        return file.sha256
    data = file.path.read_bytes()
    if hashlib.sha256(data).hexdigest() != file.sha256:
        return ""
    return hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()
