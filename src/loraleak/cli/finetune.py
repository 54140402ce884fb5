"""`loraleak finetune`: DreamBooth LoRA."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from secrets import randbits
from typing import Literal

from tyro.conf import Positional

from loraleak.base_settings import BaseSettings
from loraleak.cli.flags import Out
from loraleak.finetuning import Recipe

__all__ = ["Finetune"]


@dataclass(frozen=True)
class Finetune:
    """Fine-tunes a LoRA on a folder of images."""

    photos: Positional[Path]
    """Folder with 3 to 20 images of one person or thing."""
    out: Out = Path("adapter.safetensors")
    """The adapter to write: a .safetensors file (diffusers layout), or a folder (PEFT layout)."""
    layout: Literal["diffusers", "peft"] = "diffusers"
    defence: str = ""
    """A defence, with settings, such as dp-sgd:epsilon=8; docs/private-training.md and docs/defences.md list them. Where it
    promises privacy and the seed is 0, a secret one is drawn: its noise must not be known."""
    json: bool = False
    """Print what was made as JSON on stdout."""
    recipe: Recipe = field(default_factory=Recipe)
    base: BaseSettings = field(default_factory=BaseSettings)

    def run(self) -> int:
        from loraleak.adapters import save_adapter
        from loraleak.bases import load_base
        from loraleak.defences import training_time
        from loraleak.finetuning import Job, finetune_together
        from loraleak.finetuning.forecast import forecast
        from loraleak.people import read_photos
        from loraleak.progress import announce

        defence = training_time(self.defence) if self.defence else None
        photos = read_photos(self.photos)
        guarantee = None if defence is None else defence.guarantee(self.recipe, len(photos))
        promised = guarantee is not None and guarantee.epsilon_image is not None
        recipe = replace(self.recipe, seed=self.recipe.seed or randbits(62)) if promised else self.recipe
        base = load_base(**self.base.choices)
        announce(forecast(base, recipe if defence is None else defence.defended(recipe)).says)
        train = finetune_together if defence is None else defence.finetune_together
        *_, last = train(base, [Job([photo.picture for photo in photos], recipe)])
        save_adapter(last.adapter, self.out, self.layout)
        trained = asdict(recipe if defence is None else defence.defended(recipe))
        if promised:
            del trained["seed"]  # whoever knows it knows the noise
        facts = {
            "adapter": str(self.out),
            "layout": self.layout,
            "modules": len(last.adapter.factors),
            "prompt": self.recipe.prompt,
            "images": len(photos),
            "base": {"name": base.name, "sha256": base.sha256},
            "recipe": trained,
            "defence": self.defence or None,
            "guarantee": None if guarantee is None else asdict(guarantee),
        }
        if self.json:
            print(json.dumps(facts))
        else:
            print(f"{self.out}: {len(photos)} images, prompt “{self.recipe.prompt}”")
            if guarantee is not None:
                print(f"{self.defence}: {guarantee.says}")
        return 0
