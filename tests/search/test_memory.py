"""Memory that is kept rather than given back: asked for again, its pages are there."""

from __future__ import annotations

import resource
import sys

import pytest
import torch

from lutbench.search.hardware import Hardware
from lutbench.search.memory import keep_freed

PAGES = (8 << 20) // resource.getpagesize()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep it in their own ways")
def test_what_is_freed_is_there_the_next_time() -> None:
    if not keep_freed(Hardware("cpu"), 32):
        pytest.skip("the C library has no such option")
    torch.ones(2 << 20)  # 8 MiB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(2 << 20)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 2 * PAGES  # not ten times


def test_large_images_are_left_to_the_system() -> None:
    assert not keep_freed(Hardware("cpu"), 224)
