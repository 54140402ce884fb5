"""K adapters on one frozen model, in one pass: sample `i` of a batch of `K m` runs through adapter `i // m`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from math import prod
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from loraleak.types import Factors, StackedFactors

__all__ = ["Stack"]


class Stack:
    """The factors of K adapters: one row an adapter, so that an optimiser updates all of them at once.

    Adapters of a lower rank than the highest are filled up with zeros, which stay zero: a factor's gradient is a product with the
    other factor. `down[name]` is `[adapters, rank, d_in]` (`[adapters, rank, c_in, height, width]` for a convolution), `up[name]`
    `[adapters, d_out, rank]`; both are views of `values`, and their gradients of `gradients`.
    """

    def __init__(self, shapes: Mapping[str, torch.Size], ranks: Sequence[int], scales: Sequence[float], like: Tensor) -> None:
        """`shapes` of the weights by name; ranks and scales by adapter; dtype and device as `like`."""
        self.shapes = dict(shapes)
        self.ranks = tuple(ranks)
        self.scales = torch.tensor(scales, dtype=like.dtype, device=like.device)
        self._rank = max(ranks)
        size = self._rank * sum(prod(shape[1:]) + shape[0] for shape in shapes.values())
        self.values: Float[Tensor, "adapters size"] = torch.zeros(len(ranks), size, dtype=like.dtype, device=like.device)
        self.gradients: Float[Tensor, "adapters size"] = torch.zeros_like(self.values)
        self._view()

    @classmethod
    def holding(cls, weights: StackedFactors, shapes: Mapping[str, torch.Size], like: Tensor) -> "Stack":
        """A stack of these adapters, frozen: gradients pass through them and do not reach them."""
        rank = next(iter(weights.up.values())).shape[-1]
        stack = cls(shapes, [rank] * len(weights.scales), weights.scales.tolist(), like)
        with torch.no_grad():
            for name in shapes:
                stack.down[name].copy_(weights.down[name])
                stack.up[name].copy_(weights.up[name])
        stack.down = {name: value.detach() for name, value in stack.down.items()}
        stack.up = {name: value.detach() for name, value in stack.up.items()}
        return stack

    def __len__(self) -> int:
        return len(self.ranks)

    def keep(self, count: int) -> None:
        """Keep the first `count` adapters and drop the others."""
        self.ranks, self.scales = self.ranks[:count], self.scales[:count]
        self.values, self.gradients = self.values[:count], self.gradients[:count]
        self._view()

    def copies(self, of: Sequence[int]) -> "Stack":
        """A stack whose row `i` is a copy of adapter `of[i]`: one backward pass gives every copy a gradient of its own."""
        made = copy(self)
        made.ranks, made.scales = tuple(self.ranks[k] for k in of), self.scales[list(of)]
        made.values = self.values[list(of)]
        made.gradients = torch.zeros_like(made.values)
        made._view()
        return made

    @torch.no_grad()
    def start(self, draw: Sequence[Float[Tensor, " _size"]]) -> None:
        """Start as peft does: A uniform within `1 / sqrt(fan_in)`, B zero. `draw[k]`: `width(k)` uniform numbers in [0, 1)."""
        self.values.zero_()
        for k, numbers in enumerate(draw):
            widths = [prod(shape[1:]) for shape in self.shapes.values()]
            parts = numbers.to(self.values).split([self.ranks[k] * width for width in widths])
            for down, width, part in zip(self.down.values(), widths, parts, strict=True):
                down[k, : self.ranks[k]] = ((2 * part - 1) / width**0.5).view_as(down[k, : self.ranks[k]])

    def width(self, k: int) -> int:
        """Count of the numbers in the factors A of adapter `k`."""
        return self.ranks[k] * sum(prod(shape[1:]) for shape in self.shapes.values())

    def places(self, side: Literal["down", "up"], rank: int | None = None) -> Int[Tensor, " places"]:
        """Columns of `values` that hold the factors A, or B, of an adapter of this rank; None means the highest rank."""
        rank = self._rank if rank is None else rank
        found, offset = [], 0
        for shape in self.shapes.values():
            sizes = {"down": (self._rank, prod(shape[1:])), "up": (shape[0], self._rank)}
            for which, size in sizes.items():
                columns = torch.arange(offset, offset + prod(size), device=self.values.device).view(size)
                offset += prod(size)
                if which == side:
                    found.append((columns[:rank] if side == "down" else columns[:, :rank]).flatten())
        return torch.cat(found)

    def differentiate(self, loss: Float[Tensor, ""]) -> None:
        """Put the loss's gradient into `gradients`."""
        found = torch.autograd.grad(loss, self._leaves, materialize_grads=True)
        torch._foreach_copy_(self._slots, found)

    def factors(self, k: int) -> dict[str, Factors]:
        """Adapter `k`, copied out at its own rank."""
        rank, scale = self.ranks[k], float(self.scales[k])
        taken = {}
        for name, shape in self.shapes.items():
            down = self.down[name][k, :rank].detach().cpu().clone()
            up = self.up[name][k, :, :rank].detach().cpu().clone()
            taken[name] = Factors(down=down, up=up.view(*up.shape, *(1,) * (len(shape) - 2)), scale=scale)
        return taken

    @contextmanager
    def installed(self, places: Mapping[str, tuple[nn.Module, str]]) -> Iterator[None]:
        """Context in which the models run with all adapters; afterwards they are as they were. `places` gives model and path.

        An adapter that is attached on its own is put aside meanwhile.
        """
        replaced: list[tuple[nn.Module, str, nn.Module]] = []
        try:
            for name in self.shapes:
                model, path = places[name]
                parent_path, _, attribute = path.rpartition(".")
                parent = model.get_submodule(parent_path)
                there = parent.get_submodule(attribute)
                layer = getattr(there, "base_layer", there)
                if not isinstance(layer, nn.Linear | nn.Conv2d):
                    raise TypeError(f"{name} is a {type(layer).__name__}, and only linear layers and convolutions take factors")
                replaced.append((parent, attribute, there))
                setattr(parent, attribute, _Stacked(layer, self, name))
            yield
        finally:
            for parent, attribute, layer in replaced:
                setattr(parent, attribute, layer)

    def _view(self) -> None:
        self.down: dict[str, Tensor] = {}
        self.up: dict[str, Tensor] = {}
        self._leaves: list[Tensor] = []
        self._slots: list[Tensor] = []
        offset = 0
        for name, shape in self.shapes.items():
            for side, factor in ((self.down, (self._rank, *shape[1:])), (self.up, (shape[0], self._rank))):
                part = slice(offset, offset + prod(factor))
                offset = part.stop
                side[name] = self.values[:, part].view(len(self), *factor).requires_grad_()
                self._leaves.append(side[name])
                self._slots.append(self.gradients[:, part].view(len(self), *factor))


class _Stacked(nn.Module):
    """A frozen layer and what each adapter adds to it."""

    def __init__(self, layer: nn.Linear | nn.Conv2d, stack: Stack, name: str) -> None:
        super().__init__()
        self.layer = layer
        self.stack = stack
        self.name = name

    @property
    def weight(self) -> Tensor:
        return self.layer.weight

    @property
    def bias(self) -> Tensor | None:
        return self.layer.bias

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x)
        # the factors stay float32, in which they are learned; products on a base in half precision are in half precision
        down, up, scales = (f.to(x.dtype) for f in (self.stack.down[self.name], self.stack.up[self.name], self.stack.scales))
        if isinstance(self.layer, nn.Conv2d):
            return out + _convolved(x, down, up * scales.view(-1, 1, 1), self.layer)
        rows = x.reshape(len(down), -1, x.shape[-1])
        inner = torch.bmm(rows, down.transpose(1, 2)) * scales.view(-1, 1, 1)
        return torch.baddbmm(out.view(len(down), -1, out.shape[-1]), inner, up.transpose(1, 2)).view_as(out)


def _convolved(
    x: Float[Tensor, "batch c_in height width"],
    down: Float[Tensor, "adapters rank c_in kh kw"],
    up: Float[Tensor, "adapters c_out rank"],
    layer: nn.Conv2d,
) -> Float[Tensor, "batch c_out h w"]:
    adapters, rank = down.shape[:2]
    each = len(x) // adapters
    grouped = x.view(adapters, each, *x.shape[1:]).transpose(0, 1).flatten(1, 2)
    padding = layer.padding if isinstance(layer.padding, str) else tuple(layer.padding)
    inner = F.conv2d(grouped, down.flatten(0, 1), None, layer.stride, padding, layer.dilation, groups=adapters)
    height, width = inner.shape[-2:]
    inner = inner.view(each, adapters, rank, height * width).permute(1, 2, 0, 3).flatten(2)
    update = torch.bmm(up, inner).view(adapters, -1, each, height, width)
    return update.transpose(1, 2).flatten(0, 1)
