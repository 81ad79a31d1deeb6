"""A layer of the masked supernet: one block, the widest, that serves every candidate and every choice of channels.

FBNetV2, section 3.1: an option of channels is a mask, ones and then zeros, and the block's output is weighted by the
sum of the masks times their gates; so the block runs once, however many options there are. The same holds inside it:
the expanded channels are a mask over those of the widest expansion, kernels are the middle taps of the largest (a
convolution is linear in them), activations and squeeze-and-excitation are mixed by their gates. For gates that are
one-hot all this is the candidate's own block with a part of the weights.

The input is added as far as the layer keeps its shape: where its channels are chosen, with the probability that input
and output have as many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lutbench.nn.modules import empty_operator
from lutbench.search.depthwise import depthwise_conv
from lutbench.search.masked_forms import form_of
from lutbench.search.pointwise import pointwise_conv
from lutbench.space.macro import Layer

_LEAST = 1e-6  # a share that is divided by
_WIDTHS = 4  # of a layer's depthwise convolutions that have kernels of their own (`depthwise_conv`)
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "relu": F.relu,
    "relu6": F.relu6,
    "hswish": F.hardswish,
    "swish": F.silu,
    "gelu": F.gelu,
    "sigmoid": torch.sigmoid,
    "hsigmoid": F.hardsigmoid,
}


@dataclass(frozen=True)
class _Mix:
    """What a pass runs: so many channels of the block's, and how its options are weighted.

    taps: of the depthwise convolution, (mid, 1, K, K).
    activations: names and weights; no weight where there is one alone.
    mid_mask, squeeze_mask: (mid,), (squeeze,); None for all ones.
    squeezed: the weight of squeeze-and-excitation; None where it is on, 0 where it is not there.
    gain: what the output is weighted with, (c_out,); None for all ones.
    """

    c_in: int
    mid: int
    squeeze: int
    c_out: int
    taps: Tensor
    activations: Sequence[tuple[str, Tensor | None]]
    mid_mask: Tensor | None = None
    squeeze_mask: Tensor | None = None
    squeezed: Tensor | int | None = None
    gain: Tensor | None = None


@dataclass(frozen=True)
class Weights:
    """A layer's options with their weights, whatever map they run on.

    skipped: of the convolution that stands for a skip, (c_out,); None where it does not run.
    keeps: the probability that the layer keeps its shape; 0 and 1 are certain.
    """

    mix: _Mix | None
    skipped: Tensor | None
    keeps: Tensor | int


class MaskedBlock(nn.Module):
    """The weights of one layer.

    rows: the layer with each choice of channels, [input][output]; one row within a stage, where both are one choice.
    """

    def __init__(self, rows: Sequence[Sequence[Layer]], is_tied: bool) -> None:
        super().__init__()
        first = rows[0][0]
        self.rows, self.is_tied = rows, is_tied
        self.ins = [row[0].c_in for row in rows] if not is_tied else [layer.c_in for layer in rows[0]]
        self.outs = [layer.c_out for layer in rows[0]]
        self.stride = first.stride
        self._blocks = [p for p, candidate in enumerate(first.candidates) if not candidate.is_skip]
        self._skip = next((p for p, candidate in enumerate(first.candidates) if candidate.is_skip), None)
        by_input = rows[0] if is_tied else [row[0] for row in rows]
        self._forms = [
            [form_of(layer.operator(layer.candidates[p])) for p in self._blocks] for layer in by_input
        ]  # [input][block]
        self._keeps = [
            [self.stride == 1 and c_in == c_out for c_out in self.outs] for c_in in self.ins
        ]  # [input][output]
        self.register_buffer("out_masks", _masks(self.outs), persistent=False)
        self.register_buffer("keeps", torch.tensor(self._keeps, dtype=torch.float32), persistent=False)
        self._make(first)
        every = [form for row in self._forms for form in row]
        self._activations = tuple(dict.fromkeys(form.activation for form in every))
        self._kernels = tuple(sorted({form.kernel for form in every}))
        self._prefixes("mid", [[form.mid for form in row] for row in self._forms])
        self._prefixes("squeeze", [[form.squeeze for form in row] for row in self._forms])
        self._gate_activations = next((form.gates for form in every if form.gates), ())

    def _make(self, first: Layer) -> None:
        every = [form for row in self._forms for form in row]
        c_in, c_out = max(self.ins), max(self.outs)
        mid, squeeze = (max((getattr(form, name) for form in every), default=0) for name in ("mid", "squeeze"))
        kernel = max((form.kernel for form in every), default=1)
        expands = any(first.candidates[p].expansion for p in self._blocks)
        sizes = [(c_in, mid, 1, 1)] if expands else []
        sizes += [(mid, mid, kernel, mid), (mid, c_out, 1, 1)] if every else []
        self.convs = nn.ModuleList(nn.Conv2d(a, b, k, groups=g, bias=False) for a, b, k, g in sizes)
        self.norms = nn.ModuleList(nn.BatchNorm2d(size[1]) for size in sizes)
        pair = [nn.Conv2d(mid, squeeze, 1), nn.Conv2d(squeeze, mid, 1)] if squeeze else []
        self.squeezes = nn.ModuleList(pair)
        changes = self._skip is not None and not self._always_keeps
        self.skip = nn.ModuleList([nn.Conv2d(c_in, c_out, 1, bias=False), nn.BatchNorm2d(c_out)] if changes else [])

    def _prefixes(self, name: str, sizes: list[list[int]]) -> None:
        """Keeps a mask for each size, (sizes, channels), and which of them each input's candidates have."""
        every = sorted({size for row in sizes for size in row if size})
        widest = every[-1] if every else 0
        masks = _masks(every) if every else torch.zeros(0, widest)
        places = torch.tensor([[every.index(size) if size else 0 for size in row] for row in sizes])
        self.register_buffer(f"{name}_masks", masks, persistent=False)
        self.register_buffer(f"{name}_places", places, persistent=False)

    @torch.no_grad()
    def nest(self) -> None:
        """Lets a layer that always keeps its shape start as one that adds nothing, so that a deep net starts shallow.

        One that keeps it with some channels would give zeros with the others, and nothing behind it would learn.
        """
        if self.norms and self._always_keeps:
            cast(nn.BatchNorm2d, self.norms[-1]).weight.zero_()

    def weighted(
        self, given: Tensor | None, gives: Tensor, candidates: Tensor, chosen: Iterable[int] | None = None
    ) -> Weights:
        """The weights of all options.

        given, gives, candidates: gates of the input's channels (None within a stage), of the output's, of candidates.
        chosen: the candidates that have a gate above 0; None: all.
        """
        of_input = gives if given is None else given
        keeps = self._kept(given, gives)
        mask = gives @ self.out_masks.to(gives.dtype)
        runs = set(range(len(candidates)) if chosen is None else chosen)
        left = [p for p in self._blocks if p in runs]
        mix = skipped = None
        if left:
            share = candidates[self._blocks].sum()
            mix = self._mixed(of_input, candidates[self._blocks] / share.clamp_min(_LEAST), left, share * mask)
        if self.skip and self._skip in runs:
            skipped = candidates[self._skip] * (1 - keeps) * mask
        return Weights(mix, skipped, keeps)

    def masked(self, x: Tensor, weights: Weights) -> Tensor:
        """All options weighted: (N, widest input, H, W) -> (N, widest output, H', W')."""
        parts = [] if weights.mix is None else [self._run(x, weights.mix)]
        if weights.skipped is not None:
            made = self._skipped(x, max(self.ins), max(self.outs))
            parts.append(weights.skipped[:, None, None].to(x.dtype) * made)
        if isinstance(weights.keeps, Tensor):
            parts.append(weights.keeps * resized(x, max(self.outs)))
        elif weights.keeps:
            parts.append(x)
        return sum(parts[1:], start=parts[0])

    def sliced(self, x: Tensor, i: int, j: int, position: int) -> Tensor:
        """One candidate with one choice of channels: (N, ins[i], H, W) -> (N, outs[j], H', W')

        It runs on views of the weights, so that what it learns the block has learnt.
        """
        c_in, c_out = self.ins[i], self.outs[j]
        keeps = self._keeps[i][j]
        if position == self._skip:
            return x if keeps else self._skipped(x, c_in, c_out)
        form = self._forms[i][self._blocks.index(position)]
        taps = _middle(self._depthwise.weight[: form.mid], form.kernel)
        squeezed = None if form.squeeze else 0
        mix = _Mix(c_in, form.mid, form.squeeze, c_out, taps, [(form.activation, None)], squeezed=squeezed)
        widest = self._depthwise.weight.shape[0]
        step = -(-widest // _WIDTHS)
        found = self._run(x, mix, min(widest, -(-form.mid // step) * step))
        return x + found if keeps else found

    @torch.no_grad()
    def copy_of(self, i: int, j: int, position: int) -> nn.Module:
        """A candidate alone with one choice of channels, residual included, with a copy of its weights."""
        layer = self.rows[0][j] if self.is_tied else self.rows[i][j]
        module = empty_operator(layer.operator(layer.candidates[position]))
        convs = [part for part in module.modules() if isinstance(part, nn.Conv2d)]
        norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
        mine = [*self.convs[:-1], *self.squeezes, *self.convs[-1:]]
        if position == self._skip:
            mine, own_norms = list(self.skip)[:1], list(self.skip)[1:]
        else:
            own_norms = list(self.norms)
            if not self._forms[i][self._blocks.index(position)].squeeze:
                mine = list(self.convs)
        if isinstance(module, nn.Identity):
            return module
        for conv, widest in zip(convs, cast("list[nn.Conv2d]", mine), strict=True):
            kernel = conv.weight.shape[-1]
            conv.weight.copy_(_middle(prefix(widest.weight, (*conv.weight.shape[:2],)), kernel))
            if conv.bias is not None:
                conv.bias.copy_(cast(Tensor, widest.bias)[: len(conv.bias)])
        for norm, widest_norm in zip(norms, own_norms, strict=True):
            theirs = widest_norm.state_dict()
            for name, value in norm.state_dict().items():
                value.copy_(prefix(theirs[name], value.shape))
        return module

    @property
    def _always_keeps(self) -> bool:
        """Whether input and output have one shape whatever is chosen."""
        return self.is_tied or all(all(row) for row in self._keeps)

    @property
    def _depthwise(self) -> nn.Conv2d:
        return cast(nn.Conv2d, self.convs[-2])

    def _kept(self, given: Tensor | None, gives: Tensor) -> Tensor | int:
        """The probability that the layer keeps its shape."""
        if self.is_tied:
            return 1
        assert given is not None
        if not any(any(row) for row in self._keeps):
            return 0
        return given @ self.keeps.to(given.dtype) @ gives

    def _mixed(self, of_input: Tensor, shares: Tensor, left: Sequence[int], gain: Tensor) -> _Mix:
        """The widest block with its options weighted by the gates of inputs and the shares of blocks."""
        forms = self._forms[-1]
        used = [self._blocks.index(position) for position in left]
        joint = of_input[:, None] * shares[None]  # (inputs, blocks)
        mid_mask = _by_place(joint, self.mid_places, self.mid_masks)
        weight = self._depthwise.weight
        if len(self._kernels) > 1:
            taps = torch.zeros_like(weight)
            for kernel in self._kernels:
                share = sum_of(shares, [b for b, form in enumerate(forms) if form.kernel == kernel])
                taps = taps + share * _cropped(weight, kernel)
            weight = taps
        names = dict.fromkeys(forms[block].activation for block in used)
        activations: list[tuple[str, Tensor | None]] = [
            (name, sum_of(shares, [b for b, form in enumerate(forms) if form.activation == name])) for name in names
        ]
        if len(self._activations) == 1:
            activations = [(self._activations[0], None)]
        with_squeeze = [b for b, form in enumerate(forms) if form.squeeze]
        squeezed: Tensor | int | None = 0
        squeeze_mask = None
        if any(forms[block].squeeze for block in used):
            share = sum_of(shares, with_squeeze)
            squeezed = None if len(with_squeeze) == len(forms) else share
            own = joint[:, with_squeeze] / share.clamp_min(_LEAST)
            squeeze_mask = _by_place(own, self.squeeze_places[:, with_squeeze], self.squeeze_masks)
        return _Mix(
            max(self.ins),
            weight.shape[0],
            self.squeeze_masks.shape[1],
            max(self.outs),
            weight,
            activations,
            mid_mask if len(self.mid_masks) > 1 else None,
            squeeze_mask,
            squeezed,
            gain,
        )

    def _run(self, x: Tensor, mix: _Mix, width: int = 0) -> Tensor:
        """The block without its residual: (N, c_in, H, W) -> (N, c_out, H', W')

        width: `depthwise_conv`'s.
        """
        convs, norms = cast("list[nn.Conv2d]", self.convs), cast("list[nn.BatchNorm2d]", self.norms)
        if len(self.convs) == 3:
            x = pointwise_conv(x, convs[0].weight[: mix.mid, : mix.c_in])
            x = _activated(self._norm(x, norms[0], mix.mid), mix)
        x = depthwise_conv(x, mix.taps, self.stride, width)
        x = _activated(self._norm(x, norms[-2], mix.mid), mix)
        if not isinstance(mix.squeezed, int):
            gate = self._gate(x, mix)
            x = x * (gate if mix.squeezed is None else 1 + mix.squeezed * (gate - 1))
        x = pointwise_conv(x, convs[-1].weight[: mix.c_out, : mix.mid])
        return self._norm(x, norms[-1], mix.c_out, mix.gain)

    def _gate(self, x: Tensor, mix: _Mix) -> Tensor:
        """Squeeze-and-excitation's gate, (N, mid, 1, 1)."""
        reduce, enlarge = cast("list[nn.Conv2d]", self.squeezes)
        bias, back = cast(Tensor, reduce.bias), cast(Tensor, enlarge.bias)
        first, second = (_ACTIVATIONS[name] for name in self._gate_activations)
        mean = x.mean((2, 3), keepdim=True)
        small = first(pointwise_conv(mean, reduce.weight[: mix.squeeze, : mix.mid], bias[: mix.squeeze]))
        small = small if mix.squeeze_mask is None else small * mix.squeeze_mask[:, None, None].to(small.dtype)
        return second(pointwise_conv(small, enlarge.weight[: mix.mid, : mix.squeeze], back[: mix.mid]))

    def _skipped(self, x: Tensor, c_in: int, c_out: int) -> Tensor:
        """The 1x1 convolution that stands for a skip that changes the shape."""
        conv, norm = cast(nn.Conv2d, self.skip[0]), cast(nn.BatchNorm2d, self.skip[1])
        x = x[:, :, :: self.stride, :: self.stride]
        return F.relu(self._norm(pointwise_conv(x, conv.weight[:c_out, :c_in]), norm, c_out))

    def _norm(self, x: Tensor, norm: nn.BatchNorm2d, count: int, gain: Tensor | None = None) -> Tensor:
        mean, variance = cast(Tensor, norm.running_mean)[:count], cast(Tensor, norm.running_var)[:count]
        weight, bias = norm.weight[:count], norm.bias[:count]
        if gain is not None:
            weight, bias = weight * gain, bias * gain
        return F.batch_norm(x, mean, variance, weight, bias, self.training, norm.momentum or 0.0, norm.eps)

    out_masks: Tensor
    keeps: Tensor
    mid_masks: Tensor
    mid_places: Tensor
    squeeze_masks: Tensor
    squeeze_places: Tensor


def sum_of(shares: Tensor, positions: Sequence[int]) -> Tensor:
    """The sum of the shares at these positions."""
    return shares[list(positions)].sum()


def _masks(sizes: Sequence[int]) -> Tensor:
    """(sizes, largest size): of each so many ones, then zeros."""
    return (torch.arange(max(sizes))[None] < torch.tensor(sizes)[:, None]).float()


def _by_place(joint: Tensor, places: Tensor, masks: Tensor) -> Tensor:
    """The sum of masks, each times what stands at its places."""
    weights = joint.new_zeros(len(masks)).index_add(0, places.flatten(), joint.flatten())
    return weights @ masks.to(weights.dtype)


def _activated(x: Tensor, mix: _Mix) -> Tensor:
    """The activations, weighted, of the channels inside."""
    mask, found = mix.mid_mask, None
    for name, weight in mix.activations:
        made = _ACTIVATIONS[name](x)
        factor = weight if mask is None else mask[:, None, None] if weight is None else weight * mask[:, None, None]
        part = made if factor is None else made * factor.to(made.dtype)
        found = part if found is None else found + part
    assert found is not None
    return found


def resized(x: Tensor, channels: int) -> Tensor:
    """The first channels; zeros where there are not so many."""
    more = channels - x.shape[1]
    return F.pad(x, (0, 0, 0, 0, 0, more)) if more > 0 else x[:, :channels]


def prefix(value: Tensor, shape: Sequence[int]) -> Tensor:
    """The first part of each dimension, so that it has this shape in those that are named."""
    return value[tuple(slice(0, size) for size in shape)]


def _middle(weight: Tensor, kernel: int) -> Tensor:
    """The middle taps of a kernel."""
    off = (weight.shape[-1] - kernel) // 2
    return weight[..., off : off + kernel, off : off + kernel]


def _cropped(weight: Tensor, kernel: int) -> Tensor:
    """The same with zeros around it."""
    off = (weight.shape[-1] - kernel) // 2
    return F.pad(_middle(weight, kernel), (off,) * 4) if off else weight
