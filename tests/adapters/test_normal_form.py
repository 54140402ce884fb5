from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from loraleak.adapters.normal_form import pair_of, thin_svd
from loraleak.types import Adapter, Factors
from oracles.dense import dense


def test_it_is_the_dense_decomposition(adapter: Adapter) -> None:
    for pair in adapter.factors.values():
        svd = thin_svd(pair)
        k = len(svd.values)
        assert k == pair.rank
        np.testing.assert_allclose(svd.values, np.linalg.svd(dense(pair), compute_uv=False)[:k], rtol=1e-12)
        np.testing.assert_allclose((svd.left * svd.values) @ svd.right, dense(pair), atol=1e-11)
        for rows in (svd.left.T, svd.right):
            np.testing.assert_allclose(rows @ rows.T, np.eye(k), atol=1e-12)


def test_a_rank_above_the_width_has_no_more_channels_than_the_width(normal: Callable[..., Tensor]) -> None:
    pair = Factors(normal(9, 4), normal(6, 9), 1.0)
    svd = thin_svd(pair)
    assert svd.values.shape == (4,)
    np.testing.assert_allclose((svd.left * svd.values) @ svd.right, dense(pair), atol=1e-5)


def test_a_pair_comes_back_balanced_and_in_its_shapes(adapter: Adapter) -> None:
    for pair in adapter.factors.values():
        back = pair_of(thin_svd(pair), pair)
        assert back.down.shape == pair.down.shape and back.up.shape == pair.up.shape and back.scale == pair.scale
        assert back.down.dtype == torch.float32 and back.down.is_contiguous() and back.up.is_contiguous()
        np.testing.assert_allclose(dense(back), dense(pair), atol=1e-4)
        up, down = back.up.flatten(1), back.down.flatten(1)
        np.testing.assert_allclose(up.T @ up, down @ down.T, atol=1e-4)


@pytest.mark.parametrize(("scale", "rank"), [(0.5, 2), (None, 5)])
def test_fewer_channels_lower_the_rank_only_where_the_scale_is_known(
    scale: float | None, rank: int, normal: Callable[..., Tensor]
) -> None:
    pair = Factors(normal(5, 3, 3, 3), normal(8, 5, 1, 1), scale)
    less = pair_of(thin_svd(pair).channels(slice(2)), pair)
    assert less.down.shape == (rank, 3, 3, 3) and less.up.shape == (8, rank, 1, 1)
    assert np.linalg.matrix_rank(dense(less), tol=1e-5) == 2


def test_a_pair_of_no_channel_is_zero(normal: Callable[..., Tensor]) -> None:
    pair = Factors(normal(2, 3), normal(4, 2), 1.0)
    none = pair_of(thin_svd(pair).channels(slice(0)), pair)
    assert none.rank == 1 and not dense(none).any()


def test_a_wide_file_is_decomposed_without_its_update(normal: Callable[..., Tensor]) -> None:
    wide = Factors(normal(1, 2**17), normal(2**17, 1), 1.0)  # dW would take 64 GiB
    expected = wide.up.double().norm() * wide.down.double().norm()
    torch.testing.assert_close(thin_svd(wide).values[0], expected, rtol=1e-12, atol=0)
