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

    def views(self, weights: Weights) -> list[Tensor]:
        """The nine tensors' parts, as views: what is added to them reaches the block's.

        Grouped 1x1 weights come as (groups, outputs of a group, inputs of a group). Expanded channels are counted as
        they stand after the shuffle, so channel t is in group t % groups of the first convolution.
        """
        w1, s1, b1, w2, s2, b2, w3, s3, b3 = weights
        m, g = self.channels, self.groups
        off = (w2.shape[-1] - self.kernel) // 2
        expand, project = w1[:m], w3[:, :m]
        if g > 1:
            c_in, c_out = w1.shape[1], w3.shape[0]
            expand = expand.view(m // g, g, g, c_in // g).diagonal(dim1=1, dim2=2).permute(2, 0, 1)
            project = project[..., 0, 0].view(g, c_out // g, g, m // g).diagonal(dim1=0, dim2=2).permute(2, 0, 1)
        taps = w2[:m, :, off : off + self.kernel, off : off + self.kernel]
        return [expand, s1[:m], b1[:m], taps, s2[:m], b2[:m], project, s3, b3]

    def weights(self, weights: Weights) -> list[Tensor]:
        """The nine tensors of the candidate, in the shapes of its own modules."""
        expand, s1, b1, taps, s2, b2, project, s3, b3 = self.views(weights)
        if self.groups > 1:
            expand, project = (view.flatten(0, 1)[:, :, None, None] for view in (expand, project))
        return [expand, s1, b1, taps, s2, b2, project, s3, b3]

    def add(self, totals: Weights, gradients: Weights) -> None:
        """Adds a candidate's gradients to its block's."""
        for view, gradient in zip(self.views(totals), gradients, strict=True):
            view.add_(gradient.reshape(view.shape))


def _layers(operator: Operator) -> list[Node]:
    return [node for node in operator.graph.nodes[1:] if node.kind not in ("shuffle", "add")]


def _share(operator: Operator) -> Share:
    first, depthwise, _ = _layers(operator)
    return Share(depthwise.shape[0], depthwise.kernel, first.groups)


class SharedBlock(nn.Module):
    """The largest of some blocks of one shape (`ir` operators), and where in it each of them lies."""

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

    def statistics(self, position: int) -> list[tuple[Tensor, Tensor]]:
        """The running mean and variance that a candidate updates, of each batch norm."""
        channels = self.shares[position].channels
        norms = zip((norm for _, norm in self._parts()), (channels, channels, None), strict=True)  # all of the output's
        return [(cast(Tensor, n.running_mean)[:count], cast(Tensor, n.running_var)[:count]) for n, count in norms]

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
        norm = self._parts()[0][1]
        return F.batch_norm(x, *statistics, gain, shift, self.training, norm.momentum or 0.0, norm.eps)

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
