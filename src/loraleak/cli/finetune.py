"""`loraleak finetune`: DreamBooth LoRA."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from loraleak.cli.flags import Out
from loraleak.finetuning.recipe import Recipe

__all__ = ["Finetune"]


@dataclass(frozen=True)
class Finetune:
    """Fine-tunes a LoRA on a folder of images."""

    photos: Positional[Path]
    """Folder with 3 to 20 images of one person or thing."""
    out: Out = Path("adapter.safetensors")
    """The adapter to write: a .safetensors file (diffusers layout), or a folder (PEFT layout)."""
    layout: Literal["diffusers", "peft"] = "diffusers"
    base: str = "pocket"
    """`pocket`, a diffusers pipeline folder, or a hub id."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    json: bool = False
    """Print what was made as JSON on stdout."""
    recipe: Recipe = field(default_factory=Recipe)

    def run(self) -> int:
        from loraleak.adapters import save_adapter
        from loraleak.bases import load_base
        from loraleak.finetuning.dreambooth import finetune
        from loraleak.people.folders import read_photos

        photos = read_photos(self.photos)
        base = load_base(self.base, device=self.device)
        adapter = finetune(base, [photo.picture for photo in photos], self.recipe)
        save_adapter(adapter, self.out, self.layout)
        facts = {
            "adapter": str(self.out),
            "layout": self.layout,
            "modules": len(adapter.factors),
            "prompt": self.recipe.prompt,
            "images": len(photos),
            "base": {"name": base.name, "sha256": base.sha256},
            "recipe": asdict(self.recipe),
        }
        print(json.dumps(facts) if self.json else f"{self.out}: {len(photos)} images, prompt “{self.recipe.prompt}”")
        return 0
