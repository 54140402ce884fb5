"""SMP-LoRA, which learns the images in a way by which an attacker cannot tell them from others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from loraleak.bases import DiffusersBase
from loraleak.defences.protocol import TrainingTime
from loraleak.defences.training.proxies import Proxies
from loraleak.errors import UsageError
from loraleak.finetuning import Checkpoints, Job, Snapshot, Trainer, finetune_together, side_generator
from loraleak.people import identity_folders, read_photos
from loraleak.types import Images, Picture

__all__ = ["SmpLora", "SmpTrainer"]


@dataclass(frozen=True)
class SmpLora(TrainingTime):
    """Training that minimises `adaptation loss / (1 - weight * gain)`. `gain` is that of a proxy attacker, which is trained in
    alternation (Luo et al. 2025, AAAI, arXiv 2402.11989)."""

    name: ClassVar[str] = "smp-lora"
    says: ClassVar[str] = (
        "Trains against an attacker that tells the private photos by how well the model knows them. It holds against attackers of "
        "that kind, as far as they are no better."
    )
    weight: float = 10.0
    """Weight of the attacker (lambda); 0 is training without the defence."""
    attacker_rate: float = 0.01
    """The attacker's learning rate."""
    attacker_steps: int = 2
    """The attacker's steps for each of the adapter's."""
    nonmembers: str = ""
    """Folder of identity folders with public people; empty takes the class images."""

    def __post_init__(self) -> None:
        faults = [f"weight is {self.weight:g}, it must be at least 0"] if not self.weight >= 0 else []
        if not self.attacker_rate > 0:
            faults.append(f"attacker_rate is {self.attacker_rate:g}, it must be above 0")
        if self.attacker_steps < 1:
            faults.append(f"attacker_steps is {self.attacker_steps}, it must be at least 1")
        if faults:
            raise UsageError("smp-lora: " + "; ".join(faults))

    def finetune_together(self, base: DiffusersBase, jobs: Sequence[Job], *, quiet: bool = False) -> Iterator[Snapshot]:
        """Train against the attacker.

        Raises: UsageError, if there are neither class images nor a folder of public people; PhotosError, as `read_photos`.
        """
        public = _public(self.nonmembers) if self.nonmembers else None
        return finetune_together(base, jobs, quiet=quiet, trainer=partial(SmpTrainer, settings=self, nonmembers=public))


class SmpTrainer(Trainer):
    """A trainer that divides DreamBooth's loss by `1 - weight * gain` of the attacker.

    The attacker sees how much the adapter lowers an image's error, and the timestep. The error alone, as published, varies by
    chance, which hides most of what the attacker could learn. Other images share the private ones' timesteps, noise and prompt.
    """

    def __init__(
        self,
        base: DiffusersBase,
        jobs: Sequence[Job],
        *,
        settings: SmpLora,
        nonmembers: Sequence[Picture] | Images | None,
    ) -> None:
        super().__init__(base, jobs)
        if nonmembers is None and not self.prior_batch:
            raise UsageError("smp-lora has no images to compare with: give nonmembers=FOLDER, or a prior_batch above 0")
        self.settings = settings
        self.others = None if nonmembers is None else base.encode(nonmembers).to(self.stack.values)
        self.proxies = Proxies([recipe.seed for recipe in self.recipes], self.stack.values, settings.attacker_rate)

    def keep(self, count: int) -> None:
        super().keep(count)
        self.proxies.keep(count)

    def differentiate(self, step: int) -> Float[Tensor, " adapters"]:
        with torch.no_grad():
            self._without = self.errors(*self._beside(step), self.debiased)
        return super().differentiate(step)

    def losses(self, step: int) -> Float[Tensor, " adapters"]:
        batch, beside = self.batch, self._beside(step)
        error = self.errors(*beside, self.debiased)
        lowered = error.clamp(min=1e-8).log() - self._without.clamp(min=1e-8).log()
        features = torch.stack([lowered, beside[2].to(error) / self.base.noise_levels], dim=2)
        members, others = features[:, :batch], features[:, -batch:]
        gain = self.proxies.gain(members, others, self.proxies.values.clone())
        for _ in range(self.settings.attacker_steps):
            self.proxies.train(members.detach(), others.detach())
        return self.adaptation(error[:, :-batch]) / (1 - self.settings.weight * gain)

    def _beside(self, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The examples of a step, with as many images of others as private ones."""
        latents, *drawn = self.examples(step)
        noise, times, states = (torch.cat([part, part[:, : self.batch]], dim=1) for part in drawn)
        return torch.cat([latents, self._others(step)], dim=1), noise, times, states

    @property
    def tensors(self) -> dict[str, Tensor]:
        mine = self.proxies
        attacker = {"proxies": mine.values, "proxies.first": mine.optimiser.first, "proxies.second": mine.optimiser.second}
        return {**super().tensors, **attacker}

    def resume(self, checkpoints: Checkpoints) -> int:
        begun = super().resume(checkpoints)
        self.proxies.optimiser.steps = begun * self.settings.attacker_steps
        return begun

    def _others(self, step: int) -> Float[Tensor, "adapters batch channels h w"]:
        return torch.stack([self._others_of(k, step) for k in range(len(self.recipes))])

    def _others_of(self, k: int, step: int) -> Float[Tensor, "batch channels h w"]:
        pool = self.prior[self.prior_of[k], : self.prior_counts[k]] if self.others is None else self.others
        chosen: Int[np.ndarray, " batch"] = side_generator(self.recipes[k].seed, step).integers(len(pool), size=self.batch)
        return pool[torch.from_numpy(chosen)]


def _public(folder: str) -> list[Picture]:
    return [photo.picture for person in identity_folders(Path(folder)) for photo in read_photos(person, whole=True)]
