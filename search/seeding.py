"""Random numbers that depend on a key alone, and leave the process's own generators as they were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(device: torch.device, key: Sequence[int]) -> Iterator[None]:
    """Inside, torch's default generators (the CPU's and the device's) start from the key, numbers of 0 or more."""
    seed = int(np.random.SeedSequence(tuple(key)).generate_state(1, np.uint64)[0])
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)
        for one in cuda:
            with torch.cuda.device(one):
                torch.cuda.manual_seed(seed)
        yield


def generator(*key: int) -> torch.Generator:
    """A generator of the CPU whose numbers depend on the key alone, numbers of 0 or more."""
    seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])
    return torch.Generator().manual_seed(seed)
