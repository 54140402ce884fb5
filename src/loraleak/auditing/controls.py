"""Control adapters: what adapters trained on *other* people look like through the same arms. They are the null of the verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

__all__ = ["POCKET_CONTROLS", "Controls", "load_controls", "save_controls"]

POCKET_CONTROLS = Path(__file__).parents[1] / "assets" / "controls.npz"


@dataclass(frozen=True)
class Controls:
    """Embeddings of what control adapters made, and of a cohort of people who are nobody's victim."""

    base_sha256: str
    embedder: str
    arms: Mapping[str, Float[np.ndarray, "controls images dim"]]
    cohort: Float[np.ndarray, "people dim"]
    """One template a person: the normalised mean of the embeddings of their pictures."""

    def __len__(self) -> int:
        return len(next(iter(self.arms.values())))


def load_controls(base_sha256: str, embedder: str, file: Path = POCKET_CONTROLS) -> Controls | None:
    """The controls of a base and an embedder; None where the file is of others."""
    if not file.exists():
        return None
    with np.load(file, allow_pickle=False) as data:
        if (str(data["base_sha256"]), str(data["embedder"])) != (base_sha256, embedder):
            return None
        arms = {key.removeprefix("arm/"): data[key].astype(np.float32) for key in data.files if key.startswith("arm/")}
        return Controls(base_sha256, embedder, arms, data["cohort"].astype(np.float32))


def save_controls(controls: Controls, file: Path) -> None:
    """Write in half precision."""
    partial = file.with_suffix(".partial.npz")
    np.savez_compressed(
        partial,
        allow_pickle=False,
        base_sha256=controls.base_sha256,
        embedder=controls.embedder,
        cohort=controls.cohort.astype(np.float16),
        **{f"arm/{name}": values.astype(np.float16) for name, values in controls.arms.items()},
    )
    partial.replace(file)
