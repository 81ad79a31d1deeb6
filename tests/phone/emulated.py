"""The emulated phone, and the native one: builds them once, starts and stops them, injects what goes wrong with phones.

Its adbd listens inside a network namespace of its own. A relay in this process brings each connection there, counts
the bytes and cuts connections when told to.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import os
import platform
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).parent
REQUIRE_VARIABLE = "LUTBENCH_REQUIRE_PHONE"  # set: a machine without the emulator fails instead of skipping
ADB_PORT = 5555  # inside the phone's namespace
_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_AARCH64 = rb":qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:" \
    rb"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:"  # fmt: skip
_START_S = 30.0
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1


class NoPhoneError(Exception):
    """This machine cannot run the emulated phone, and why."""


def built_phone(architecture: str = "arm64") -> Path:
    """The folder of the built phone, shared by every test run of this machine; NoPhoneError where it cannot be made.

    architecture: arm64, which is emulated, or amd64, which runs at this machine's own speed.
    """
    if os.geteuid() != 0:
        raise NoPhoneError("the phone needs root")
    if architecture == "amd64" and platform.machine() != "x86_64":
        raise NoPhoneError(f"a phone for amd64 does not run natively on {platform.machine()}")
    for tool in ("unshare", "apt-get", "dpkg-deb", "ip"):
        if shutil.which(tool) is None:
            raise NoPhoneError(f"the phone needs {tool}")
    made_by = (HERE / "make_phone.sh", *sorted((HERE / "bin").iterdir()))
    content = b"".join(path.read_bytes() for path in made_by)
    digest = hashlib.sha256(content + architecture.encode()).hexdigest()
    folder = Path(tempfile.gettempdir()) / f"lutbench-phone-{digest[:16]}"
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            command = ["bash", HERE / "make_phone.sh", part, architecture]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise NoPhoneError(f"make_phone.sh failed: {done.stderr[-400:]}")
            part.rename(folder)
        if architecture == "arm64":
            _register(folder / "qemu-aarch64")
    return folder


def _register(emulator: Path) -> None:
    """Lets the kernel start aarch64 programs through the emulator."""
    if not (_BINFMT / "register").exists():
        command = ["mount", "-t", "binfmt_misc", "binfmt_misc", _BINFMT]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoPhoneError(f"binfmt_misc cannot be mounted: {done.stderr.strip()}")
    if not (_BINFMT / "qemu-aarch64").exists():
        try:
            (_BINFMT / "register").write_bytes(_AARCH64 + bytes(emulator) + b":F")
        except OSError as error:
            raise NoPhoneError(f"the emulator cannot be registered: {error}") from error


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Phone:
    """A running phone. address: HOST:PORT at which its adbd answers. userland: a folder that write_userland made."""

    def __init__(self, folder: Path, megabytes: int = 512, userland: Path | None = None) -> None:
        inner = ["bash", str(HERE / "up_phone.sh"), str(folder), str(ADB_PORT), str(megabytes), str(userland or "")]
        self._process = subprocess.Popen(
            ["unshare", "--kill-child", "-m", "-u", "-n", "-p", "-f", *inner],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=_end_with_parent,
        )
        self._folder = folder
        self._init = self._wait_for_init()
        self.relay = Relay(self._init)
        try:
            self._wait_for_adbd()
        except NoPhoneError:
            self.close()
            raise

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.relay.port}"

    @property
    def root(self) -> Path:
        """Its file system, as its own processes see it."""
        return Path(f"/proc/{self._init}/root{self._folder}/root")

    @property
    def tmp(self) -> Path:
        return self.root / "data/local/tmp"

    def close(self) -> None:
        self.relay.close()
        self._process.kill()  # the namespace's first process goes with it, and every other with that
        self._process.wait()
        if self._process.stderr:
            self._process.stderr.close()

    def kill_adbd(self, back_after_s: float | None, with_all_it_started: str = "") -> None:
        """Kills adbd; None keeps it away until `bring_adbd_back`.

        with_all_it_started: a word of their command lines. Android ends adbd's whole control group when USB debugging
        or the USB mode is switched.
        """
        self._write("dev/adbd_delay", "never" if back_after_s is None else str(back_after_s))
        started = self.processes(with_all_it_started) if with_all_it_started else []
        for pid in (self._outer_pid(int((self.root / "dev/adbd_pid").read_text())), *started):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def bring_adbd_back(self) -> None:
        self._write("dev/adbd_delay", "0")
        self._wait_for_adbd()

    @contextlib.contextmanager
    def network_down(self) -> Iterator[None]:
        """Packets to the phone are lost; connections stay open, as when a phone leaves the Wi-Fi's reach."""
        self._in_network("ip", "link", "set", "lo", "down")
        try:
            yield
        finally:
            self._in_network("ip", "link", "set", "lo", "up")

    def set_record(self, name: str, text: str) -> None:
        """What getprop or a dumpsys service answers from now on."""
        self._write(f"sys/recorded/{name}", text)

    def record(self, name: str) -> str:
        return (self.root / "sys/recorded" / name).read_text()

    def set_property(self, name: str, value: str) -> None:
        lines = [line for line in self.record("getprop").splitlines() if not line.startswith(f"[{name}]: ")]
        self.set_record("getprop", "\n".join([*lines, f"[{name}]: [{value}]"]) + "\n")

    def set_temperature(self, celsius: float, zone: int = 0) -> None:
        self._write(f"sys/class/thermal/thermal_zone{zone}/temp", str(round(celsius * 1000)))

    def processes(self, text: str) -> list[int]:
        """Outer process numbers of the phone's processes whose command line holds text."""
        found = []
        for pid in self._own_pids():
            with contextlib.suppress(OSError):
                if text.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found

    def _write(self, path: str, text: str) -> None:
        (self.root / path).write_text(text)

    def _own_pids(self) -> list[int]:
        namespace = Path(f"/proc/{self._init}/ns/pid").readlink()
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and (entry / "ns/pid").readlink() == namespace:
                    found.append(int(entry.name))
        return found

    def _outer_pid(self, inner: int) -> int:
        for pid in self._own_pids():
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text()
                if next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[-1] == str(inner):
                    return pid
        raise NoPhoneError(f"the phone has no process {inner}")

    def _in_network(self, *command: str) -> None:
        subprocess.run(["nsenter", "-t", str(self._init), "-n", *command], check=True, capture_output=True)

    def _wait_for_init(self) -> int:
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if child := children.read_text().split():
                    return int(child[0])
            if self._process.poll() is not None:
                break
            time.sleep(0.01)
        assert self._process.stderr is not None
        self._process.kill()
        raise NoPhoneError(f"the phone's namespaces cannot be made: {self._process.stderr.read().decode()[-300:]}")

    def _wait_for_adbd(self) -> None:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                assert self._process.stderr is not None
                raise NoPhoneError(f"the phone ended: {self._process.stderr.read().decode()[-300:]}")
            with contextlib.suppress(OSError):
                self.relay.connect().close()
                return
            time.sleep(0.05)
        raise NoPhoneError("adbd does not answer")


class Relay:
    """Listens here, and for every connection opens one inside the phone's network namespace.

    sent_bytes: towards the phone. cut_after_bytes: how many more it lets through before it cuts the connection, once;
    None: no limit.
    """

    def __init__(self, init: int, port: int = ADB_PORT) -> None:
        self._namespace = os.open(f"/proc/{init}/ns/net", os.O_RDONLY)
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.sent_bytes = 0
        self.cut_after_bytes: int | None = None
        self.greet: Callable[[socket.socket], bytes | None] | None = None  # stands before adbd: see auth_gate
        self._closed = False
        self._pairs: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        os.close(self._namespace)

    def cut(self) -> None:
        """Ends every connection there is."""
        for end in self._pairs:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._pairs = []

    def connect(self) -> socket.socket:
        """A connection to adbd itself. A thread of its own, for a namespace belongs to the thread that enters it."""
        found: list[socket.socket] = []
        failed: list[OSError] = []

        def inside() -> None:
            try:
                if ctypes.CDLL(None, use_errno=True).setns(self._namespace, _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
                found.append(socket.create_connection(("127.0.0.1", self._target), timeout=5))
            except OSError as error:
                failed.append(error)

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        found[0].settimeout(None)
        return found[0]

    def _accept(self) -> None:
        while not self._closed:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        try:
            first = self.greet(near) if self.greet else b""
            if first is None:
                near.close()
                return
            far = self.connect()
            far.sendall(first)
        except OSError:
            near.close()
            return
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pairs += [near, far]
        with contextlib.suppress(OSError):
            self._pump(near, far)
        for end in (near, far):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _pump(self, near: socket.socket, far: socket.socket) -> None:
        while True:
            readable, _, _ = select.select([near, far], [], [])
            for end in readable:
                data = end.recv(1 << 16)
                if not data:
                    return
                if end is near:
                    self.sent_bytes += len(data)
                    if self.cut_after_bytes is not None:
                        self.cut_after_bytes -= len(data)
                        if self.cut_after_bytes < 0:
                            self.cut_after_bytes = None
                            return
                (far if end is near else near).sendall(data)
