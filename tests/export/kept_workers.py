"""Export workers that go on from test to test, for each takes seconds to load torch.

Within one command they are started and ended as ever; tests/export/test_pool is about just that and does without.
"""

from __future__ import annotations

import pickle
from typing import Any

from lutbench.children import Child
from lutbench.export import pool
from lutbench.space.workload import Workload, is_own_code

_MOST = 3  # idle at once, each with some 500 MB

_kept: list[tuple[bytes, Child]] = []


class KeptWorkers(pool._Workers):
    """A pool that begins with what an earlier one of the same exporter, dtype and cache left idle."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._key = pickle.dumps(self._arguments)
        self._ran_own_code = False
        mine = [child for key, child in _kept if key == self._key][: self._size]
        _kept[:] = [(key, child) for key, child in _kept if child not in mine]
        self._idle.extend(mine)

    def _give(self, workload: Workload) -> None:
        self._ran_own_code |= is_own_code(workload)
        super()._give(workload)

    def close(self) -> None:
        if not self._ran_own_code:  # its modules stay imported
            _kept.extend((self._key, child) for child in self._idle)
            self._idle.clear()
        super().close()
        end_kept(all_but=_MOST)


def end_kept(all_but: int = 0) -> None:
    """Ends those that have been idle longest."""
    while len(_kept) > all_but:
        _, child = _kept.pop(0)
        child.kill()
