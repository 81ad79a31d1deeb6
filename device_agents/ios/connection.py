"""The app as the agent sees it: questions that survive a connection that breaks, or an app that is started again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from lutbench.device_agents.ios.frames import CHUNK_BYTES
from lutbench.device_agents.ios.link import AppLink, Opened, RefusedByAppError
from lutbench.device_agents.remote.link import LinkLostError, PushError
from lutbench.device_agents.remote.persist import Persistence
from lutbench.device_agents.remote.stored import StoredFile
from lutbench.errors import DeviceError
from lutbench.events import Report
from lutbench.reading.plain import show

RECONNECT_S = 600.0  # somebody has to walk up to the phone and tap
_BRING_BACK = "plug it in, unlock it and tap lutbench on it"
_FILES_ASKED = 2000  # in one question
_ATTEMPTS = 3
_MOST_RECORDS = 8 << 20  # bytes in one answer


class AppConnection:
    """The app on one iPhone. Every question is asked again, after reconnecting, until reconnect_s have passed.

    losses: how often a question found the connection broken.
    """

    def __init__(self, link: AppLink, report: Report, reconnect_s: float = RECONNECT_S) -> None:
        self._link = link
        self._persistence = Persistence(lambda: self._link.connect(), link.label, reconnect_s, _BRING_BACK, report)

    @property
    def label(self) -> str:
        return self._link.label

    @property
    def losses(self) -> int:
        return self._persistence.losses

    @property
    def pushed_bytes(self) -> int:
        return self._link.pushed_bytes

    @property
    def opened(self) -> Opened:
        """What the app said when it was last connected."""
        if self._link.opened is None:
            raise DeviceError("the app was never reached", device=self.label)
        return self._link.opened

    def ask(self, entry: dict[str, Any], chunks: Sequence[bytes] = (), wait_s: float = 0.0) -> dict[str, Any]:
        """The answer. RefusedByAppError where the app refuses, DeviceError where it stays away.

        wait_s: that the app may take beside its usual time.
        """
        return self._persistence.persist(lambda: self._link.ask(entry, chunks, wait_s))

    def state(self) -> dict[str, Any]:
        """The phone's: heat, low-power mode, battery, whether the app is in front."""
        found = self.ask({"state": True}).get("state")
        return found if isinstance(found, dict) else {}

    def records(self, entry: dict[str, Any], wait_s: float) -> tuple[dict[str, Any], bytes]:
        """An answer with the bytes that come with it."""

        def once() -> tuple[dict[str, Any], bytes]:
            answer = self._link.ask(entry, (), wait_s)
            return answer, b"".join(self._link.bytes_of(answer, _MOST_RECORDS))

        return self._persistence.persist(once)

    def store(self, files: Sequence[StoredFile]) -> int:
        """Brings the missing ones to the app's folder; how many those were. DeviceError where it cannot hold them."""
        by_place = {file.place: file for file in files}
        places = list(by_place)
        count = 0
        for start in range(0, len(places), _FILES_ASKED):
            asked = places[start : start + _FILES_ASKED]
            answer = self.ask({"missing": [[place, by_place[place].size] for place in asked]}).get("missing")
            if not isinstance(answer, list) or not all(place in by_place for place in answer):
                raise DeviceError(f"the app does not say what it lacks: {show(answer)}", device=self.label)
            for place in answer:
                self._put(by_place[place])
            count += len(answer)
        return count

    def _put(self, file: StoredFile) -> None:
        problem = ""
        for _ in range(_ATTEMPTS):
            data = file.path.read_bytes()
            chunks = [data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES)]
            try:
                self.ask({"put": file.place, "sha256": file.sha256, "bytes": len(data)}, chunks, 60.0)
            except RefusedByAppError as error:
                if error.code == "space":
                    raise DeviceError(
                        f"the iPhone is full: {error}", device=self.label,
                        remedy="delete something on it, or what lutbench keeps there: lutbench devices --clean NAME",
                    ) from error  # fmt: skip
                problem = f"{error} ({error.code})"
                if error.code != "damaged":
                    break
            else:
                return
        raise DeviceError(f"the app does not store what is sent: {problem}", device=self.label)

    def give_job(self, nonce: str, job: bytes) -> None:
        """PushError where the app cannot take it."""
        chunks = [job[start : start + CHUNK_BYTES] for start in range(0, len(job), CHUNK_BYTES)]
        try:
            self.ask({"job": nonce, "bytes": len(job)}, chunks)
        except RefusedByAppError as error:
            raise PushError(f"{error} ({error.code})") from error

    def begin(self) -> Opened:
        """Reaches the app for the first time; DeviceError at once where it does not answer."""
        try:
            self._link.connect()
        except LinkLostError as error:
            raise DeviceError(
                f"the app does not answer: {error}", device=self.label, remedy=self._link.remedy
            ) from error
        return self.opened

    def bye(self) -> None:
        """Lets go of the phone; does not wait for one that does not answer."""
        self._persistence.give_up_early()
        with suppress(LinkLostError, RefusedByAppError):
            self._link.ask({"bye": True})
        self._link.close()
