"""A scripted device that other programs disturb, but only beside some nets."""

from __future__ import annotations

from collections.abc import Callable

from lutbench.device_agents.fake import FakeAgent

OpenDevice = Callable[..., FakeAgent]


def busy_while(busy: Callable[[str], bool], additive: OpenDevice) -> OpenDevice:
    """The additive device, whose canary is 2.6 times slower whenever a net that is named runs beside it."""
    running = [""]

    def open_device(device: object, settings: object) -> FakeAgent:
        agent = additive(device, settings)
        script = agent._script

        def remembering(artifact: str, depth: int, invocation: int) -> int:
            running[0] = artifact
            return script(artifact, depth, invocation)

        return FakeAgent(remembering, canary=lambda _: 130_000 if busy(running[0]) else 50_000)

    return open_device
