"""Control adapters: adapters of *other* people, seen through the same arms. They are a null of the verdict."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from loraleak.errors import UsageError
from loraleak.kits import Controls
from loraleak.reporting.results import NullTest
from loraleak.scores import evidence, template
from loraleak.types import Embeddings

__all__ = ["against_controls"]

_TINY = 1e-12


def against_controls(
    arms: Mapping[str, Embeddings], photos: Embeddings, controls: Controls, attacks: Sequence[str]
) -> NullTest:
    """Rank of this adapter among control adapters, for the arm of the attacks that stands out most.

    The statistic treats this adapter and the controls alike. Each arm is standardised over all of them, with as many pictures
    of each, and the greatest arm is taken. So under the null the rank is uniform, and this p is exact:
    `p = (1 + controls at least as extreme) / (1 + controls)`.

    Raises: UsageError, if no attack arm was sampled for both.
    """
    names = [name for name in attacks if name in arms and name in controls.arms]
    if not names:
        raise UsageError("no attack arm was sampled, so there is nothing to judge by: add lora-class to the arms")
    target = template(photos)
    pool = np.stack(
        [evidence(_beside(controls.nearest(name, target), arms[name]), target, controls.cohort) for name in names],
        axis=1,
    )
    standard = (pool - pool.mean(axis=0)) / np.maximum(pool.std(axis=0), _TINY)
    statistic = standard.max(axis=1)
    count = len(controls)
    beaten_by = int((statistic[:-1] >= statistic[-1]).sum())
    strongest = int(standard[-1].argmax())
    usual = round(float(np.median(pool[:-1, strongest])), 1) + 0.0  # never "-0.0"
    return NullTest(
        name="control-adapters",
        says=f"{count} control adapters, trained on other people with the same base, sampled in the same way",
        p_value=(1 + beaten_by) / (1 + count),
        smallest_p=1 / (1 + count),
        statistic=float(statistic[-1]),
        reasons=(
            f"{beaten_by} of {count} adapters that were trained on other people come as near to these photos as this one does.",
            f"The clearest sign is in {names[strongest]}: its pictures are {pool[-1, strongest]:.1f} standard deviations nearer to "
            f"these photos than to other people's, where the control adapters' are {usual:.1f}.",
        ),
    )


def _beside(
    controls: Float[np.ndarray, "controls images dim"], own: Float[np.ndarray, "own_images dim"]
) -> Float[np.ndarray, "adapters fewest dim"]:
    fewest = min(controls.shape[1], len(own))  # a mean over more pictures varies less, and would not rank fairly
    return np.concatenate([controls[:, :fewest], own[None, :fewest]])
