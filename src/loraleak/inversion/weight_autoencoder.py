"""The weight autoencoder: it turns adapters into z, and the victim's own model decodes z. It is one file on disk."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from safetensors.torch import save
from torch import Tensor

from loraleak.bases import DiffusersBase, StableDiffusion
from loraleak.errors import UsageError
from loraleak.files import write_bytes
from loraleak.inversion.encoder import Encoder
from loraleak.inversion.invariant import InvariantEncoder, InvariantShape
from loraleak.inversion.posterior import Posterior
from loraleak.inversion.published import PublishedEncoder, PublishedShape
from loraleak.inversion.train_settings import Knowledge
from loraleak.inversion.weights import likeness_to_start, shown, stack_adapters
from loraleak.plugins import third_party
from loraleak.types import Adapter, StackedFactors

__all__ = ["ENCODERS", "SCHEMA", "Encoder", "WeightAutoencoder", "new_encoder"]

SCHEMA = "loraleak.attack/1"
_ALIKE = 0.1
"""Least cosine between the factors A of an adapter and of the start that it is taken to have. Another start has less than 0.02."""


@dataclass(frozen=True)
class WeightAutoencoder:
    """A trained encoder and what is known of z over public people (Yao 2024; the decoder is the victim's own denoiser)."""

    kind: str
    knowledge: Knowledge
    """Part of an adapter that is encoded."""
    encoder: Encoder
    base_sha256: str
    others: Float[Tensor, "people tokens dim"]
    """z of public people that the encoder was not trained on, for control arms."""
    mean_z: Float[Tensor, "tokens dim"]
    """The mean of z over public people."""
    universal_z: Float[Tensor, "tokens dim"]
    """One z that was learned to open every public adapter."""
    shared_start: int | None = None
    """Seed of the start that the victim is taken to have, with knowledge `shared-start`."""
    sha256: str = ""
    """Hash of the file's bytes; empty where there is no file yet."""

    @torch.no_grad()
    def encode(
        self,
        adapters: Sequence[Adapter],
        steps: Sequence[int | None] | None = None,
        *,
        seeds: Sequence[int] | None = None,
    ) -> Posterior:
        """`q(z | adapter, step)` of each adapter. An unknown step is None. `seeds` of the fine-tuning tell where it started.

        Raises: BaseMismatchError, if an adapter was trained for another base; UsageError, if the attack reads the change since the
        first step and the seeds are not known, or since a shared start that the adapter does not have.
        """
        posterior: Posterior = self.encoder(*self._read(adapters, steps, seeds))
        return posterior

    @torch.no_grad()
    def z(
        self,
        adapters: Sequence[Adapter],
        steps: Sequence[int | None] | None = None,
        *,
        seeds: Sequence[int] | None = None,
        seed: int = 0,
    ) -> Float[Tensor, "adapters tokens dim"]:
        """z of each adapter, the mean of the posterior; or what `seed` draws from it, if the encoder is one that draws.

        Raises: as `encode`.
        """
        return self.encoder.z(*self._read(adapters, steps, seeds), seed=seed)

    def _read(
        self, adapters: Sequence[Adapter], steps: Sequence[int | None] | None, seeds: Sequence[int] | None
    ) -> tuple[StackedFactors, Int[Tensor, " adapters"]]:
        weights = stack_adapters(adapters, self.encoder.shapes)
        if self.knowledge == "start" and seeds is None:
            raise UsageError(
                "this attack reads the change since the first step, and a file does not tell where it started: "
                "give the seeds, or take an attack that was trained with --knowledge file"
            )
        starts = seeds or ()
        if self.shared_start is not None:
            starts = [self.shared_start] * len(adapters)
            if (likeness := float(likeness_to_start(weights, starts).min())) < _ALIKE:
                raise UsageError(
                    f"this attack reads the change since seed {self.shared_start}, and an adapter did not start there (cosine "
                    f"{likeness:.2f}): take an attack that was trained with --knowledge file"
                )
        weights = shown(weights, self.knowledge, starts)
        counted = [0 if step is None else step for step in steps or [None] * len(adapters)]
        return weights, torch.tensor(counted)

    def random_z(self, count: int, *, seed: int) -> Float[Tensor, "count tokens dim"]:
        """Draw from a Gaussian with the mean and covariance of z over public people, the encoder's aggregate posterior."""
        others = self.others.flatten(1)
        centre = others.mean(0)
        draws = torch.randn(count, len(others), generator=torch.Generator().manual_seed(seed))
        return (centre + draws @ (others - centre) / len(others) ** 0.5).unflatten(1, self.others.shape[1:])

    def reads(self, adapter: Adapter) -> bool:
        """Whether the adapter has any module that the encoder reads."""
        return any(name in self.encoder.shapes for name in adapter.factors)

    def save(self, file: Path) -> None:
        """Write one safetensors file in half precision, whose header says what it is."""
        tensors = {f"encoder.{name}": value for name, value in self.encoder.state_dict().items()}
        tensors |= {"others": self.others, "mean_z": self.mean_z, "universal_z": self.universal_z}
        facts = {
            "schema": SCHEMA,
            "kind": self.kind,
            "knowledge": self.knowledge,
            "base_sha256": self.base_sha256,
            "condition": list(self.encoder.condition),
            "step_embedding": self.encoder.steps is not None,
            "shape": asdict(self.encoder.shape),
            "shapes": {name: list(shape) for name, shape in self.encoder.shapes.items()},
            **({} if self.shared_start is None else {"shared_start": self.shared_start}),
        }
        data = save({k: v.detach().half().contiguous() for k, v in tensors.items()}, metadata={"loraleak": json.dumps(facts)})
        write_bytes(file, data)


def new_encoder(
    kind: str,
    shapes: Mapping[str, torch.Size],
    base: DiffusersBase,
    *,
    steps: bool,
    condition: tuple[int, int] | None = None,
    sizes: Mapping[str, Any] | None = None,
    rank: int | None = None,
) -> Encoder:
    """An untrained encoder of z for this base, ours or a third party's; `rank` is the highest that it has to read.

    Raises: UsageError, if there is no such encoder, or if the base lacks what it needs.
    """
    known = ENCODERS | third_party("loraleak.encoders", ENCODERS)
    if kind not in known:
        raise UsageError(f"no encoder is called {kind!r}: choose from {', '.join(sorted(known))}")
    made: Encoder = known[kind](shapes, condition or base.condition_shape, base, steps=steps, sizes=sizes or {}, rank=rank)
    return made


def _invariant(
    shapes: Mapping[str, torch.Size],
    condition: tuple[int, int],
    base: DiffusersBase,
    *,
    steps: bool,
    sizes: Mapping[str, Any],
    rank: int | None,
    usual: Mapping[str, Any],
) -> Encoder:
    return InvariantEncoder(shapes, condition, InvariantShape(**{**usual, **sizes}), steps=steps)


def _published(
    shapes: Mapping[str, torch.Size],
    condition: tuple[int, int],
    base: DiffusersBase,
    *,
    steps: bool,
    sizes: Mapping[str, Any],
    rank: int | None,
) -> Encoder:
    if not isinstance(base, StableDiffusion):
        raise UsageError(f"the published encoder reads through a text encoder that {base.name!r} does not have: take invariant")
    shape = PublishedShape(**sizes)
    return PublishedEncoder(
        shapes, condition, shape if rank is None else replace(shape, rank=rank), base.transform, steps=steps
    )


_RIDGE = {"ridge": True, "second_order": True, "right_power": 0.5}
"""Sizes of `ridge`, which is `invariant` with them."""

ENCODERS: dict[str, Callable[..., Encoder]] = {
    "invariant": partial(_invariant, usual={}),
    "ridge": partial(_invariant, usual=_RIDGE),
    "published": _published,
}
"""Encoders by name. A new one is one more file and one more line here, or an entry point in the group `loraleak.encoders`: a callable
that takes `(shapes, condition, base, *, steps, sizes, rank)`."""
