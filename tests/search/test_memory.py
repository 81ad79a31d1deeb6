"""Memory that is kept rather than given back: what was freed is still the process's."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lutbench.search.hardware import Hardware
from lutbench.search.memory import keep_freed

# what the process holds, MiB: with 24 blocks of 8 MiB, and after they are free
SCRIPT = """
import resource, sys
from pathlib import Path
import torch
from lutbench.search.hardware import Hardware
from lutbench.search.memory import keep_freed

def held() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() >> 20

if sys.argv[1] == "keep" and not keep_freed(Hardware("cpu"), 32):
    sys.exit("no such option")
blocks = [torch.ones(2 << 20) for _ in range(24)]
with_blocks = held()
del blocks
print(with_blocks, held())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep it in their own ways")
def test_what_is_freed_stays_the_process_s() -> None:
    given_back = {}
    for what in ("keep", "leave"):
        done = subprocess.run([sys.executable, "-c", SCRIPT, what], capture_output=True, text=True, check=False)
        if "no such option" in done.stderr:
            pytest.skip("the C library has no such option")
        with_blocks, afterwards = map(int, done.stdout.split())
        given_back[what] = with_blocks - afterwards
    assert given_back["keep"] < 24 < 100 < given_back["leave"]


def test_large_images_are_left_to_the_system() -> None:
    assert not keep_freed(Hardware("cpu"), 224)
