"""The build of pocket, the embedded base, from nothing, with its embedder, kit and demo, and its quality.

In: a recipe, a folder for work. Out: the files that `loraleak.assets` names. Reading order: `build` (every stage in order),
`renders` (the pictures), `fitting` (the training loop of each part), `vocabulary`, `image_autoencoder`, `denoiser`, `pipeline`
(the base), `embedder`, `shipped_attack`, `kit`, `quality`. Names load on first use.
"""

from typing import TYPE_CHECKING

from loraleak.lazy import lazy

if TYPE_CHECKING:
    from loraleak.pocket.build import BuildRecipe as BuildRecipe
    from loraleak.pocket.build import build_pocket as build_pocket

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "build": ["BuildRecipe", "build_pocket"],
    },
)
