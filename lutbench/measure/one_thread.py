"""Fits compute on one thread: theirs are many small matrices, and a pool of threads only waits for itself.

On a core that other programs use the threads wait far longer for each other than they compute: a fit of 0.4 s took 3.7.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from threadpoolctl import threadpool_limits


def on_one_thread() -> AbstractContextManager[object]:
    """Keeps numpy's linear algebra to one thread while it is entered."""
    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits
