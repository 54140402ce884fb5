"""What ridge regression says of z: a linear map, solved and not trained."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["RidgeMap"]

_PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Tried penalties, in units of an adapter's mean squared norm in a block of features."""
_FOLDS = 4


class RidgeMap(nn.Module):
    """Linear map from probed updates to codes `[tokens, dim]`, the solution of kernel ridge regression (Saunders et al. 1998).

    Each block of a module's features (`U^T dW V`, `U^T dW dW^T U`) is divided by its norm, so that modules count alike whatever
    their share in the probes, and less its mean. A module that is missing says nothing.
    """

    centre: Tensor
    weights: Tensor
    directions: Tensor

    def __init__(self, modules: int, blocks: int, block: int, code: int, condition: tuple[int, int]) -> None:
        """`block` is the number of features in each of the `blocks` of a module, `code` the highest rank of the map."""
        super().__init__()
        self.block, self.condition = block, condition
        self.register_buffer("centre", torch.zeros(modules, blocks, block))
        self.register_buffer("weights", torch.zeros(modules * blocks * block, code))
        self.register_buffer("directions", torch.zeros(code, condition[0] * condition[1]))

    def forward(
        self, probed: Float[Tensor, "batch modules features"], present: Float[Tensor, "batch modules"]
    ) -> Float[Tensor, "batch tokens dim"]:
        """What to add to the mean code."""
        code = self._shown(probed, present).flatten(1) @ self.weights
        return (code @ self.directions).unflatten(1, self.condition)

    @torch.no_grad()
    def solve(
        self,
        probed: Float[Tensor, "adapters modules features"],
        present: Float[Tensor, "adapters modules"],
        codes: Float[Tensor, "adapters tokens dim"],
        people: Int[Tensor, " adapters"],
    ) -> None:
        """Fit to codes, less their mean. The penalty is that which predicts best the codes of people who were left out."""
        self.centre.copy_(self._blocks(probed).mean(0))
        shown, targets = self._shown(probed, present), codes.flatten(1)
        sizes = shown.square().sum(3).sum(1).mean(0).clamp(min=1e-12)  # by block
        kernel = sum((flat := shown[:, :, k].flatten(1)) @ flat.T / size for k, size in enumerate(sizes))
        assert isinstance(kernel, Tensor)
        dual = _dual(kernel, targets, _best_penalty(kernel, targets, people))
        weights = torch.einsum("nmkf,k,nz->mkfz", shown, 1 / sizes, dual).flatten(0, 2)
        _, _, directions = torch.linalg.svd(targets, full_matrices=False)
        kept = directions[: self.weights.shape[1]]
        self.weights.zero_()[:, : len(kept)] = weights @ kept.T
        self.directions.zero_()[: len(kept)] = kept

    def _blocks(self, probed: Float[Tensor, "batch modules features"]) -> Float[Tensor, "batch modules blocks block"]:
        return F.normalize(probed.unflatten(2, (-1, self.block)), dim=3)

    def _shown(
        self, probed: Float[Tensor, "batch modules features"], present: Float[Tensor, "batch modules"]
    ) -> Float[Tensor, "batch modules blocks block"]:
        return (self._blocks(probed) - self.centre) * present[:, :, None, None]


def _dual(kernel: Float[Tensor, "n n"], targets: Float[Tensor, "n dim"], penalty: float) -> Float[Tensor, "n dim"]:
    return torch.linalg.solve(kernel + penalty * torch.eye(len(kernel)), targets)


def _best_penalty(kernel: Float[Tensor, "n n"], targets: Float[Tensor, "n dim"], people: Int[Tensor, " n"]) -> float:
    folds: Sequence[np.ndarray] = np.array_split(np.random.default_rng(0).permutation(people.unique().numpy()), _FOLDS)
    errors = dict.fromkeys(_PENALTIES, 0.0)
    for fold in folds:
        left_out = torch.isin(people, torch.from_numpy(fold))
        known = ~left_out
        if not known.any() or not left_out.any():
            continue
        for penalty in _PENALTIES:
            said = kernel[left_out][:, known] @ _dual(kernel[known][:, known], targets[known], penalty)
            errors[penalty] += float((said - targets[left_out]).square().sum())
    return min(errors, key=lambda penalty: errors[penalty])
