"""The iPhone's agent: what is the phone's own way of storing, being described and being let go of."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from lutbench.device_agents.agent import AgentSettings, DeviceInfo
from lutbench.device_agents.ios.connection import AppConnection
from lutbench.device_agents.ios.describe import describe
from lutbench.device_agents.ios.process import AppProcess
from lutbench.device_agents.ios.watch import AppWatch
from lutbench.device_agents.remote.agent import Patience, RemoteAgent, RunnerPlace
from lutbench.device_agents.remote.stored import StoredFile
from lutbench.errors import DeviceError


class IphoneAgent(RemoteAgent):
    """Times artifacts on an iPhone, by the app that runs there.

    kind: of the connection.
    held: what is let go of when it is closed.
    """

    dead_remedy = "look at the iPhone: the app has to stay in front; restart it if it stays so"

    def __init__(
        self,
        connection: AppConnection,
        kind: str,
        settings: AgentSettings,
        watch: AppWatch,
        patience: Patience,
        held: ExitStack,
    ) -> None:
        self.connection = connection
        self._kind = kind
        self._phone = watch
        self._held = held
        super().__init__(connection.label, settings, watch, patience, AppProcess(connection), RunnerPlace("."))

    def close(self) -> None:
        """Lets go of the phone; one that has gone lets go by itself after a minute."""
        self._held.close()

    def describe(self) -> DeviceInfo:
        info = describe(self.connection.opened, self.connection.state(), self._kind)
        environment = {**info.environment, **self._phone.seen(), **self.facts.environment}
        return replace(info, environment={**environment, "pinned_to": info.environment["pinned_to"]})

    def store(self, files: Sequence[StoredFile]) -> int:
        return self.connection.store(files)

    def check_records_space(self, otherwise: str = "") -> None:
        """The app says itself that it has no space; what it says then is `otherwise`."""
        if otherwise:
            raise DeviceError(otherwise, device=self.label)
