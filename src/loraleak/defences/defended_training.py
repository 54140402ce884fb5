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
    """A fine-tuned adapter. The seed of its noise is not kept."""

    adapter: Adapter
    guarantee: Guarantee


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

    Where the defence states an epsilon, the recipe's seed must be secret: 0, the default, is replaced by one that is drawn, so no two
    calls give the same adapter, and `checkpoints` are not kept. Elsewhere equal recipes give equal adapters.
    Raises: PhotosError, if there is no image; UsageError, if an epsilon is stated and the seed can be guessed.
    """
    training, job = in_training(defence), Job(images, recipe, checkpoints=checkpoints)
    if check_seed(recipe, training, len(images)) and not is_secret(recipe.seed):
        job = replace(job, recipe=replace(recipe, seed=secret_seed()), checkpoints=None)
    *_, last = training.finetune_together(base, [job], quiet=quiet)
    return Finetuned(last.adapter, training.guarantee(job.recipe, len(images)))


def check_seed(recipe: Recipe, training: TrainingTime, images: int) -> bool:
    """Whether the training states an epsilon, and so needs a secret seed.

    Raises: UsageError, if it does and the recipe's seed can be guessed; 0 stands for one that is still to be drawn.
    """
    stated = training.guarantee(replace(recipe, seed=secret_seed()), images).stated
    if stated and recipe.seed and not is_secret(recipe.seed):
        raise UsageError(
            f"{training.name} hides private images in noise, and seed {recipe.seed} can be guessed, so anybody could take the noise "
            "off: leave the seed out, and a secret one is drawn"
        )
    return stated
