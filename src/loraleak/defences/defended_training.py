"""Fine-tuning on one person's images, with or without a defence. It gives the adapter and its guarantee."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loraleak.bases import DiffusersBase
from loraleak.defences.chain import in_training
from loraleak.defences.guarantee import Guarantee
from loraleak.defences.protocol import Defence, TrainingTime
from loraleak.defences.undefended import UNDEFENDED
from loraleak.errors import UsageError
from loraleak.finetuning import Checkpoints, Job, Recipe, is_secret, secret_seed
from loraleak.types import Adapter, Images, Picture

__all__ = ["Finetuned", "check_seed", "finetune"]


@dataclass(frozen=True)
class Finetuned:
    """A fine-tuned adapter. A secret seed is not kept."""

    adapter: Adapter
    guarantee: Guarantee
    recipe: Recipe
    """The recipe that was trained. A defence may have drawn its trigger. A secret seed stands as 0."""


def finetune(
    base: DiffusersBase,
    images: Sequence[Picture] | Images,
    recipe: Recipe,
    *,
    defence: Defence = UNDEFENDED,
    quiet: bool = False,
    checkpoints: Checkpoints | None = None,
) -> Finetuned:
    """Train an adapter on the images (DreamBooth: Ruiz et al. 2023; LoRA: Hu et al. 2022).

    Where `check_seed` wants a secret seed, 0, the default, is replaced by one that is drawn, so no two calls give the same adapter,
    and `checkpoints` are not kept. Elsewhere equal recipes give equal adapters.
    Raises: PhotosError, if there is no image; UsageError, if the seed must be secret and can be guessed.
    """
    training, job = in_training(defence), Job(images, recipe, checkpoints=checkpoints)
    if check_seed(recipe, training, len(images)) and not is_secret(recipe.seed):
        job = replace(job, recipe=replace(recipe, seed=secret_seed()), checkpoints=None)
    *_, last = training.finetune_together(base, [job], quiet=quiet)
    trained = replace(training.defended(job.recipe), seed=recipe.seed)
    return Finetuned(last.adapter, training.guarantee(job.recipe, len(images)), trained)


def check_seed(recipe: Recipe, training: TrainingTime, images: int) -> bool:
    """Whether the training needs a secret seed: it states an epsilon, or draws what nobody may know.

    Raises: UsageError, if it does and the recipe's seed can be guessed; 0 stands for one that is still to be drawn.
    """
    stated = training.guarantee(replace(recipe, seed=secret_seed()), images).stated
    wanted = stated or training.needs_secret_seed
    if wanted and recipe.seed and not is_secret(recipe.seed):
        hides, undoing = ("private images in noise", "take the noise off") if stated else ("what it draws", "draw the same")
        raise UsageError(
            f"{training.name} hides {hides}, and seed {recipe.seed} can be guessed, so anybody could {undoing}: leave the seed out, "
            "and a secret one is drawn"
        )
    return wanted
