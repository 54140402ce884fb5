"""The types that flow from room to room."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from loraleak.findings import Finding, Group, Severity

__all__ = [
    "Adapter",
    "Adversary",
    "ArmRole",
    "Embeddings",
    "Factors",
    "Finding",
    "Group",
    "Images",
    "Interval",
    "Picture",
    "Severity",
    "Sightings",
    "StackedFactors",
]

Picture = UInt8[np.ndarray, "_height _width 3"]
"""One RGB image, 0 to 255."""

Images = UInt8[np.ndarray, "images _height _width 3"]
"""RGB images of one size, 0 to 255."""

Embeddings = Float[np.ndarray, "_images dim"]
"""Unit vectors, one an image; their inner product is the raw cosine."""


@dataclass(frozen=True)
class Sightings:
    """People (or things) that an embedder found in pictures, one unit vector for each, picture after picture."""

    vectors: Float[np.ndarray, "found dim"]
    """Vectors of the first picture, then of the second, and so on. Within a picture they have the embedder's order."""
    counts: Int[np.ndarray, " pictures"]
    """Number of vectors of each picture; 0 where nobody was found."""

    @classmethod
    def one_each(cls, vectors: Embeddings) -> "Sightings":
        """Sightings by an embedder that sees a picture as a whole: one vector for each picture."""
        return cls(vectors, np.ones(len(vectors), np.int64))

    @classmethod
    def of(cls, pictures: Sequence[Float[np.ndarray, "_found dim"]]) -> "Sightings":
        """Sightings from the vectors of each picture, of which there is at least one."""
        return cls(np.concatenate(pictures), np.array([len(vectors) for vectors in pictures], np.int64))

    @classmethod
    def joined(cls, parts: Iterable["Sightings"]) -> "Sightings":
        """The pictures of all parts, in their order."""
        return cls.of([vectors for part in parts for vectors in part])

    @property
    def dim(self) -> int:
        return int(self.vectors.shape[1])

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.counts)

    def __iter__(self) -> Iterator[Float[np.ndarray, "_found dim"]]:
        """The vectors of each picture."""
        ends = np.cumsum(self.counts)
        return (self.vectors[end - count : end] for end, count in zip(ends, self.counts, strict=True))

    def select(self, pictures: Sequence[int]) -> "Sightings":
        """Sightings in these pictures alone, of which there is at least one."""
        vectors = list(self)
        return Sightings.of([vectors[i] for i in pictures])


ArmRole = Literal["attack", "control", "floor", "ceiling"]

Adversary = Literal["file", "base", "studied", "owner"]
"""Who could use an arm: anyone with the file, someone who compares it with the base, someone who studied many LoRAs, the owner."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95% interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Factors:
    """The update of one module, `dW = scale * up @ down`."""

    down: Float[Tensor, "rank *d_in"]
    """A: `[rank, d_in]`, or `[rank, c_in, kernel, kernel]` for a convolution."""
    up: Float[Tensor, "d_out rank *one"]
    """B: `[d_out, rank]`, or `[c_out, rank, 1, 1]`."""
    scale: float | None
    """alpha / rank (alpha / sqrt(rank) for rsLoRA); None where the file does not tell."""

    @property
    def rank(self) -> int:
        return int(self.down.shape[0])


@dataclass(frozen=True)
class Adapter:
    """One LoRA: low-rank factors by module, and the file's other facts. Immutable; `load_adapter` and `finetune` make it."""

    factors: Mapping[str, Factors]
    """Factors by dotted module path, component first: `unet.down_blocks.0.attentions.0...to_q`,
    `text_encoder.text_model...`."""
    format: str
    """The layout it was read from: `diffusers`, `peft`, ...; `memory` for one that has no file yet."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The header's own fields, as text that is hostile until escaped."""
    sha256: str = ""
    """Hash of the file's bytes; empty where there is no file yet."""
    residue: tuple[str, ...] = ()
    """Tensors that were not understood. They are listed, never dropped in silence."""
    magnitudes: Mapping[str, Tensor] = field(default_factory=dict)
    """DoRA's m by module, `[d_out, 1, *ones]` or `[1, d_in, *ones]`: the update is then `m (W + dW) / ||W + dW|| - W`, not dW."""
    families: tuple[str, ...] = ()
    """Families of bases that the file fits, the likeliest first; empty where it fits none that we know, or was never a file."""

    @property
    def ranks(self) -> tuple[int, int]:
        """The smallest and the largest rank."""
        ranks = [f.rank for f in self.factors.values()]
        return min(ranks), max(ranks)

    @property
    def scale_known(self) -> bool:
        return all(f.scale is not None for f in self.factors.values())


@dataclass(frozen=True)
class StackedFactors:
    """Adapters side by side, filled up with zeros to the highest rank."""

    down: Mapping[str, Float[Tensor, "_adapters rank *d_in"]]
    """A by module."""
    up: Mapping[str, Float[Tensor, "_adapters d_out rank"]]
    """B by module."""
    scales: Float[Tensor, " _adapters"]
    """alpha / rank."""
    ranks: Int[Tensor, " _adapters"]
    """Ranks before filling up."""

    def first(self, count: int) -> "StackedFactors":
        """The first `count` adapters."""
        down = {name: value[:count] for name, value in self.down.items()}
        up = {name: value[:count] for name, value in self.up.items()}
        return StackedFactors(down, up, self.scales[:count], self.ranks[:count])

    def to(self, target: torch.device | torch.dtype) -> "StackedFactors":
        """A copy on this device, or of this type."""
        down = {name: value.to(target) for name, value in self.down.items()}
        up = {name: value.to(target) for name, value in self.up.items()}
        return StackedFactors(down, up, self.scales.to(target), self.ranks)
