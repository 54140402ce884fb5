"""Pictures of other people from their captions: does an adapter still let its base draw whom a prompt describes?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from loraleak.arms import Arm, Scene
from loraleak.bases import Denoiser, guided
from loraleak.bench.cases import Case, draw_cases
from loraleak.people import caption, draw_look
from loraleak.types import ArmRole

__all__ = ["Captioned", "captioned_cases", "share_right"]

_SEED = 4
_PEOPLE = 100


def captioned_cases() -> list[Case]:
    """Cases of the people in the captions, the same for every victim. No gallery has people of their split, the controls'."""
    return draw_cases("controls", _PEOPLE, seed=_SEED)


@dataclass(frozen=True)
class Captioned(Arm):
    """An arm that draws other people from their captions, one caption a picture, without the owner's trigger."""

    name: str = "lora-captions"
    role: ArmRole = "ceiling"
    says: str = "Prompts that describe somebody else: does your file leave the model as useful as it was?"
    control: str | None = None

    def denoiser(self, scene: Scene) -> Denoiser:
        conditions = scene.base.embed([_caption(case) for case in captioned_cases()])
        (empty,) = scene.base.embed([""])

        def denoiser(latents: Tensor, timestep: int | float) -> Tensor:
            chosen = conditions[self.shown(scene.seed, len(latents))]
            return guided(scene.base, chosen, empty, scene.guidance_scale)(latents, timestep)

        return denoiser

    @staticmethod
    def shown(seed: int, images: int) -> list[int]:
        """Indices of the people whom the pictures of a scene with this seed show."""
        return [(seed * images + i) % _PEOPLE for i in range(images)]


def share_right(
    made: Float[np.ndarray, "images dim"],
    described: Float[np.ndarray, "images dim"],
    gallery: Float[np.ndarray, "people dim"],
) -> float:
    """Share of pictures that are nearer to the template of the person in their caption than to all templates of the gallery."""
    return float(((made * described).sum(axis=1) > (made @ gallery.T).max(axis=1)).mean())


def _caption(case: Case) -> str:
    return caption(case.person, draw_look(np.random.default_rng([_SEED, case.index, 2]), case.person.style))
