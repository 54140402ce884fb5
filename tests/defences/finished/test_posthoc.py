"""Every defence against dense algebra on the update that it never forms."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from loraleak.adapters import save_adapter
from loraleak.adapters.load import load_adapter
from loraleak.bases import DiffusersBase
from loraleak.defences import DEFENCES, PostHoc, parse_defence
from loraleak.defences.finished.alignment import SpectralAlignment
from loraleak.defences.finished.header import MetadataScrub
from loraleak.defences.finished.modules import generator_for
from loraleak.defences.finished.noise import GaussianNoise
from loraleak.defences.finished.quantisation import Quantisation
from loraleak.defences.finished.refactoring import RandomRefactoring
from loraleak.defences.finished.scaling import Scaling
from loraleak.defences.finished.truncation import RankTruncation
from loraleak.errors import BaseMismatchError, UsageError
from loraleak.types import Adapter, Factors
from oracles.dense import dense, truncated

POST_HOC = [name for name, kind in DEFENCES.items() if hasattr(kind, "apply")]


def _refactored(adapter: Adapter) -> Adapter:
    return RandomRefactoring(seed=9).apply(adapter, None)


@pytest.mark.parametrize("name", POST_HOC)
def test_any_defence_gives_an_adapter_that_runs_and_can_be_written(name: str, adapter: Adapter, base: DiffusersBase) -> None:
    defence = parse_defence(name)
    assert isinstance(defence, PostHoc)
    before = {module: (pair.down.clone(), pair.up.clone()) for module, pair in adapter.factors.items()}
    defended = defence.apply(adapter, base)
    base.check(defended)
    assert defended.format == "memory" and defended.sha256 == ""
    assert {module: pair.scale for module, pair in defended.factors.items()} == {
        module: pair.scale for module, pair in adapter.factors.items()
    }
    for module, pair in adapter.factors.items():
        assert torch.equal(before[module][0], pair.down) and torch.equal(before[module][1], pair.up)
        assert defended.factors[module].rank <= pair.rank
        assert defended.factors[module].down.dtype == torch.float32
    again = defence.apply(adapter, base)
    for module, pair in defended.factors.items():
        assert torch.equal(pair.down, again.factors[module].down) and torch.equal(pair.up, again.factors[module].up)


@pytest.mark.parametrize("name", [n for n in POST_HOC if n not in ("random-refactoring", "gaussian-noise")])
def test_no_defence_depends_on_how_the_update_is_written(name: str, adapter: Adapter, base: DiffusersBase) -> None:
    defence = parse_defence(name)
    assert isinstance(defence, PostHoc)
    one, other = (defence.apply(a, base).factors for a in (adapter, _refactored(adapter)))
    for module in adapter.factors:
        np.testing.assert_allclose(dense(one[module]), dense(other[module]), atol=2e-5 * np.abs(dense(one[module])).max())


def test_rank_truncation_is_the_nearest_of_lower_rank(adapter: Adapter) -> None:
    defended = RankTruncation(2).apply(adapter, None)
    for module, pair in adapter.factors.items():
        np.testing.assert_allclose(dense(defended.factors[module]), truncated(dense(pair), 2), atol=1e-4)
        assert defended.factors[module].rank == (pair.rank if pair.scale is None else min(2, pair.rank))


def test_scaling_scales_the_update_where_the_scale_is_unknown_too(adapter: Adapter) -> None:
    defended = Scaling(0.25).apply(adapter, None)
    for module, pair in adapter.factors.items():
        np.testing.assert_allclose(dense(defended.factors[module]), 0.25 * dense(pair), rtol=1e-5, atol=1e-6)


def test_refactoring_changes_every_number_and_no_update(adapter: Adapter) -> None:
    defended = RandomRefactoring().apply(adapter, None)
    for module, pair in adapter.factors.items():
        new = defended.factors[module]
        np.testing.assert_allclose(dense(new), dense(pair), atol=1e-5 * np.abs(dense(pair)).max())
        assert not torch.isclose(new.down, pair.down, rtol=1e-3).all()
        if pair.rank > 1:  # the rows of A are mixed, not only stretched
            cosines = torch.nn.functional.cosine_similarity(new.down.flatten(1), pair.down.flatten(1)).abs()
            assert cosines.min() < 0.99


@pytest.mark.parametrize("bits", [2, 3, 8])
def test_quantised_singular_vectors_have_few_values(bits: int, adapter: Adapter) -> None:
    defended = Quantisation(bits).apply(adapter, None)
    errors = []
    for module, pair in adapter.factors.items():
        left, values, right = np.linalg.svd(dense(pair), full_matrices=False)
        expected = np.zeros_like(dense(pair))
        for k in range(pair.rank):
            u, v = (_oracle_rounded(vector, bits) for vector in (left[:, k], right[k]))
            expected += values[k] * np.outer(u, v)
        got = dense(defended.factors[module])
        # a number that lies halfway may go either way
        errors.append(np.linalg.norm(got - expected) / np.linalg.norm(expected))
        for row in defended.factors[module].down.flatten(1):
            assert len(np.unique(np.round(row.numpy() / row.abs().max().item(), 4))) <= 2**bits - 1
    assert np.median(errors) < 1e-4


def _oracle_rounded(vector: np.ndarray, bits: int) -> np.ndarray:
    levels = np.arange(-(2 ** (bits - 1)) + 1, 2 ** (bits - 1)) / (2 ** (bits - 1) - 1) * np.abs(vector).max()
    return np.asarray(levels[np.abs(vector[:, None] - levels).argmin(axis=1)])


def _one(d_out: int, d_in: int, rank: int) -> tuple[Adapter, Factors]:
    generator = torch.Generator().manual_seed(1)
    pair = Factors(torch.randn(rank, d_in, generator=generator), torch.randn(d_out, rank, generator=generator), 1.0)
    return Adapter({"unet.a": pair}, "memory"), pair


def test_noise_is_that_of_dense_algebra() -> None:
    adapter, pair = _one(12, 9, 3)
    left, values, right = np.linalg.svd(dense(pair), full_matrices=False)
    left, right = left[:, :3], right[:3]
    deviation = 0.7 * np.linalg.norm(dense(pair)) / math.sqrt(3 * (12 + 9 - 3))
    generator = generator_for(4, "unet.a", pair)
    rows, columns = (torch.randn(*s, generator=generator, dtype=torch.float64).numpy() for s in ((3, 9), (12, 3)))
    # numpy's singular vectors differ in sign from those that the noise was drawn along
    signs = _signs(pair, left)
    moved = dense(pair) + deviation * (
        left @ (signs[:, None] * rows) + (np.eye(12) - left @ left.T) @ columns @ (signs[:, None] * right)
    )
    got = dense(GaussianNoise(0.7, seed=4).apply(adapter, None).factors["unet.a"])
    np.testing.assert_allclose(got, truncated(moved, 3), atol=1e-5)
    assert values[0] > 0


def _signs(pair: Factors, left: np.ndarray) -> np.ndarray:
    from loraleak.adapters.normal_form import thin_svd

    return np.sign((thin_svd(pair).left.numpy() * left).sum(axis=0))


def test_small_noise_is_what_an_adapter_keeps_of_dense_noise() -> None:
    """The nearest matrix of rank r to dW + N, N dense, differs from dW as ours does: same variance along dW's own directions."""
    adapter, pair = _one(40, 30, 4)
    update = dense(pair)
    norm, level, draws = np.linalg.norm(update), 1e-3, 200
    deviation = level * norm / math.sqrt(4 * (40 + 30 - 4))
    left, _, right = np.linalg.svd(update, full_matrices=False)
    rng = np.random.default_rng(0)
    ours = [dense(GaussianNoise(level, seed=s).apply(adapter, None).factors["unet.a"]) - update for s in range(draws)]
    theirs = [truncated(update + deviation * rng.standard_normal(update.shape), 4) - update for _ in range(draws)]
    for change in (ours, theirs):
        sizes = [np.linalg.norm(c) / (level * norm) for c in change]
        assert abs(np.mean(sizes) - 1) < 0.02
        along = np.concatenate([(left[:, :4].T @ c).ravel() for c in change])
        across = np.concatenate([((np.eye(40) - left[:, :4] @ left[:, :4].T) @ c @ right[:4].T).ravel() for c in change])
        assert abs(along.std() / deviation - 1) < 0.03
        assert abs(across.std() / deviation - 1) < 0.03 * math.sqrt(40 / 36) + 0.03


def test_noise_is_new_for_every_seed_module_and_update() -> None:
    _, pair = _one(12, 9, 3)
    other = replace(pair, up=pair.up * 1.0001)
    numbers = [
        torch.randn(3, generator=generator_for(seed, name, p))
        for seed, name, p in ((0, "a", pair), (1, "a", pair), (0, "b", pair), (0, "a", other))
    ]
    assert all(not torch.allclose(a, b) for i, a in enumerate(numbers) for b in numbers[:i])


def test_alignment_keeps_the_channels_along_the_base(base: DiffusersBase) -> None:
    """Two channels within the base's top subspace, two across it: half stays, and it is the right half."""
    name = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    left, _, right = np.linalg.svd(base.weight(name).numpy().astype(np.float64))
    along, across = [0, 1], [6, 7]
    strengths = {0: 1.0, 1: 2.0, 6: 5.0, 7: 4.0}
    channels = {i: strengths[i] * np.outer(left[:, i], right[i]) for i in along + across}
    pair = Factors(
        torch.tensor(np.stack([right[i] for i in strengths]), dtype=torch.float32),
        torch.tensor(np.stack([s * left[:, i] for i, s in strengths.items()], axis=1), dtype=torch.float32),
        1.0,
    )
    adapter = Adapter({name: pair}, "memory")
    kept = SpectralAlignment(keep=0.5, top=0.25).apply(adapter, base).factors[name]
    np.testing.assert_allclose(dense(kept), channels[0] + channels[1], atol=1e-5)
    assert kept.rank == 2


def test_alignment_needs_the_base_that_the_adapter_fits(adapter: Adapter, base: DiffusersBase) -> None:
    with pytest.raises(UsageError, match="--base"):
        SpectralAlignment().apply(adapter, None)
    with pytest.raises(BaseMismatchError):
        SpectralAlignment().apply(_one(3, 3, 1)[0], base)


def test_the_bases_weight_is_its_own_even_with_an_adapter_on(adapter: Adapter, base: DiffusersBase) -> None:
    before = {name: base.weight(name).clone() for name in adapter.factors}
    assert all(before[name].shape == base.modules[name] for name in before)
    with base.adapted(adapter):
        assert all(torch.equal(base.weight(name), before[name]) for name in before)


def test_scrubbing_the_header_leaves_the_weights(adapter: Adapter) -> None:
    defended = MetadataScrub().apply(adapter, None)
    assert defended.metadata == {"format": "pt"}
    assert defended.factors == adapter.factors


def test_a_chain_applies_each_to_what_the_one_before_made(adapter: Adapter) -> None:
    chain = parse_defence("rank-truncation:rank=1+scaling:factor=0.5")
    assert isinstance(chain, PostHoc)
    defended = chain.apply(adapter, None)
    for module, pair in adapter.factors.items():
        np.testing.assert_allclose(dense(defended.factors[module]), truncated(dense(pair), 1) / 2, atol=1e-4)


def test_ranks_that_differ_come_back_from_a_file(adapter: Adapter, tmp_path_factory: pytest.TempPathFactory) -> None:
    known = replace(adapter, factors={n: replace(p, scale=p.scale or 1.0) for n, p in adapter.factors.items()})
    defended = RankTruncation(2).apply(known, None)
    file = tmp_path_factory.mktemp("a") / "defended.safetensors"
    save_adapter(defended, file)
    back = load_adapter(file)
    for module, pair in defended.factors.items():
        assert back.factors[module].scale == pair.scale
        assert torch.equal(back.factors[module].down, pair.down) and torch.equal(back.factors[module].up, pair.up)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("gaussian-noise:level=0,seed=-1", "level is 0.0.*seed is -1"),
        ("gaussian-noise:level=nan", "level is 'nan', give a number"),
        ("rank-truncation:rank=0", "rank is 0"),
        ("scaling:factor=nan", "factor is 'nan', give a number"),
        ("quantisation:bits=1", "bits is 1"),
        ("spectral-alignment:keep=0,top=2", "keep is 0.0.*top is 2.0"),
        ("random-refactoring:seed=-1", "seed is -1"),
    ],
)
def test_settings_out_of_range(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_defence(text)
