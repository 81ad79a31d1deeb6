"""The weights of one layer's blocks, shared: each candidate is a part of one largest block.

A candidate of expansion e uses the first e * c_in expanded channels, one of kernel k the middle k x k taps, one of
groups g the weights that lie between channels of equal group. So every step trains every candidate, and candidates give
similar outputs; with weights of their own (a block that holds one candidate) those of a layer that changes its shape
give unrelated ones, which no layer after it can learn to read in few steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lutbench.nn.graph import InvertedResidual
from lutbench.nn.parts import conv_bn
from lutbench.space.graph import Node
from lutbench.space.operator import Operator

Weights = Sequence[Tensor]  # of each of the three convolutions: weight, gain and shift of its batch norm


@dataclass(frozen=True)
class Share:
    """The part of a block's weights that a candidate takes: so many expanded channels, the middle of the kernel,
    groups.
    """

    channels: int
    kernel: int
    groups: int

    def expanding(self, w1: Tensor) -> Tensor:
        """The candidate's part of the first weight, (channels, c_in / groups, 1, 1)."""
        return _as_weight(self._expanding(w1))

    def taps(self, w2: Tensor) -> Tensor:
        """Its part of the depthwise weight, (channels, 1, kernel, kernel), a view."""
        off = (w2.shape[-1] - self.kernel) // 2
        return w2[: self.channels, :, off : off + self.kernel, off : off + self.kernel]

    def projecting(self, w3: Tensor) -> Tensor:
        """Its part of the last weight, (c_out, channels / groups, 1, 1)."""
        return _as_weight(self._projecting(w3))

    def _expanding(self, w1: Tensor) -> Tensor:
        """A view; grouped weights come as (groups, outputs of a group, inputs of a group).

        Expanded channels are counted as they stand after the shuffle, so channel t is in group t % groups of the first
        convolution.
        """
        m, g, c_in = self.channels, self.groups, w1.shape[1]
        if g == 1:
            return w1[:m]
        return w1[:m].view(m // g, g, g, c_in // g).diagonal(dim1=1, dim2=2).permute(2, 0, 1)

    def _projecting(self, w3: Tensor) -> Tensor:
        m, g, c_out = self.channels, self.groups, w3.shape[0]
        if g == 1:
            return w3[:, :m]
        return w3[:, :m, 0, 0].view(g, c_out // g, g, m // g).diagonal(dim1=0, dim2=2).permute(2, 0, 1)

    def views(self, weights: Weights) -> list[Tensor]:
        """The nine tensors' parts, as views: what is added to them reaches the block's."""
        w1, s1, b1, w2, s2, b2, w3, s3, b3 = weights
        m = self.channels
        return [self._expanding(w1), s1[:m], b1[:m], self.taps(w2), s2[:m], b2[:m], self._projecting(w3), s3, b3]

    def weights(self, weights: Weights) -> list[Tensor]:
        """The nine tensors of the candidate, in the shapes of its own modules."""
        found = self.views(weights)
        found[0], found[6] = _as_weight(found[0]), _as_weight(found[6])
        return found

    def add(self, totals: list[Tensor | None], weights: Weights, first: int, gradients: Weights) -> None:
        """Adds a candidate's gradients of one convolution's three tensors to its block's.

        totals: of the block's nine weights, None for those that nothing was added to yet.
        first: the place of the three among them.
        """
        parts = (self._expanding, self.taps, self._projecting)
        for place, gradient in enumerate(gradients, first):
            total, weight = totals[place], weights[place]
            if total is None and gradient.numel() == weight.numel():
                totals[place] = gradient.view(weight.shape)
                continue
            if total is None:
                totals[place] = total = torch.zeros_like(weight)
            part = parts[place // 3](total) if place % 3 == 0 else total[: len(gradient)]
            part.add_(gradient.reshape(part.shape))


def _as_weight(view: Tensor) -> Tensor:
    """Grouped weights in the shape of a convolution's; others are in it."""
    return view.flatten(0, 1)[:, :, None, None] if view.dim() == 3 else view


def _layers(operator: Operator) -> list[Node]:
    return [node for node in operator.graph.nodes[1:] if node.kind not in ("shuffle", "add")]


def _share(operator: Operator) -> Share:
    first, depthwise, _ = _layers(operator)
    return Share(depthwise.shape[0], depthwise.kernel, first.groups)


class SharedBlock(nn.Module):
    """The largest of some blocks of one shape (`ir` operators), and where in it each of them lies."""

    momentum: float  # of the batch norms' running statistics
    eps: float

    def __init__(self, operators: Sequence[Operator]) -> None:
        super().__init__()
        first = operators[0]
        self.shares = [_share(op) for op in operators]
        channels, kernel = (max(getattr(share, name) for share in self.shares) for name in ("channels", "kernel"))
        self.stride, self.keeps = first.stride, first.has_residual
        self._operators = list(operators)
        parts = [
            conv_bn(first.c_in, channels, 1, relu=False),
            conv_bn(channels, channels, kernel, first.stride, channels, relu=False),
            conv_bn(channels, first.c_out, 1, relu=False),
        ]
        self.convs = nn.ModuleList(conv for conv, _ in parts)
        self.norms = nn.ModuleList(norm for _, norm in parts)
        norm = cast(nn.BatchNorm2d, self.norms[0])
        self.momentum, self.eps = norm.momentum or 0.0, norm.eps

    @staticmethod
    def fits(operator: Operator) -> bool:
        """Whether an operator's layers are those of a share: FBNet's block, whatever it is called."""
        if operator.is_own_code:
            return False
        layers = _layers(operator)
        kinds = [(node.kind, node.norm, node.bias, node.activation) for node in layers]
        relu, plain = ("conv", True, False, "relu"), ("conv", True, False, "none")
        if kinds != [relu, relu, plain] or not operator.graph.is_depthwise(layers[1]):
            return False
        first, _, last = layers
        shuffled = any(node.kind == "shuffle" for node in operator.graph.nodes)
        return first.kernel == last.kernel == 1 and first.groups == last.groups and shuffled == (first.groups > 1)

    def weights(self) -> list[Tensor]:
        return [tensor for conv, norm in self._parts() for tensor in (conv.weight, norm.weight, norm.bias)]

    def running(self) -> list[tuple[Tensor, Tensor]]:
        """The running mean and variance of each batch norm."""
        return [(cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)) for _, norm in self._parts()]

    def statistics(self, position: int) -> list[tuple[Tensor, Tensor]]:
        """The running mean and variance that a candidate updates, of each batch norm."""
        channels = self.shares[position].channels
        first, second, last = self.running()
        return [(first[0][:channels], first[1][:channels]), (second[0][:channels], second[1][:channels]), last]

    def plain(self, x: Tensor, gate: Tensor, position: int) -> Tensor:
        """gate * the candidate's body: (N, C, H, W), () -> (N, C_out, H_out, W_out)."""
        share = self.shares[position]
        w1, s1, b1, w2, s2, b2, w3, s3, b3 = share.weights(self.weights())
        one, two, three = self.statistics(position)
        x = F.conv2d(x, w1, groups=share.groups)
        if share.groups > 1:
            x = F.channel_shuffle(x, share.groups)  # before the batch norm, whose channels are counted after it
        x = F.relu(self._norm(x, s1, b1, one))
        x = F.conv2d(x, w2, None, self.stride, share.kernel // 2, 1, share.channels)
        x = F.relu(self._norm(x, s2, b2, two))
        return gate * self._norm(F.conv2d(x, w3, groups=share.groups), s3, b3, three)

    def _norm(self, x: Tensor, gain: Tensor, shift: Tensor, statistics: tuple[Tensor, Tensor]) -> Tensor:
        return F.batch_norm(x, *statistics, gain, shift, self.training, self.momentum, self.eps)

    @torch.no_grad()
    def copy_of(self, position: int) -> InvertedResidual:
        """The candidate alone, with a copy of its weights and statistics."""
        block = InvertedResidual(self._operators[position].graph).to(self.weights()[0]).train(self.training)
        share = self.shares[position]
        w1, s1, b1, w2, s2, b2, w3, s3, b3 = share.weights(self.weights())
        (mean, variance), two, three = self.statistics(position)
        unshuffled = torch.arange(share.channels).view(-1, share.groups).t().flatten()  # the module's norm comes first
        first = [tensor[unshuffled] for tensor in (s1, b1, mean, variance)]
        convs = [part for part in block.body if isinstance(part, nn.Conv2d)]
        norms = [part for part in block.body if isinstance(part, nn.BatchNorm2d)]
        for conv, weight in zip(convs, (w1, w2, w3), strict=True):
            conv.weight.copy_(weight)
        for norm, found in zip(norms, (first, (s2, b2, *two), (s3, b3, *three)), strict=True):
            own = (norm.weight, norm.bias, cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var))
            for mine, theirs in zip(own, found, strict=True):
                mine.copy_(theirs)
        return block

    @torch.no_grad()
    def nest(self) -> None:
        """Makes the candidates start as one function: weights that not all of them have start at 0.

        Exactly so where grouped ones have the fewest channels and one number of groups, as in FBNet; else nearly.
        Where the layer has a residual its last batch norm starts at 0 too, so that a deep net starts as a shallow one.
        """
        (expand, _), (depthwise, _), (project, _) = self._parts()
        channels, kernel = min(share.channels for share in self.shares), min(share.kernel for share in self.shares)
        groups = max(share.groups for share in self.shares)
        fits = all(size % groups == 0 for size in (channels, expand.in_channels, project.out_channels))
        in_all = [torch.zeros_like(weight) for weight in self.weights()]
        for view in Share(channels, kernel, groups if fits else 1).views(in_all):
            view.fill_(1)
        in_all[0][channels:] = 1  # what these give is multiplied by 0 in the projection
        in_all[3][channels:] = 1
        for conv, kept in zip((expand, depthwise, project), in_all[::3], strict=True):
            conv.weight.mul_(kept * (kept[0].numel() / kept[0].sum().clamp(min=1)) ** 0.5)
        if self.keeps:
            self._parts()[2][1].weight.zero_()

    def _parts(self) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
        return list(zip(cast("list[nn.Conv2d]", self.convs), cast("list[nn.BatchNorm2d]", self.norms), strict=True))
