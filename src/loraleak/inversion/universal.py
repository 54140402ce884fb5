"""The learned universal z, one key for all adapters: a control of reading, and an attack that needs no encoder."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from loraleak.bases import DiffusersBase
from loraleak.inversion.objective import decoding_loss
from loraleak.inversion.public import PublicPeople
from loraleak.progress import track

__all__ = ["learn_universal_z"]

_STEPS = 300
_ADAPTERS, _IMAGES = 16, 2
_RATE = 0.02


def learn_universal_z(
    base: DiffusersBase,
    public: PublicPeople,
    rows: Sequence[Int[np.ndarray, " rows"]],
    start: Float[Tensor, "tokens dim"],
    *,
    seed: int,
) -> Float[Tensor, "tokens dim"]:
    """Learn the one z with which these adapters best explain the pictures of their people, by Adam from `start`."""
    z = start.clone().to(base.device).requires_grad_()
    optimiser = torch.optim.Adam([z], lr=_RATE)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, _STEPS)
    sizes = np.array([len(r) for r in rows])
    for step in track(range(_STEPS), "learning the universal z", total=_STEPS):
        rng = np.random.default_rng([seed, 4, step])
        zoo = int(rng.choice(len(rows), p=sizes / sizes.sum()))
        chosen = rng.choice(rows[zoo], min(_ADAPTERS, len(rows[zoo])), replace=False)
        examples = public.examples(zoo, chosen)
        latents = public.images(examples.people, _IMAGES, rng)
        loss = decoding_loss(
            base,
            examples.weights,
            z.expand(len(chosen), -1, -1),
            latents,
            torch.from_numpy(rng.integers(base.noise_levels, size=latents.shape[:2])),
            torch.from_numpy(rng.standard_normal(latents.shape, dtype=np.float32)),
            strength=torch.ones(len(chosen)),
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rate.step()
    return z.detach().cpu()
