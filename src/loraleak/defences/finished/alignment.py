"""Removal of the spectral channels that are least aligned with the base weights."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from loraleak.adapters import ThinSvd, pair_of, thin_svd
from loraleak.bases import DiffusersBase
from loraleak.defences.finished.modules import by_module
from loraleak.defences.protocol import PostHoc
from loraleak.errors import UsageError
from loraleak.types import Adapter, Factors

__all__ = ["SpectralAlignment", "alignment"]


@dataclass(frozen=True)
class SpectralAlignment(PostHoc):
    """Keeps the singular channels of each `dW` that are aligned with the base weight's top subspace, and removes the others.

    The idea is that of arXiv 2605.10439, in our own reading. A fine-tuned channel along directions that the base weight `W0`
    uses strongly is general. A channel across them holds what is particular to the photos. `alignment` defines alignment. The
    share of channels that stays is a setting, because no threshold suits every width.
    """

    name: ClassVar[str] = "spectral-alignment"
    says: ClassVar[str] = (
        "Of the directions that each layer learned, keeps those that lie most along what the base model already does, and drops the "
        "others as particular to the photos."
    )
    needs_base: ClassVar[bool] = True
    keep: float = 0.5
    """Share of each module's singular channels that stays, the most aligned first; at least one."""
    top: float = 0.25
    """Share of the base weight's singular directions that counts as its top subspace."""

    def __post_init__(self) -> None:
        faults = [
            f"{field} is {value}, give a number above 0 and below 1"
            for field, value in (("keep", self.keep), ("top", self.top))
            if not 0 < value < 1
        ]
        if faults:
            raise UsageError(f"spectral-alignment: {'; '.join(faults)}")

    def apply(self, adapter: Adapter, base: DiffusersBase | None) -> Adapter:
        if base is None:
            raise UsageError("spectral-alignment compares with the base's own weights: give the base with --base")
        base.check(adapter)

        def kept(name: str, pair: Factors) -> Factors:
            svd = thin_svd(pair)
            count = math.ceil(self.keep * len(svd.values))
            chosen = alignment(svd, base.weight(name), self.top).topk(count).indices.sort().values
            return pair_of(svd.channels(chosen), pair)

        return by_module(adapter, kept)


def alignment(svd: ThinSvd, weight: Float[Tensor, "d_out *width"], top: float) -> Float[Tensor, " channels"]:
    """Alignment of every channel, `(|U_k^T u_i|^2 + |V_k^T v_i|^2) / 2`, from 0 (across) to 1 (within).

    `U_k`, `V_k` are the base weight's first k singular vectors; k is the share `top` of them, at least one.
    """
    left, _, right = torch.linalg.svd(weight.flatten(1).float().cpu(), full_matrices=False)
    k = math.ceil(top * left.shape[1])
    by_left = (left[:, :k].double().T @ svd.left).square().sum(dim=0)
    by_right = (right[:k].double() @ svd.right.T).square().sum(dim=0)
    return (by_left + by_right) / 2
