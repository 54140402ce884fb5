"""`loraleak finetune`: DreamBooth LoRA."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from loraleak.base_settings import BaseSettings
from loraleak.checks import out_of_bounds, refuse
from loraleak.cli.flags import Out
from loraleak.errors import OutputError, UsageError
from loraleak.finetuning import Recipe
from loraleak.silence import WEIGHTS_REMAIN

if TYPE_CHECKING:
    from loraleak.bases import DiffusersBase
    from loraleak.finetuning import Checkpoints
    from loraleak.people import PhotoFolder

__all__ = ["Finetune"]

_UNTRAINED = "This file changes nothing: training left every update at zero. Raise the learning rate."


@dataclass(frozen=True)
class Finetune:
    """Fine-tunes a LoRA on a folder of images."""

    photos: Positional[Path]
    """Folder with 3 to 20 images of one person or thing."""
    out: Out = Path("adapter.safetensors")
    """The adapter to write: a .safetensors file (diffusers layout), or a folder (PEFT layout)."""
    layout: Literal["diffusers", "peft"] = "diffusers"
    """Layout of the file: `diffusers` or `peft`."""
    defence: str = ""
    """A defence, with settings, such as dp-sgd:epsilon=8; docs/private-training.md and docs/defences.md list them. If it
    promises privacy, leave the seed out: a secret one is drawn, because its noise must not be known."""
    save_every: int = 0
    """Steps after which the training is kept beside the adapter, as <adapter>.checkpoint. 0 keeps nothing meanwhile."""
    resume: bool = False
    """Go on from the checkpoint of a stopped run. Only steps and learning rate may differ."""
    overwrite: bool = False
    """Replace the adapter that is there under this name."""
    json: bool = False
    """Print the facts of the adapter as JSON on stdout."""
    recipe: Recipe = field(default_factory=Recipe)
    base: BaseSettings = field(default_factory=BaseSettings)

    def __post_init__(self) -> None:
        refuse(*out_of_bounds(self, {"save_every": (0, 10_000_000)}))
        if self.save_every > self.recipe.steps:
            refuse(f"save_every is {self.save_every}, which is never reached in {self.recipe.steps} steps")
        if self.base.dtype == "float16":
            refuse("gradients vanish in float16: fine-tune with --dtype bfloat16, which takes the same memory")

    def run(self) -> int:
        from loraleak.outputs import check_new, check_room, save

        check_new(self.out, folder=self.layout == "peft", overwrite=self.overwrite)
        from loraleak.adapters import save_adapter
        from loraleak.arms import changes_nothing
        from loraleak.bases import load_base
        from loraleak.defences import check_seed, finetune, training_time
        from loraleak.finetuning.forecast import forecast
        from loraleak.people import read_photos
        from loraleak.progress import announce

        defence = training_time(self.defence)
        photos = read_photos(self.photos)
        for line in photos.lines:
            announce(line)
        private = check_seed(self.recipe, defence, len(photos))
        base = load_base(**self.base.choices)
        trained = defence.defended(self.recipe)
        checkpoints = self._checkpoints(base, photos)
        if private and checkpoints is not None:
            raise UsageError(
                f"{self.defence}: a training with a secret seed keeps no checkpoint: leave --save-every and --resume out"
            )
        check_room(self.out, _size(base, trained))
        announce(forecast(base, trained).says)
        pictures = [photo.picture for photo in photos] if private else photos.repeated
        if private and len(pictures) != len(photos.repeated):
            announce("each photo counts once: the repeats of kohya's folders would take the promise of this defence away")
        made = finetune(base, pictures, self.recipe, defence=defence, checkpoints=checkpoints)
        save(self.out, lambda place: save_adapter(made.adapter, place, self.layout))
        if checkpoints is not None:
            checkpoints.forget()
        known = asdict(made.recipe)
        if private:
            del known["seed"]  # whoever knows it can draw the same
        untrained = changes_nothing(made.adapter)
        facts = {
            "adapter": str(self.out),
            "layout": self.layout,
            "modules": len(made.adapter.factors),
            "changes_nothing": untrained,
            "prompt": made.recipe.prompt,
            "images": len(photos),
            "base": {"name": base.name, "sha256": base.sha256},
            "recipe": known,
            "defence": self.defence or None,
            "guarantee": made.guarantee.as_json(),
        }
        if self.json:
            print(json.dumps(facts))
        else:
            print(f"{self.out}: {len(photos)} {'image' if len(photos) == 1 else 'images'}, prompt “{made.recipe.prompt}”")
            if self.defence:
                print(f"{self.defence}: {made.guarantee.says}")
            print(_UNTRAINED if untrained else WEIGHTS_REMAIN)
        return 0

    @property
    def after_interrupt(self) -> str:
        """What an interrupted run left."""
        if self._kept.exists():
            return f"the last checkpoint is kept in {self._kept}; the same command with --resume goes on from there"
        return "nothing was written; the same command starts anew (--save-every N keeps the training meanwhile)"

    @property
    def _kept(self) -> Path:
        return self.out.with_name(f"{self.out.name}.checkpoint")

    def _checkpoints(self, base: "DiffusersBase", photos: "PhotoFolder") -> "Checkpoints | None":
        from loraleak.finetuning import Checkpoints

        if not self.save_every and not self.resume:
            return None
        if self._kept.exists() and not (self.resume or self.overwrite):
            fault = "it is the checkpoint of a stopped run"
            raise OutputError(fault, path=self._kept, remedy="--resume goes on from it, --overwrite starts anew")
        recipe = {name: value for name, value in asdict(self.recipe).items() if name not in ("steps", "learning_rate")}
        shared = [recipe, base.sha256, base.resolution, self.defence, [[photo.sha256, photo.repeats] for photo in photos]]
        digest = hashlib.sha256(json.dumps(shared).encode()).hexdigest()
        return Checkpoints(self._kept, digest, self.save_every, self.resume)


def _size(base: "DiffusersBase", recipe: Recipe) -> int:
    """Bytes of the file of an adapter, about."""
    from loraleak.finetuning import target_modules

    shapes = target_modules(base, recipe.targets, text_encoder=recipe.text_encoder).values()
    return sum(4 * recipe.rank * (shape[0] + prod(shape[1:])) for shape in shapes)
