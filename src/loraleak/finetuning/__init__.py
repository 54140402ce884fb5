"""Fine-tuning. In: a base, and jobs: private images with a recipe. Out: adapters. `loraleak.defences.finetune` calls it for one person.

Reading order: `recipe` (how an adapter is trained), `job` (one adapter to train), `checkpoints`
(a training that is kept meanwhile), `targets` (which layers get factors),
`randomness` (every draw, from the recipe's seed alone), `secrecy` (seeds that nobody can guess), `class_images` (prior preservation),
`optimiser`, `trainer` (one step), `stacked` (many adapters at once), `forecast` (time and memory). Names load on first use.
"""

from typing import TYPE_CHECKING

from loraleak.lazy import lazy

if TYPE_CHECKING:
    from loraleak.finetuning.checkpoints import Checkpoints as Checkpoints
    from loraleak.finetuning.job import Job as Job
    from loraleak.finetuning.optimiser import StackedAdamW as StackedAdamW
    from loraleak.finetuning.optimiser import clip_by_adapter as clip_by_adapter
    from loraleak.finetuning.randomness import Draw as Draw
    from loraleak.finetuning.randomness import draw_for as draw_for
    from loraleak.finetuning.randomness import gaussian_numbers as gaussian_numbers
    from loraleak.finetuning.randomness import poisson_sample as poisson_sample
    from loraleak.finetuning.randomness import shuffled_sample as shuffled_sample
    from loraleak.finetuning.randomness import side_generator as side_generator
    from loraleak.finetuning.randomness import start_numbers as start_numbers
    from loraleak.finetuning.recipe import LossWeighting as LossWeighting
    from loraleak.finetuning.recipe import Recipe as Recipe
    from loraleak.finetuning.recipe import Targets as Targets
    from loraleak.finetuning.secrecy import is_secret as is_secret
    from loraleak.finetuning.secrecy import secret_seed as secret_seed
    from loraleak.finetuning.stacked import Snapshot as Snapshot
    from loraleak.finetuning.stacked import finetune_together as finetune_together
    from loraleak.finetuning.targets import target_modules as target_modules
    from loraleak.finetuning.trainer import Trainer as Trainer

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "checkpoints": ["Checkpoints"],
        "job": ["Job"],
        "optimiser": ["StackedAdamW", "clip_by_adapter"],
        "randomness": [
            "Draw",
            "draw_for",
            "gaussian_numbers",
            "poisson_sample",
            "shuffled_sample",
            "side_generator",
            "start_numbers",
        ],
        "recipe": ["LossWeighting", "Recipe", "Targets"],
        "secrecy": ["is_secret", "secret_seed"],
        "stacked": ["Snapshot", "finetune_together"],
        "targets": ["target_modules"],
        "trainer": ["Trainer"],
    },
)
