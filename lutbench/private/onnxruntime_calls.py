"""The private parts of ONNX Runtime's Python package that timing reaches into, all of them.

Written for onnxruntime 1.22 to 1.31. A call through `InferenceSession.run_with_iobinding` takes 0.2 us more than the
call below it, whose checks are for other devices. Where a version has that call no more, the public one is timed: its
share of Python is larger, and `idle_call` is then what that version has that does next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any


def direct_call(session: Any, binding: Any, run_options: Any) -> Callable[[], object]:
    """What runs the session with its binding, with as little Python around it as this version allows."""
    inner, bound = getattr(session, "_sess", None), getattr(binding, "_iobinding", None)
    call = getattr(inner, "run_with_iobinding", None)
    if call is None or bound is None:
        return partial(session.run_with_iobinding, binding, run_options)
    return partial(call, bound, run_options)


def idle_call(binding: Any) -> Callable[[], object]:
    """A call by the same way that finds nothing to do: what Python's part of a call costs."""
    bound = getattr(binding, "_iobinding", None)
    found: Callable[[], object] = getattr(bound, "synchronize_inputs", None) or binding.synchronize_inputs
    return found
