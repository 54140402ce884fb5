"""`loraleak finetune`: DreamBooth LoRA."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from loraleak.base_settings import BaseSettings
from loraleak.cli.flags import Out
from loraleak.finetuning import Recipe
from loraleak.silence import WEIGHTS_REMAIN

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
    """A defence, with settings, such as dp-sgd:epsilon=8; docs/private-training.md and docs/defences.md list them. Where it
    promises privacy, leave the seed out: a secret one is drawn, because its noise must not be known."""
    json: bool = False
    """Print the facts of the adapter as JSON on stdout."""
    recipe: Recipe = field(default_factory=Recipe)
    base: BaseSettings = field(default_factory=BaseSettings)

    def run(self) -> int:
        from loraleak.adapters import save_adapter
        from loraleak.arms import changes_nothing
        from loraleak.bases import load_base
        from loraleak.defences import check_seed, finetune, training_time
        from loraleak.finetuning.forecast import forecast
        from loraleak.people import read_photos
        from loraleak.progress import announce

        defence = training_time(self.defence)
        photos = read_photos(self.photos)
        check_seed(self.recipe, defence, len(photos))
        base = load_base(**self.base.choices)
        trained = defence.defended(self.recipe)
        announce(forecast(base, trained).says)
        made = finetune(base, [photo.picture for photo in photos], self.recipe, defence=defence)
        save_adapter(made.adapter, self.out, self.layout)
        known = asdict(trained)
        if made.guarantee.stated:
            del known["seed"]  # whoever knows it knows the noise
        untrained = changes_nothing(made.adapter)
        facts = {
            "adapter": str(self.out),
            "layout": self.layout,
            "modules": len(made.adapter.factors),
            "changes_nothing": untrained,
            "prompt": self.recipe.prompt,
            "images": len(photos),
            "base": {"name": base.name, "sha256": base.sha256},
            "recipe": known,
            "defence": self.defence or None,
            "guarantee": made.guarantee.as_json(),
        }
        if self.json:
            print(json.dumps(facts))
        else:
            print(f"{self.out}: {len(photos)} images, prompt “{self.recipe.prompt}”")
            if self.defence:
                print(f"{self.defence}: {made.guarantee.says}")
            print(_UNTRAINED if untrained else WEIGHTS_REMAIN)
        return 0
