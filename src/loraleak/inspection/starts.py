"""The start of an adapter: the random A of its first step, rebuilt from a seed that people commonly give.

The published attack reads `theta_s - theta_0` and so needs `theta_0`, which nobody who downloads a file was thought to have. But
training scripts draw it from torch's generator, from a seed that their examples name, and A hardly moves while B learns.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from loraleak.types import Adapter

__all__ = ["COMMON_SEEDS", "Law", "Start", "find_start"]

Law = Literal["uniform", "normal"]
"""`uniform` within `1 / sqrt(fan_in)`: peft, kohya; `normal` with a deviation of `1 / rank`: diffusers before peft."""

_ROUND = (111, 123, 222, 321, 333, 420, 444, 512, 555, 666, 777, 888, 999, 1000, 1024, 1111, 1234, 1337, 2333, 3047, 3407, 4242)
_LONG = (5000, 8888, 9999, 10000, 12345, 31337, 54321, 65535, 100000, 114514, 123456, 424242, 1234567, 123456789)
_YEARS = tuple(range(2019, 2031))

COMMON_SEEDS: tuple[int, ...] = (*range(101), *sorted({*_ROUND, *_LONG, *_YEARS}))
"""Seeds of examples, tutorials and habit."""

_BY_CHANCE = 1e-6
"""How probable it may be that any of all the places looked at is as like by chance."""
_TIMES_DRAWN = 2
"""A layer is filled when it is made and filled anew by the LoRA library: numbers that were drawn, by numbers that were kept."""
_BLOCK = 16
"""torch draws normal numbers from pairs of uniform ones, in blocks of 16: eight radii, then eight angles."""


@dataclass(frozen=True)
class Start:
    """The start of an adapter's training."""

    seed: int
    law: Law
    down: Mapping[str, Float[Tensor, "rank *d_in"]]
    """A before the first step, for the modules whose numbers were found."""
    correlation: float
    """Between those numbers and A as it was shared, the mean over modules; 1 where A has not moved."""


def find_start(adapter: Adapter, seeds: Iterable[int] = COMMON_SEEDS, *, reach: int = 2**20) -> Start | None:
    """Look for the adapter's factors A among the first `reach` numbers of torch's generator under each seed.

    The first factor of each component is correlated with every place of the stream at once (by fast Fourier transform). A seed
    counts as found beyond what all these places reach by chance with a probability of 1e-6; all factors are then looked for in its
    stream. None where no seed is found: another seed, another library, draws on a GPU, more numbers drawn before, factors mixed since.
    """
    sizes = {name: f.down.numel() for name, f in adapter.factors.items() if f.down.numel() >= 2 * _BLOCK}
    if not sizes:
        return None
    first = {name.partition(".")[0]: name for name in sorted(sizes, reverse=True)}
    probes = list(first.values())
    seeds = tuple(seeds)
    places = len(seeds) * reach * len(get_args(Law)) * len(probes)
    for seed in seeds:
        stream = _Stream(seed, reach, longest=max(sizes.values()))
        for law in get_args(Law):
            likenesses = {name: stream.place(adapter.factors[name].down, law)[1] for name in probes}
            if any(like > _least(sizes[name], places) for name, like in likenesses.items()):
                return _rebuilt(adapter, sizes, seed, law, reach)
    return None


def _rebuilt(adapter: Adapter, sizes: Mapping[str, int], seed: int, law: Law, reach: int) -> Start:
    drawn = sum(f.down.numel() + f.up.numel() for f in adapter.factors.values())
    stream = _Stream(seed, reach + _TIMES_DRAWN * drawn, longest=max(sizes.values()))
    down, correlations = {}, []
    for name, size in sizes.items():
        shared = adapter.factors[name].down
        place, like = stream.place(shared, law)
        if like > _least(size, len(stream) * len(sizes)) and place + size <= len(stream):
            down[name] = _drawn(stream.numbers[place : place + size], law, shared)
            both = torch.stack([down[name].flatten(), shared.float().flatten()])
            correlations.append(float(torch.corrcoef(both)[0, 1]))
    return Start(seed, law, down, sum(correlations) / len(correlations))


class _Stream:
    """The first numbers of torch's generator under a seed, ready to be searched."""

    def __init__(self, seed: int, reach: int, *, longest: int) -> None:
        self.numbers = torch.rand(reach, generator=torch.Generator().manual_seed(seed))
        self.length = 2 ** math.ceil(math.log2(reach + longest))
        self.spectrum = torch.fft.rfft(_standardised(self.numbers), n=self.length)

    def __len__(self) -> int:
        return len(self.numbers)

    def place(self, down: Float[Tensor, "rank *d_in"], law: Law) -> tuple[int, float]:
        """The place where this factor is most like the stream, and the correlation there."""
        pattern = _undrawn(down.float().flatten(), law)
        against = torch.fft.rfft(pattern, n=self.length).conj()
        likeness = torch.fft.irfft(self.spectrum * against, n=self.length)[: len(self)] / len(pattern)
        like, place = likeness.max(0)
        return int(place), float(like)


def _undrawn(values: Float[Tensor, " size"], law: Law) -> Float[Tensor, " size"]:
    """The uniform numbers that gave these values, of mean 0 and variance 1."""
    if law == "normal":
        whole = values[: len(values) // _BLOCK * _BLOCK]
        first, second = (whole / whole.std()).view(-1, 2, _BLOCK // 2).unbind(1)
        radii = 1 - (-(first.square() + second.square()) / 2).exp()
        angles = torch.atan2(second, first).div(2 * math.pi).remainder(1)
        values = torch.stack([radii, angles], 1).flatten()
    return _standardised(values)


def _drawn(numbers: Float[Tensor, " size"], law: Law, like: Float[Tensor, "rank *d_in"]) -> Float[Tensor, "rank *d_in"]:
    """What a training script makes of these uniform numbers."""
    rank, width = len(like), like[0].numel()
    if law == "uniform":
        return ((2 * numbers - 1) / width**0.5).view_as(like)
    whole = len(numbers) // _BLOCK * _BLOCK
    radii, angles = numbers[:whole].view(-1, 2, _BLOCK // 2).unbind(1)
    radii, angles = (-2 * torch.log1p(-radii)).sqrt(), 2 * math.pi * angles
    values = torch.stack([radii * angles.cos(), radii * angles.sin()], 1).flatten()
    rest = like.flatten()[whole:].float() * rank  # fewer than a block: drawn in another way, left as shared
    return (torch.cat([values, rest]) / rank).view_as(like)


def _standardised(values: Float[Tensor, " size"]) -> Float[Tensor, " size"]:
    return (values - values.mean()) / values.std()


def _least(size: int, places: int) -> float:
    """The correlation of `size` numbers that none of so many places reaches by chance (a Gaussian tail)."""
    return math.sqrt(2 * math.log(places / _BY_CHANCE) / size)
