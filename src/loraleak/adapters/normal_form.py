"""The normal form of a factor pair: what two files share if and only if they change the model alike.

A pair is the same function under `B -> B M^-1, A -> M A`; its thin singular value decomposition is not touched by that. It comes from
the factors alone: `dW` itself, which a small file of a stranger may make as wide as memory, is never formed.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from loraleak.types import Factors

__all__ = ["ThinSvd", "pair_of", "thin_svd"]


@dataclass(frozen=True)
class ThinSvd:
    """`up @ down = left @ diag(values) @ right`, in float64; orthonormal columns and rows, signs arbitrary.

    The pair's scale is left out, because it may be unknown.
    """

    left: Float[Tensor, "d_out channels"]
    values: Float[Tensor, " channels"]
    """The singular values, the largest first."""
    right: Float[Tensor, "channels width"]
    """A convolution's kernel is flattened: `width = c_in * kernel * kernel`."""

    def channels(self, chosen: Tensor | slice) -> "ThinSvd":
        """These singular channels alone."""
        return ThinSvd(self.left[:, chosen], self.values[chosen], self.right[chosen])


def thin_svd(factors: Factors) -> ThinSvd:
    """Exact, from the QR decompositions of both factors and the SVD of their core, `[rank, rank]` or smaller."""
    rank = factors.rank
    left, left_core = torch.linalg.qr(factors.up.double().reshape(-1, rank))
    right, right_core = torch.linalg.qr(factors.down.double().reshape(rank, -1).T)
    inner_left, values, inner_right = torch.linalg.svd(left_core @ right_core.T, full_matrices=False)
    return ThinSvd(left @ inner_left, values, inner_right @ right.T)


def pair_of(svd: ThinSvd, like: Factors) -> Factors:
    """The balanced pair, `B = left sqrt(values)` and `A = sqrt(values) right`, in the shapes, type and scale of another.

    Where the scale is unknown it may be alpha / rank for some alpha, so there the rank stays what it was: zeros fill the pair up.
    A pair of no channel is one of zeros.
    """
    root = svd.values.sqrt()
    up, down = svd.left * root, root[:, None] * svd.right
    missing = max((like.rank if like.scale is None else 1) - len(root), 0)
    up, down = F.pad(up, (0, missing)), F.pad(down, (0, 0, 0, missing))
    return Factors(
        down=down.reshape(-1, *like.down.shape[1:]).to(like.down).contiguous(),
        up=up.reshape(*up.shape, *like.up.shape[2:]).to(like.up).contiguous(),
        scale=like.scale,
    )
