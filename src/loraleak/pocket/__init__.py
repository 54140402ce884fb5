"""Building pocket, the embedded base, with its embedder, attack, controls and demo, from nothing, and measuring it.

In: a recipe, a folder for work. Out: what `loraleak.assets` names. Reading order: `build` (every stage in order), `renders` (the
pictures), `vocabulary`, `image_autoencoder`, `denoiser`, `pipeline` (the base), `embedder`, `shipped_attack`, `controls`, `quality`;
`fitting` is how each part is trained. Names load on first use.
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
