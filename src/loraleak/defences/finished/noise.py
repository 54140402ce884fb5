"""Gaussian noise on the update itself."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from loraleak.adapters import ThinSvd, pair_of, thin_svd
from loraleak.bases import DiffusersBase
from loraleak.defences.finished.modules import by_module, generator_for
from loraleak.defences.protocol import PostHoc
from loraleak.errors import UsageError
from loraleak.types import Adapter, Factors

__all__ = ["GaussianNoise"]


@dataclass(frozen=True)
class GaussianNoise(PostHoc):
    """The update `dW + N`, brought back to the adapter's rank. The entries of N are independent and of equal variance.

    A file of rank r cannot hold `dW + N`, which is of full rank. To first order its best approximation of rank r is `dW + P N`.
    `P N = U U^T N + (I - U U^T) N V V^T` is the part of N along the manifold of matrices of rank r (Koch and Lubich 2007,
    section 2; U and V are the singular vectors of `dW`). `U^T N` and `(I - U U^T) N V` are independent Gaussians, `[r, width]`
    and `[d_out, r]`, so they are drawn as such. The whole of N, as wide as a stranger's file may say, is never made. `dW + P N`
    has rank 2 r at most and is cut to r exactly. Noise on the factors would depend on how the file writes `dW` as B A.

    This is no differential privacy: nothing bounds how much one photo moves `dW`.
    """

    name: ClassVar[str] = "gaussian-noise"
    says: ClassVar[str] = "Adds random noise to what each layer learned."
    level: float = 1.0
    """Norm of the noise that the file holds, in units of the norm of `dW` (Frobenius, module by module): the standard deviation of an
    entry of N is `level |dW| / sqrt(r (d_out + width - r))`."""
    seed: int = 0
    """Seed of the noise. The noise depends on the undefended weights too, so the seed alone does not tell it."""

    def __post_init__(self) -> None:
        faults = []
        if not 0 < self.level < 1e6:
            faults.append(f"level is {self.level}, give a number above 0, such as 0.5")
        if self.seed < 0:
            faults.append(f"seed is {self.seed}, give at least 0")
        if faults:
            raise UsageError(f"gaussian-noise: {'; '.join(faults)}")

    def apply(self, adapter: Adapter, base: DiffusersBase | None) -> Adapter:
        return by_module(adapter, self._noisy)

    def _noisy(self, name: str, pair: Factors) -> Factors:
        svd = thin_svd(pair)
        rank, d_out, width = len(svd.values), len(svd.left), svd.right.shape[1]
        deviation = self.level * svd.values.norm() / (rank * (d_out + width - rank)) ** 0.5
        generator = generator_for(self.seed, name, pair)
        rows = deviation * torch.randn(rank, width, generator=generator, dtype=torch.float64)
        columns = deviation * torch.randn(d_out, rank, generator=generator, dtype=torch.float64)
        return pair_of(_moved(svd, rows, columns).channels(slice(rank)), pair)


def _moved(svd: ThinSvd, rows: Tensor, columns: Tensor) -> ThinSvd:
    """The moved update `dW + U rows + (I - U U^T) columns V^T`."""
    outside = columns - svd.left @ (svd.left.T @ columns)
    down = torch.cat([svd.values[:, None] * svd.right + rows, svd.right])
    return thin_svd(Factors(down=down, up=torch.cat([svd.left, outside], dim=1), scale=None))
