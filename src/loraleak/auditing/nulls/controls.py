"""Control adapters: adapters of *other* people, seen through the same arms. They are a null of the verdict."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from loraleak.assets import POCKET_CONTROLS
from loraleak.errors import UsageError
from loraleak.files import replacing
from loraleak.reporting.results import NullTest
from loraleak.scores import evidence, template
from loraleak.types import Embeddings

__all__ = ["Controls", "SamplingSetup", "against_controls", "load_controls", "save_controls"]

_TINY = 1e-12


@dataclass(frozen=True)
class SamplingSetup:
    """Everything but the noise that decides what an arm makes of an adapter. Controls must share it with the adapter."""

    base_sha256: str
    embedder: str
    class_prompt: str
    steps: int
    guidance_scale: float
    attack_sha256: str = ""
    """Hash of the weight autoencoder's file; empty where none was used."""


@dataclass(frozen=True)
class Controls:
    """Embeddings of control adapters' pictures, and of a cohort of people who are not victims.

    Each control was sampled from noise of its own, so an audit may start from any noise.
    """

    sampling: SamplingSetup
    arms: Mapping[str, Float[np.ndarray, "controls images dim"]]
    cohort: Float[np.ndarray, "people dim"]
    """Templates, one for each person: the normalised mean of the embeddings of their pictures."""
    people: Float[np.ndarray, "people photos dim"]
    """Embeddings of several pictures of each person of the cohort."""

    def __len__(self) -> int:
        return len(next(iter(self.arms.values())))


def load_controls(sampling: SamplingSetup, file: Path = POCKET_CONTROLS) -> Controls | None:
    """The controls in the file, if they were sampled like this; else None."""
    if not file.exists():
        return None
    with np.load(file, allow_pickle=False) as data:
        if json.loads(str(data["sampling"])) != asdict(sampling):
            return None
        arms = {key.removeprefix("arm/"): data[key].astype(np.float32) for key in data.files if key.startswith("arm/")}
        return Controls(sampling, arms, data["cohort"].astype(np.float32), data["people"].astype(np.float32))


def save_controls(controls: Controls, file: Path) -> None:
    """Write the controls in half precision."""
    with replacing(file) as partial:
        np.savez_compressed(
            partial,
            allow_pickle=False,
            sampling=json.dumps(asdict(controls.sampling)),
            cohort=controls.cohort.astype(np.float16),
            people=controls.people.astype(np.float16),
            **{f"arm/{name}": values.astype(np.float16) for name, values in controls.arms.items()},
        )


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
        [evidence(_beside(controls.arms[name], arms[name]), target, controls.cohort) for name in names],
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
