"""The linear map of ridge regression, against an independent solution of the normal equations."""

import numpy as np
import torch

from loraleak.inversion.ridge import RidgeMap

PEOPLE, MODULES, BLOCK, TOKENS, DIM = 40, 3, 4, 2, 5


def _people(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Features in which codes are written linearly, with a little noise, and the codes."""
    generator = torch.Generator().manual_seed(seed)
    writing = torch.randn(TOKENS * DIM, MODULES * 2 * BLOCK, generator=torch.Generator().manual_seed(99))
    codes = torch.randn(count, TOKENS * DIM, generator=generator)
    noise = 0.1 * torch.randn(count, MODULES * 2 * BLOCK, generator=generator)
    return (codes @ writing + noise).unflatten(1, (MODULES, 2 * BLOCK)), codes.unflatten(1, (TOKENS, DIM))


def _solved(probed: torch.Tensor, present: torch.Tensor, codes: torch.Tensor) -> RidgeMap:
    ridge = RidgeMap(MODULES, 2, BLOCK, TOKENS * DIM, (TOKENS, DIM))
    ridge.solve(probed, present, codes, torch.arange(len(codes)))
    return ridge


def test_it_solves_the_normal_equations() -> None:
    probed, codes = _people(PEOPLE, 0)
    ridge = _solved(probed, torch.ones(PEOPLE, MODULES), codes)
    blocks = probed.numpy().astype(np.float64).reshape(PEOPLE, MODULES, 2, BLOCK)
    blocks /= np.linalg.norm(blocks, axis=3, keepdims=True)
    blocks -= blocks.mean(0)
    blocks /= np.sqrt((blocks**2).sum(axis=(1, 3), keepdims=True).mean(0, keepdims=True))
    flat, targets = blocks.reshape(PEOPLE, -1), codes.numpy().reshape(PEOPLE, -1)
    by_penalty = [
        flat @ np.linalg.solve(flat.T @ flat + penalty * np.eye(flat.shape[1]), flat.T @ targets)
        for penalty in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
    ]
    said = ridge(probed, torch.ones(PEOPLE, MODULES)).flatten(1).numpy()
    assert min(np.abs(said - expected).max() for expected in by_penalty) < 1e-3


def test_it_reads_people_whom_it_has_not_seen() -> None:
    known, theirs = _people(400, 0)
    ridge = _solved(known, torch.ones(400, MODULES), theirs)
    probed, codes = _people(50, 1)
    said = ridge(probed, torch.ones(50, MODULES))
    assert (said - codes).square().mean() < 0.5 * codes.square().mean()


def test_a_missing_module_says_nothing() -> None:
    probed, codes = _people(PEOPLE, 0)
    ridge = _solved(probed, torch.ones(PEOPLE, MODULES), codes)
    present = torch.tensor([[1.0, 0.0, 1.0]]).expand(PEOPLE, -1)
    changed = probed.clone()
    changed[:, 1] = 7.0
    torch.testing.assert_close(ridge(probed, present), ridge(changed, present))
    assert (ridge(probed, torch.zeros(PEOPLE, MODULES)) == 0).all()
