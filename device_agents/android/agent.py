"""The Android agent: what is the phone's own way of storing, being described and being let go of."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Any

from lutbench.device_agents.agent import BUNDLE, CORE_CHOICE, FIXED_PERFORMANCE, AgentSettings, DeviceInfo
from lutbench.device_agents.android.connection import Connection
from lutbench.device_agents.android.describe import describe, read_state
from lutbench.device_agents.android.install import ROOT, check_space, install_files
from lutbench.device_agents.android.lock import PhoneLock
from lutbench.device_agents.android.process import RunnerProcess, end_jobs
from lutbench.device_agents.android.watch import PhoneWatch
from lutbench.device_agents.remote.agent import Patience, RemoteAgent, RunnerPlace
from lutbench.device_agents.remote.reference import Reference
from lutbench.device_agents.remote.stored import StoredFile
from lutbench.device_agents.runner.bundle import Bundle
from lutbench.errors import DeviceError

_RECORDS_BYTES = 1 << 20  # that a job's records may need


class AndroidAgent(RemoteAgent):
    """Times artifacts on a phone that adb reaches.

    held: what is let go of when it is closed.
    reference: as of RemoteAgent, let go of with the others.
    """

    refused_remedy = (
        "this phone needs the runner built for Android's own C library: lutbench runner build --target"
        ' android-arm64 --ndk NDK --libraries FOLDER -o BUNDLE, then bundle = "BUNDLE" in devices.toml'
    )
    link_remedy = "set the phone's USB to charging only, leave USB debugging on and try another cable"
    dead_remedy = "restart the phone if it stays so"

    def __init__(
        self,
        connection: Connection,
        lock: PhoneLock,
        bundle: Bundle,
        settings: AgentSettings,
        watch: PhoneWatch,
        patience: Patience,
        held: ExitStack,
        reference: Reference | None = None,
    ) -> None:
        self.connection = connection
        self._lock = lock
        self._bundle = bundle
        self._engine = settings.runtime
        self._bundle_place = f"bundles/{bundle.digest(settings.runtime)[:32]}"
        folder = f"{ROOT}/{self._bundle_place}"
        place = RunnerPlace(
            ROOT, bundle.library(settings.runtime, folder), tuple(bundle.command(settings.runtime, folder))
        )
        self._chosen = settings
        self._phone = watch
        self._held = held
        process = RunnerProcess(connection, lock)
        super().__init__(connection.label, settings, watch, patience, process, place, process, reference)

    def close(self) -> None:
        """Ends what still runs and lets go of the phone; a phone that has gone is left as it is."""
        self.connection.give_up_early()
        with suppress(DeviceError), self._held:
            end_jobs(self.connection)

    def describe(self) -> DeviceInfo:
        watch = self._phone
        info = describe(read_state(self.connection), self.connection.kind, watch.cores, watch.thermometer)
        environment: dict[str, Any] = {
            **info.environment,
            CORE_CHOICE: self._chosen.cores or "all",
            BUNDLE: self._bundle.said(self._engine),
            "bundle_sha256": self._bundle.digest(self._engine),
            **({FIXED_PERFORMANCE: True} if self._chosen.fixed_performance else {}),
            **watch.seen(),
            **self.facts.environment,
        }
        return replace(info, environment=environment)

    def store(self, files: Sequence[StoredFile]) -> int:
        return install_files(self.connection, [*self._bundle_files(), *files])

    def check_records_space(self, otherwise: str = "") -> None:
        check_space(self.connection, _RECORDS_BYTES, otherwise)

    def _bundle_files(self) -> list[StoredFile]:
        return [
            StoredFile(
                self._bundle.folder / file.name, f"{self._bundle_place}/{file.name}", file.sha256, file.size_bytes
            )
            for file in self._bundle.needed(self._engine)
        ]
