"""The blocks of a layer with their gates in torch's own calls: for a GPU, for lower precision and for torch.compile.

As in `fused`, what candidates have in common is computed once (`Plan`), and a gate is a factor of the last batch norm's
gain and shift. A candidate's projection is that of the next narrower one plus what its further channels add, so each
channel is read once. 1x1 convolutions are matrix products: cuDNN looks for a way to compute each new shape of a
convolution, which takes longer than the step where every step takes another path. Autograd does the rest; on a CPU in
full precision `fused` is faster.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from lutbench.search.block import Share, SharedBlock
from lutbench.search.fused import Branch, Family, Plan, planned, running_of
from lutbench.search.pointwise import as_images, as_rows


def branches(block: SharedBlock, x: Tensor, gates: Tensor, positions: Sequence[int]) -> Tensor:
    """sum of gate * body(x) over some of a block's candidates, without the residual.

    x (N, C, H, W), gates (len(positions),) -> (N, C_out, H_out, W_out). Batch norms use the batch's statistics and
    update the running ones, as modules in training do.
    """
    weights = block.weights()
    plan = planned(tuple(block.shares[position] for position in positions), len(weights[-1]))
    run = _Pass(block, weights, gates, plan)
    parts = [part for family in plan.families for part in run.family(x, family)]
    run.update()
    return sum(parts[1:], start=parts[0])


class _Pass:
    """A forward pass of some of a block's candidates."""

    def __init__(self, block: SharedBlock, weights: Sequence[Tensor], gates: Tensor, plan: Plan) -> None:
        self._stride, self._eps = block.stride, block.eps
        self._weights, self._gates = weights, gates.unbind()
        self._running = running_of(block, plan)

    def update(self) -> None:
        """Brings what batch norms found into the running statistics."""
        for running in self._running:
            running.update()

    def family(self, x: Tensor, family: Family) -> list[Tensor]:
        """What the candidates of one expansion add."""
        w1, s1, b1, *_ = self._weights
        m = family.share.channels
        found = _expanded(x, w1, family.share)
        first = F.relu(self._normed(found, s1[:m], b1[:m], 0, family.lot), inplace=True)
        return [part for branch in family.branches for part in self._branch(first, branch)]

    def _branch(self, first: Tensor, branch: Branch) -> list[Tensor]:
        _, _, _, w2, s2, b2, w3, s3, b3 = self._weights
        share, m = branch.share, branch.share.channels
        taps = share.taps(w2)
        found = F.conv2d(first[:, :m], taps, None, self._stride, share.kernel // 2, 1, m)
        second = F.relu(self._normed(found, s2[:m], b2[:m], 1, branch.lot), inplace=True)
        projected = _projected(second, w3, [member for _, member in branch.members])
        return [
            self._normed(third, s3 * self._gates[place], b3 * self._gates[place], 2, place)
            for (place, _), third in zip(branch.members, projected, strict=True)
        ]

    def _normed(self, x: Tensor, gain: Tensor, shift: Tensor, norm: int, lot: int) -> Tensor:
        mean, variance, momentum = self._running[norm].of(lot, x.shape[1])
        return F.batch_norm(x, mean, variance, gain, shift, True, momentum, self._eps)


def _expanded(x: Tensor, w1: Tensor, share: Share) -> Tensor:
    """The first convolution and, where it is grouped, the shuffle (before the batch norm: `block`)."""
    weight = share.expanding(w1)
    if share.groups == 1:
        return as_images(F.linear(as_rows(x), weight.flatten(1)), x)
    return F.channel_shuffle(F.conv2d(x, weight, groups=share.groups), share.groups)


def _projected(x: Tensor, w3: Tensor, shares: Sequence[Share]) -> list[Tensor]:
    """Each candidate's projection, the widest first: (N, C, H, W) -> (N, C_out, H, W).

    Ungrouped ones are sums: the narrowest one's, and what the channels add that the next one has beside those. Each is
    a product of some columns of the rows (N * H * W, C), which are read where they lie.
    """
    if shares[0].groups > 1:
        return [F.conv2d(x[:, : s.channels], s.projecting(w3), groups=s.groups) for s in shares]
    widths = sorted({share.channels for share in shares})
    steps = [width - less for width, less in zip(widths, (0, *widths), strict=False)]
    rows = torch.split(as_rows(x)[:, : widths[-1]], steps, 1)
    whole = w3.flatten(1)[:, : widths[-1]].to(x.dtype)  # at once: autocast would turn one part after the other
    matrices = torch.split(whole, steps, 1)
    totals: dict[int, Tensor] = {}
    total = None
    for width, some, matrix in zip(widths, rows, matrices, strict=True):
        more = F.linear(some, matrix)
        total = more if total is None else total + more
        totals[width] = as_images(total, x)
    return [totals[share.channels] for share in shares]
