"""Running statistics of batch norms that several candidates share: as if each candidate had updated them in turn.

Candidates of which some have one batch's statistics in common, and of which each updates its first channels, leave in
each channel a sum of what was there and of what was found. The factors depend on the candidates alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor


@cache
def _factors(
    updates: tuple[tuple[int, int], ...],
    lots: int,
    channels: int,
    momentum: float,
    dtype: torch.dtype,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """(lots, channels) of what each lot found, (channels,) of what was there.

    updates: in their order, each of a lot and of its so many first channels.
    """
    left = torch.ones(channels, dtype=torch.float64)
    found = torch.zeros(lots, channels, dtype=torch.float64)
    for lot, reach in reversed(updates):
        found[lot, :reach] += momentum * left[:reach]
        left[:reach] *= 1 - momentum
    return found.to(device, dtype), left.to(device, dtype)


class Running:
    """What the lots of candidates find of one batch norm; `update` brings it into the running statistics."""

    def __init__(
        self, statistics: tuple[Tensor, Tensor], updates: Sequence[tuple[int, int]], lots: int, momentum: float
    ) -> None:
        self._statistics, self._updates, self._momentum = statistics, tuple(updates), momentum
        self._is_alone = len(updates) == 1  # a batch norm does then itself what `update` does
        if not self._is_alone:
            self._found = statistics[0].new_zeros(2, lots, len(statistics[0]))

    def of(self, lot: int, channels: int) -> tuple[Tensor, Tensor, float]:
        """Says where a batch norm is to leave a lot's mean and variance, and with which momentum."""
        if self._is_alone:
            mean, variance = self._statistics
            return mean[:channels], variance[:channels], self._momentum
        return self._found[0, lot, :channels], self._found[1, lot, :channels], 1.0

    def update(self) -> None:
        if self._is_alone:
            return
        (lots, channels), like = self._found.shape[1:], self._statistics[0]
        factors, left = _factors(self._updates, lots, channels, self._momentum, like.dtype, like.device)
        for value, found in zip(self._statistics, (factors * self._found).sum(1), strict=True):
            value.mul_(left).add_(found)
