"""The verdict: evidence against the null "this adapter was trained on other people"."""

from collections.abc import Mapping
from itertools import product

import numpy as np
from jaxtyping import Float

from loraleak.auditing.controls import Controls
from loraleak.auditing.scoring import Embedded, Scored
from loraleak.errors import UsageError
from loraleak.reporting.results import Level, Verdict
from loraleak.scores import evidence, template
from loraleak.types import Embeddings

__all__ = ["HIGH", "REVIEW", "judge", "verdict_against_base", "verdict_against_controls"]

HIGH = 0.01
"""p at or below this: high."""

REVIEW = 0.05
"""p at or below this: review."""

_TINY = 1e-12


def judge(embedded: Embedded, scored: Scored, controls: Controls | None) -> Verdict:
    """The verdict on an adapter, against control adapters where there are any that were sampled in the same way."""
    if controls is not None and embedded.photos.shape[1:] == controls.cohort.shape[1:]:
        return verdict_against_controls(embedded.arms, embedded.photos, controls, scored.attacks)
    floor = next(arm.name for arm in scored.arms if arm.role == "floor")
    return verdict_against_base(embedded.arms, embedded.photos, scored.attacks, floor)


def verdict_against_controls(
    arms: Mapping[str, Embeddings], photos: Float[np.ndarray, "photos dim"], controls: Controls, attacks: tuple[str, ...]
) -> Verdict:
    """Rank of this adapter among control adapters, for the arm of the attacks that stands out most.

    The statistic treats this adapter and the controls alike (each arm is standardised over all of them, the greatest is
    taken, over as many pictures of each), so under the null its rank is uniform and
    `p = (1 + controls at least as extreme) / (1 + controls)` is exact.

    Raises: UsageError, if no attack arm was sampled for both.
    """
    target = template(photos)
    names = _judged(attacks, arms, controls.arms)
    pool = np.stack(
        [evidence(_beside(controls.arms[name], arms[name]), target, controls.cohort) for name in names],
        axis=1,
    )
    standard = (pool - pool.mean(axis=0)) / np.maximum(pool.std(axis=0), _TINY)
    statistic = standard.max(axis=1)
    count = len(controls)
    beaten_by = int((statistic[:-1] >= statistic[-1]).sum())
    p_value = (1 + beaten_by) / (1 + count)
    strongest = int(standard[-1].argmax())
    usual = round(float(np.median(pool[:-1, strongest])), 1) + 0.0  # never "-0.0"
    reasons = (
        f"{beaten_by} of {count} adapters that were trained on other people come as near to these photos as this one does.",
        f"The clearest sign is in {names[strongest]}: its pictures are {pool[-1, strongest]:.1f} standard deviations nearer to "
        f"these photos than to other people, where the control adapters' are {usual:.1f}.",
    )
    null = f"{count} control adapters, trained on other people with the same base, sampled in the same way"
    return Verdict(level=_level(p_value), p_value=p_value, reasons=reasons, null=null)


def verdict_against_base(
    arms: Mapping[str, Embeddings], photos: Float[np.ndarray, "photos dim"], attacks: tuple[str, ...], floor: str
) -> Verdict:
    """Without controls: do the adapter's pictures come nearer than the base's own, from the same noise?

    An exact sign-flip test (Fisher 1935) of the paired differences, Bonferroni over the attack arms. It cannot part the person
    from the style of the photos, so its level is never above review.

    Raises: UsageError, if no attack arm was sampled.
    """
    target = template(photos)
    names = _judged(attacks, arms)
    tests = {name: _sign_flip(arms[name] @ target - arms[floor] @ target) for name in names}
    strongest = min(names, key=lambda name: tests[name])
    p_value = min(1.0, tests[strongest] * len(names))
    gain = float((arms[strongest] @ target - arms[floor] @ target).mean())
    reasons = (
        f"Pictures of {strongest} are {gain:+.2f} in cosine nearer to the photos than the base's own pictures from the same "
        "noise.",
        "There are no control adapters for this base, embedder and way of sampling, so the person cannot be told from the style "
        "of the photos.",
    )
    level: Level = "review" if p_value <= REVIEW else "low"
    return Verdict(level=level, p_value=p_value, reasons=reasons, null="the base model's own pictures from the same noise")


def _judged(attacks: tuple[str, ...], *sampled: Mapping[str, np.ndarray]) -> list[str]:
    names = [name for name in attacks if all(name in arms for arms in sampled)]
    if not names:
        raise UsageError("no attack arm was sampled, so there is nothing to judge by: add lora-class to the arms")
    return names


def _beside(
    controls: Float[np.ndarray, "controls images dim"], own: Float[np.ndarray, "own_images dim"]
) -> Float[np.ndarray, "adapters fewest dim"]:
    fewest = min(controls.shape[1], len(own))  # a mean over more pictures varies less, and would not rank fairly
    return np.concatenate([controls[:, :fewest], own[None, :fewest]])


def _level(p_value: float) -> Level:
    if p_value <= HIGH:
        return "high"
    return "review" if p_value <= REVIEW else "low"


def _sign_flip(differences: Float[np.ndarray, " images"], most_exact: int = 12) -> float:
    differences = differences.astype(np.float64)  # in float32 the unflipped sum can miss itself, and p would be 0
    count = len(differences)
    if count <= most_exact:
        signs = np.array(list(product((1.0, -1.0), repeat=count)))
    else:
        signs = np.random.default_rng(0).choice((1.0, -1.0), size=(2**most_exact, count))
        signs[0] = 1.0
    return float((signs @ differences >= differences.sum() - 1e-12).mean())
