"""What people see of a long job's events."""

from __future__ import annotations

import math

import pytest

from lutbench.cli.render import Progress
from lutbench.events import StepProgress


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (StepProgress("drawing shapes", 256, 10_000), "drawing shapes: 256 of 10,000"),
        (
            StepProgress("training fbnet_a", 3, 30, "epochs", "loss 1.234", 125.0),
            "training fbnet_a: 3 of 30 epochs, loss 1.234, about 2 min 05 s left",
        ),
        (StepProgress("checking", 1, 2, "images", "0 broken", math.nan), "checking: 1 of 2 images, 0 broken"),
    ],
)
def test_a_step_is_a_line_on_standard_error(capsys: pytest.CaptureFixture[str], event: StepProgress, line: str) -> None:
    with Progress() as progress:
        progress(event)
    shown = capsys.readouterr()
    assert shown.err.strip() == line
    assert not shown.out
