"""A connection to the app: greeting, pairing where there is no cable, then a question and an answer at a time.

docs/reference/iphone-protocol.md describes what is said.
"""

from __future__ import annotations

import platform
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lutbench.device_agents.ios.frames import FrameError, Frames
from lutbench.device_agents.ios.pairing import Pairing, new_keys
from lutbench.device_agents.remote.link import LinkLostError
from lutbench.errors import DeviceError
from lutbench.reading.plain import show

PROTOCOL = 1
PORT = 50321  # on the phone's loopback
WIFI_PORT = 50322  # on its network, while that is switched on
ANSWER_TIMEOUT_S = 20.0
_TRANSFER_TIMEOUT_S = 120.0  # of one chunk or file
_LONGEST_WORDS = 300
OPEN_THE_APP = "unlock the iPhone and tap lutbench on it; it has to stay in front"
# a connection that the app had not looked at yet is broken where it switches its Wi-Fi off
SWITCH_WIFI_ON = "look whether its Wi-Fi is switched on in the app, which switches it off after five wrong codes"


class RefusedByAppError(Exception):
    """The app answers that it does not do what it was asked.

    code: one word of the protocol's.
    """

    def __init__(self, code: str, message: str, entry: dict[str, Any]) -> None:
        super().__init__(message)
        self.code = code
        self.entry = entry


@dataclass(frozen=True)
class Opened:
    """What the app says of the phone and of itself when it is opened."""

    app: str
    device: dict[str, Any]
    state: dict[str, Any]
    runtimes: dict[str, str]


class AppLink:
    """A connection to the app, by cable or network.

    reach: a fresh connection to its port; LinkLostError where there is none.
    session: of this run, the same at every connection: the app gives the phone to one at a time.
    code: pairs a connection that has no cable; None: by cable.
    heat_wait: whether the app refuses to measure while the phone is hot.
    """

    def __init__(
        self, reach: Callable[[], socket.socket], label: str, session: str, code: str | None, heat_wait: bool = True
    ) -> None:
        self._reach = reach
        self._label = label
        self._session = session
        self._code = code
        self._heat_wait = heat_wait
        self._frames: Frames | None = None
        self.opened: Opened | None = None
        self.pushed_bytes = 0

    @property
    def label(self) -> str:
        return self._label

    @property
    def remedy(self) -> str:
        """What to do where the app does not answer."""
        return OPEN_THE_APP if self._code is None else SWITCH_WIFI_ON

    def connect(self) -> None:
        """LinkLostError where the app does not answer, DeviceError where it never will."""
        self.close()
        frames = Frames(self._reach())
        try:
            app = self._greet(frames)
            self._frames = frames
            entry = self.ask({"open": self._session, "host": platform.node()[:64], "heat_wait": self._heat_wait})
            self.opened = _opened(app, entry)
        except RefusedByAppError as error:
            self.close()
            raise self._refusal(error) from error
        except BaseException:
            frames.close()
            self._frames = None
            raise

    def ask(
        self,
        entry: dict[str, Any],
        chunks: Sequence[bytes] = (),
        wait_s: float = 0.0,
    ) -> dict[str, Any]:
        """The app's answer; RefusedByAppError where it refuses.

        chunks: bytes that go with the question.
        wait_s: that the app may take beside its usual time.
        """
        frames, timeout_s = self._open_frames(), wait_s + ANSWER_TIMEOUT_S
        try:
            frames.send_json(entry, timeout_s)
            for chunk in chunks:
                frames.send_bytes(chunk, _TRANSFER_TIMEOUT_S)
                self.pushed_bytes += len(chunk)
            answer = frames.receive_json(timeout_s)
        except LinkLostError:
            self.close()
            raise
        if "error" in answer:
            code, message = answer["error"], answer.get("message", "")
            raise RefusedByAppError(str(code)[:40], str(message)[:_LONGEST_WORDS], answer)
        return answer

    def bytes_of(self, answer: dict[str, Any], most: int) -> Iterator[bytes]:
        """The bytes that come with an answer, whose number it says."""
        count = whole_of(answer, "bytes")
        if count > most:
            self.close()
            raise FrameError(f"the app wants to send {count} bytes, {most} are the most")
        frames = self._open_frames()
        try:
            yield from frames.receive_bytes(count, _TRANSFER_TIMEOUT_S)
        except LinkLostError:
            self.close()
            raise

    def close(self) -> None:
        if self._frames is not None:
            self._frames.close()
            self._frames = None

    def _open_frames(self) -> Frames:
        if self._frames is None:
            raise LinkLostError("there is no connection")
        return self._frames

    def _greet(self, frames: Frames) -> str:
        """The app's version, once both sides have said who they are and, without a cable, proved it."""
        keys = new_keys() if self._code is not None else None
        mine: dict[str, Any] = {"lutbench": PROTOCOL}
        if keys is not None:
            mine["key"] = keys.public.hex()
        frames.send_json(mine, ANSWER_TIMEOUT_S)
        theirs = self._answered(frames)
        if theirs.get("lutbench") != PROTOCOL:
            raise self._other_protocol(theirs)
        if keys is not None and self._code is not None:
            pairing = Pairing(self._code, hex_of(theirs, "salt"), keys, hex_of(theirs, "key"))
            cipher = pairing.cipher()
            frames.send_json({"proof": pairing.proof.hex(), "header": cipher.header.hex()}, ANSWER_TIMEOUT_S)
            proved = self._answered(frames)
            if not pairing.proves(hex_of(proved, "proof")):
                raise DeviceError(
                    "what answers there does not know the pairing code: it is not the app", device=self._label,
                    remedy="compare the address with the one that the app shows",
                )  # fmt: skip
            cipher.begin(hex_of(proved, "header"))
            frames.seal_with(cipher)
        frames.greeted()
        return str(theirs.get("app", ""))[:64]

    def _answered(self, frames: Frames) -> dict[str, Any]:
        answer = frames.receive_json(ANSWER_TIMEOUT_S)
        if "error" in answer and answer["error"] != "protocol":
            raise RefusedByAppError(str(answer["error"])[:40], str(answer.get("message", ""))[:_LONGEST_WORDS], answer)
        return answer

    def _other_protocol(self, theirs: dict[str, Any]) -> DeviceError:
        spoken = theirs.get("lutbench")
        if isinstance(spoken, bool) or not isinstance(spoken, int):
            return DeviceError("what answers there is not lutbench's app", device=self._label, remedy=OPEN_THE_APP)
        return DeviceError(
            f"the app speaks version {spoken} of the protocol, this lutbench version {PROTOCOL}", device=self._label,
            remedy="the app is newer: install the lutbench that it was built from"
            if spoken > PROTOCOL
            else "the lutbench here is newer: build and install the app from the sources of this very lutbench",
        )  # fmt: skip

    def _refusal(self, error: RefusedByAppError) -> Exception:
        """What a refusal to open means for the one who connects."""
        if error.code == "busy":
            return DeviceError(
                f"another lutbench measures on this iPhone: {error}", device=self._label,
                remedy="wait for it or stop it; an interrupted one's hold ends after a minute",
            )  # fmt: skip
        if error.code == "wrong_code":
            left = error.entry.get("left")
            tries = f"{left} more tries" if isinstance(left, int) and left != 1 else "one more try"
            return DeviceError(
                f"the pairing code is wrong ({tries})", device=self._label,
                remedy="give the one that the app shows, as `code` in devices.toml or as LUTBENCH_PAIRING_CODE",
            )  # fmt: skip
        if error.code == "locked":
            return DeviceError(
                "five wrong pairing codes: the app has switched its Wi-Fi off", device=self._label,
                remedy="switch it on in the app again, which makes a new code",
            )  # fmt: skip
        return DeviceError(f"the app refuses: {error} ({error.code})", device=self._label)


def _opened(app: str, entry: dict[str, Any]) -> Opened:
    device, state, runtimes = (entry.get(key) for key in ("device", "state", "runtimes"))
    if not isinstance(device, dict) or not isinstance(state, dict) or not isinstance(runtimes, dict):
        raise FrameError("the app does not say what the phone is")
    return Opened(app, device, state, {str(key): str(value) for key, value in runtimes.items()})


def whole_of(entry: dict[str, Any], key: str) -> int:
    """A whole number that an answer has to hold."""
    value = entry.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise FrameError(f"the app's answer has no number {key}: {show(value)}")
    return value


def hex_of(entry: dict[str, Any], key: str) -> bytes:
    """Bytes that an answer has to hold, as hexadecimal digits."""
    value = entry.get(key)
    try:
        return bytes.fromhex(value if isinstance(value, str) else "-")
    except ValueError as error:
        raise FrameError(f"the app's answer has no bytes {key}: {show(value)}") from error
