"""DP-SGD over the LoRA factors: the only defence here whose promise holds against every attack."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from loraleak.bases import DiffusersBase
from loraleak.defences.accounting import Subsampling, noise_for, sampled_epsilon
from loraleak.defences.guarantee import Guarantee, why_none
from loraleak.defences.protocol import TrainingTime
from loraleak.defences.training.private_steps import Mechanism, PrivateTrainer
from loraleak.errors import UsageError
from loraleak.finetuning import Job, Recipe, Snapshot, finetune_together

__all__ = ["DpSgd"]


@dataclass(frozen=True)
class DpSgd(TrainingTime):
    """Clipped gradients of each private image, with noise (Abadi et al. 2016). AdamW and all that follow are
    post-processing."""

    name: ClassVar[str] = "dp-sgd"
    epsilon: float = 8.0
    """Epsilon of one private image. Its noise multiplier depends on the recipe's steps and batch and the number of images."""
    noise: float | None = None
    """The noise multiplier itself, instead of epsilon."""
    delta: float = 1e-5
    clip: float = 0.01
    """Largest norm of one image's gradient. Half of pocket's are above 0.01. Look at your own base's, because a clip far above
    them only adds noise."""
    multiplicity: int = 4
    """Timesteps and noises an image, averaged before its gradient is clipped (De et al. 2022). They cost time, not privacy."""
    sampling: Subsampling = "poisson"
    """Choice of a step's images. `poisson`: each takes part by a coin of its own, recipe.batch of them on average; `shuffle`:
    exactly that many, in turn, which nobody can account for."""
    batch: int | None = None
    """Private images a step on average, instead of the recipe's. With a fixed epsilon, noise weighs less with more images."""
    learning_rate: float | None = None
    """Learning rate, instead of the recipe's, which may be too low for noisy steps."""
    freeze_down: bool = False
    """Train only the factors B (FFA-LoRA, Sun et al. 2024), with half the numbers and half the noise's power."""

    def __post_init__(self) -> None:
        faults = [
            f"{name} is {value:g}, it must be above 0"
            for name, value in (("epsilon", self.epsilon), ("clip", self.clip))
            if not value > 0
        ]
        if not 0 < self.delta < 1:
            faults.append(f"delta is {self.delta:g}, give a number between 0 and 1")
        if self.noise is not None and not self.noise >= 0:
            faults.append(f"noise is {self.noise:g}, it must be at least 0")
        if self.multiplicity < 1:
            faults.append(f"multiplicity is {self.multiplicity}, it must be at least 1")
        if self.batch is not None and self.batch < 1:
            faults.append(f"batch is {self.batch}, it must be at least 1")
        if self.learning_rate is not None and not self.learning_rate > 0:
            faults.append(f"learning_rate is {self.learning_rate:g}, it must be above 0")
        if self.sampling == "shuffle" and self.noise is None:
            faults.append("there is no epsilon for shuffle sampling: give noise=, or sampling=poisson")
        if faults:
            raise UsageError("dp-sgd: " + "; ".join(faults))

    @property
    def says(self) -> str:
        return (
            "Clips what each private image may change in a step and drowns it in noise, so that no attack, known or not, can tell "
            "much about one image. With a handful of images the person as a whole is hardly protected."
        )

    def defended(self, recipe: Recipe) -> Recipe:
        return replace(
            recipe,
            batch=recipe.batch if self.batch is None else self.batch,
            learning_rate=recipe.learning_rate if self.learning_rate is None else self.learning_rate,
        )

    def finetune_together(self, base: DiffusersBase, jobs: Sequence[Job], *, quiet: bool = False) -> Iterator[Snapshot]:
        """Train with noise. Raises: TrainingError, if a step moves no factor B; MissingExtraError, without Opacus."""
        defended = [replace(job, recipe=self.defended(job.recipe)) for job in jobs]
        return finetune_together(base, defended, quiet=quiet, trainer=self._trainer)

    def guarantee(self, recipe: Recipe, images: int) -> Guarantee:
        """Guarantee of the adapter after all steps, and so of every snapshot together.

        Raises: MissingExtraError, without Opacus.
        """
        recipe = self.defended(recipe)
        noise, rate = self.noise_multiplier(recipe, images), _rate(recipe, images)
        poisson = self.sampling == "poisson"
        facts = Guarantee(
            "Poisson-subsampled Gaussian" if poisson else "Gaussian noise on shuffled batches",
            noise_multiplier=noise,
            sampling_rate=rate,
            steps=recipe.steps,
        )
        why = why_none(noise, recipe.seed) if poisson else "accounting holds for Poisson sampling alone"
        if why is not None:
            return replace(facts, why_none=why)
        return replace(
            facts,
            accountant="PRV or RDP, the lower one",
            epsilon_image=sampled_epsilon(noise, rate, recipe.steps, self.delta),
            epsilon_person=sampled_epsilon(noise, rate, recipe.steps, self.delta, group=images),
            delta=self.delta,
        )

    def noise_multiplier(self, recipe: Recipe, images: int) -> float:
        """Noise multiplier for this many private images, by a defended recipe.

        Raises: UsageError, if no noise is enough for epsilon.
        """
        if self.noise is not None:
            return self.noise
        return noise_for(self.epsilon, _rate(recipe, images), recipe.steps, self.delta, sampling=self.sampling)

    def _trainer(self, base: DiffusersBase, jobs: Sequence[Job]) -> PrivateTrainer:
        noise = [self.noise_multiplier(job.recipe, len(job.images)) for job in jobs]
        mechanism = Mechanism(noise, self.clip, self.sampling, self.multiplicity)
        return PrivateTrainer(base, jobs, mechanism=mechanism, freeze_down=self.freeze_down)


def _rate(recipe: Recipe, images: int) -> float:
    """Probability with which an image takes part in a step."""
    return min(1.0, recipe.batch / images)
