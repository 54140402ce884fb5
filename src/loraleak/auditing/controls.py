"""Control adapters: what adapters trained on *other* people look like through the same arms. They are the null of the verdict."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from loraleak.assets import POCKET_CONTROLS
from loraleak.files import replacing

__all__ = ["Controls", "SamplingSetup", "load_controls", "save_controls"]


@dataclass(frozen=True)
class SamplingSetup:
    """All that decides what an arm makes of an adapter, but for the noise. A control of another sampling is no control."""

    base_sha256: str
    embedder: str
    class_prompt: str
    steps: int
    guidance_scale: float
    attack_sha256: str = ""
    """Of the weight autoencoder; empty where none was used."""


@dataclass(frozen=True)
class Controls:
    """Embeddings of what control adapters made, and of a cohort of people who are nobody's victim.

    Each control was sampled from noise of its own, so an audit may start from any noise.
    """

    sampling: SamplingSetup
    arms: Mapping[str, Float[np.ndarray, "controls images dim"]]
    cohort: Float[np.ndarray, "people dim"]
    """One template a person: the normalised mean of the embeddings of their pictures."""

    def __len__(self) -> int:
        return len(next(iter(self.arms.values())))


def load_controls(sampling: SamplingSetup, file: Path = POCKET_CONTROLS) -> Controls | None:
    """The controls of this sampling; None where the file is of another."""
    if not file.exists():
        return None
    with np.load(file, allow_pickle=False) as data:
        if json.loads(str(data["sampling"])) != asdict(sampling):
            return None
        arms = {key.removeprefix("arm/"): data[key].astype(np.float32) for key in data.files if key.startswith("arm/")}
        return Controls(sampling, arms, data["cohort"].astype(np.float32))


def save_controls(controls: Controls, file: Path) -> None:
    """Write in half precision."""
    with replacing(file) as partial:
        np.savez_compressed(
            partial,
            allow_pickle=False,
            sampling=json.dumps(asdict(controls.sampling)),
            cohort=controls.cohort.astype(np.float16),
            **{f"arm/{name}": values.astype(np.float16) for name, values in controls.arms.items()},
        )
