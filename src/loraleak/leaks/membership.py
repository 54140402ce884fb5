"""Membership: can somebody who holds one of the photos tell that the adapter was trained on it?"""

from dataclasses import dataclass
from math import comb

import numpy as np
from jaxtyping import Float
from scipy.stats import mannwhitneyu

from loraleak.arms import Scene
from loraleak.bases import DiffusersBase
from loraleak.bases.estimate import Estimate, estimate, with_adapter
from loraleak.leaks.photo_scores import PHOTO_SCORES, Probing
from loraleak.leaks.protocol import Evidence, Leak
from loraleak.reporting.results import Answer, PhotoAnswer
from loraleak.scores import auc

__all__ = ["Membership", "probing_of"]

_LEVEL = 0.05
_NULL = (
    "Your other photos of the same person, on which the file was not trained. Where these are of another kind, such as another "
    "camera or another day, the difference of kind counts too"
)


@dataclass(frozen=True)
class Membership(Leak):
    """Which of the photos the adapter was trained on, from the loss of the base and of the adapted model. No prompt is needed."""

    name: str = "membership"
    question: str = "Can somebody tell that one of your photos was used?"
    score: str = "loss-difference"
    """One of `PHOTO_SCORES`."""

    def lacks(self, scene: Scene, evidence: Evidence) -> str:
        used, others = len(evidence.photos), len(evidence.held_out)
        if not others:
            return "Not tested. It takes photos of the same person on which the file was not trained: give a folder with --held-out."
        if smallest_p(used, others) > _LEVEL:
            return f"Not tested. {others} held-out photos beside {used} are too few for any finding: give more with --held-out."
        return ""

    def estimate(self, scene: Scene, evidence: Evidence) -> Estimate:
        probing = probing_of(scene.base, scene.class_prompt, seed=scene.seed)
        photos = len(evidence.photos) + len(evidence.held_out)
        passes = 2 * probing.levels * photos
        return estimate(scene.base, passes=passes, batch=min(photos, scene.base.at_once), inside=with_adapter(scene.adapter))

    def answer(self, scene: Scene, evidence: Evidence) -> Answer:
        """Each photo's p-value is its rank among the held-out ones. The p-value of all is that of Mann and Whitney's test."""
        base, used = scene.base, len(evidence.photos)
        latents = base.encode([*evidence.photos, *evidence.held_out])
        with base.adapted(scene.adapter):
            scores = PHOTO_SCORES[self.score](probing_of(base, scene.class_prompt, seed=scene.seed), latents)
        members, others = (part.double().cpu().numpy() for part in (scores[:used], scores[used:]))
        p_value = float(mannwhitneyu(members, others, alternative="greater").pvalue)
        each = ranks_among(members, others)
        return Answer(
            self.name,
            self.question,
            _in_words(members, others, p_value),
            null=_NULL,
            p_value=p_value,
            photos=tuple(
                PhotoAnswer(name, float(value), float(p), f"more familiar than {(others < value).sum()} of {len(others)}")
                for name, value, p in zip(evidence.names, members, each, strict=True)
            ),
        )


def probing_of(base: DiffusersBase, class_prompt: str, *, seed: int) -> Probing:
    """The probing under this prompt, with the states of the base's own text encoders."""
    condition, empty = base.embed([class_prompt, ""])
    return Probing(base, condition, empty, seed=seed)


def smallest_p(members: int, others: int) -> float:
    """The smallest p-value that Mann and Whitney's test can give for so many photos of each kind."""
    return 1 / comb(members + others, members)


def ranks_among(members: Float[np.ndarray, " photos"], others: Float[np.ndarray, " others"]) -> Float[np.ndarray, " photos"]:
    """The p-value of each photo alone: its rank among photos that were not trained on, ties against it.

    >>> ranks_among(np.array([3.0, 1.0]), np.array([0.0, 1.0, 2.0])).tolist()
    [0.25, 0.75]
    """
    above: np.ndarray = (others >= members[:, None]).sum(axis=1)
    p_values: np.ndarray = (1 + above) / (1 + len(others))
    return p_values


def _in_words(members: Float[np.ndarray, " photos"], others: Float[np.ndarray, " others"], p_value: float) -> str:
    above = int((members > others.max()).sum())
    right = f"{100 * auc(members, others):.0f}%"
    pairs = f"In {right} of all pairs the photo that was used looks more familiar to the file than one that was not"
    if p_value > _LEVEL:
        return f"Not shown. {pairs}, and chance alone gives 50% (p = {p_value:.3f})."
    return (
        f"Yes. {pairs} (p = {p_value:.3f}). {above} of {len(members)} photos look more familiar than all {len(others)} held-out ones. "
        "Somebody needs only the photo, your file and the base model."
    )
