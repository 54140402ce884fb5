"""Both encoders: what they may and may not depend on."""

import pytest
import torch

from loraleak.bases import DiffusersBase
from loraleak.errors import BaseMismatchError
from loraleak.inversion.invariant import InvariantEncoder, ProbeStatistics
from loraleak.inversion.weight_autoencoder import Encoder, new_encoder
from loraleak.inversion.weights import stack_adapters
from loraleak.types import Adapter
from oracles.adapters import random_adapter, refactored

UNKNOWN = torch.zeros(3, dtype=torch.long)


def _encoder(kind: str, base: DiffusersBase, shapes: dict[str, torch.Size], **sizes: bool | float) -> Encoder:
    torch.manual_seed(0)
    encoder = new_encoder(kind, shapes, base, steps=True, rank=4, sizes=sizes).eval()
    for parameter in encoder.parameters():  # heads start near zero, which would hide a difference
        parameter.data += 0.1 * torch.randn_like(parameter) if parameter.requires_grad else 0
    return encoder


def _three(shapes: dict[str, torch.Size]) -> list[Adapter]:
    return [random_adapter(shapes, rank, seed) for seed, rank in enumerate((1, 2, 4))]


@pytest.mark.parametrize("second_order", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_invariant_does_not_see_how_an_update_is_factored(
    base: DiffusersBase, shapes: dict[str, torch.Size], seed: int, second_order: bool
) -> None:
    encoder = _encoder("invariant", base, shapes, second_order=second_order).double()
    weights = stack_adapters(_three(shapes), shapes).to(torch.float64)
    with torch.no_grad():
        one, other = encoder(weights, UNKNOWN), encoder(refactored(weights, seed), UNKNOWN)
    torch.testing.assert_close(one.mean, other.mean, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(one.log_variance, other.log_variance, atol=1e-4, rtol=1e-4)
    assert (one.mean[0] - one.mean[1]).abs().max() > 0.01


def test_the_published_encoder_does(base: DiffusersBase, shapes: dict[str, torch.Size]) -> None:
    encoder, weights = _encoder("published", base, shapes), stack_adapters(_three(shapes), shapes)
    with torch.no_grad():
        one, other = encoder(weights, UNKNOWN).mean, encoder(refactored(weights, 0), UNKNOWN).mean
    assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize("kind", ["invariant", "published"])
def test_z_does_not_depend_on_who_is_read_beside(kind: str, base: DiffusersBase, shapes: dict[str, torch.Size]) -> None:
    encoder, adapters = _encoder(kind, base, shapes), _three(shapes)
    steps = torch.tensor([0, 5, 300])
    with torch.no_grad():
        together = encoder(stack_adapters(adapters, shapes), steps).mean
        alone = [encoder(stack_adapters([a], shapes), steps[k : k + 1]).mean for k, a in enumerate(adapters)]
    assert together.shape == (3, *base.condition_shape)
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["invariant", "published"])
def test_the_step_is_read_and_may_be_unknown(kind: str, base: DiffusersBase, shapes: dict[str, torch.Size]) -> None:
    encoder, weights = _encoder(kind, base, shapes), stack_adapters(_three(shapes), shapes)
    with torch.no_grad():
        z = [encoder(weights, torch.full((3,), step)).mean for step in (0, 10, 200)]
    assert all((a - b).abs().max() > 1e-4 for a, b in ((z[0], z[1]), (z[1], z[2])))


def test_features_are_those_of_the_full_update(base: DiffusersBase, shapes: dict[str, torch.Size]) -> None:
    encoder, adapters = _encoder("invariant", base, shapes), _three(shapes)
    assert isinstance(encoder, InvariantEncoder)
    probed, norms = encoder.features(stack_adapters(adapters, shapes))
    for m, (name, left, right) in enumerate(zip(shapes, encoder.left, encoder.right, strict=True)):
        for k, adapter in enumerate(adapters):
            f = adapter.factors[name]
            update = f.scale * f.up @ f.down
            torch.testing.assert_close(norms[k, m], update.norm())
            torch.testing.assert_close(
                probed[k, m].view(left.shape[1], -1), left.T @ update @ right / update.norm(), atol=1e-5, rtol=1e-4
            )


def test_second_order_features_are_those_of_the_full_update(base: DiffusersBase, shapes: dict[str, torch.Size]) -> None:
    encoder, adapters = _encoder("invariant", base, shapes, second_order=True), _three(shapes)
    assert isinstance(encoder, InvariantEncoder)
    probed, _ = encoder.features(stack_adapters(adapters, shapes))
    first = encoder.shape.probes**2
    for m, (name, left) in enumerate(zip(shapes, encoder.left, strict=True)):
        for k, adapter in enumerate(adapters):
            update = adapter.factors[name].up @ adapter.factors[name].down
            square = update @ update.T
            wanted = left.T @ square @ left / square.norm()
            torch.testing.assert_close(probed[k, m, first:].view_as(wanted), wanted, atol=1e-5, rtol=1e-4)


def test_right_probes_can_be_scaled_by_their_share_of_the_updates(base: DiffusersBase, shapes: dict[str, torch.Size]) -> None:
    statistics = ProbeStatistics(shapes)
    statistics.add(stack_adapters(_three(shapes), shapes))
    plain, scaled = (_encoder("invariant", base, shapes, right_power=power) for power in (0.0, 0.5))
    assert isinstance(plain, InvariantEncoder) and isinstance(scaled, InvariantEncoder)
    plain.set_probes(statistics)
    scaled.set_probes(statistics)
    name = next(iter(shapes))
    energies = (plain.right[0].T @ statistics.right[name] @ plain.right[0]).diagonal()
    torch.testing.assert_close(
        scaled.right[0].norm(dim=0).square(), (energies / energies[0]).clamp(min=0), atol=1e-4, rtol=1e-3
    )
    torch.testing.assert_close(scaled.left[0], plain.left[0])


def test_probes_are_the_directions_of_most_energy(base: DiffusersBase, shapes: dict[str, torch.Size]) -> None:
    adapters = [random_adapter(shapes, 2, seed) for seed in range(6)]
    statistics = ProbeStatistics(shapes)
    statistics.add(stack_adapters(adapters[:3], shapes))
    statistics.add(stack_adapters(adapters[3:], shapes))
    encoder = _encoder("invariant", base, shapes)
    assert isinstance(encoder, InvariantEncoder)
    encoder.set_probes(statistics)
    name = next(iter(shapes))
    updates = [f.scale * f.up @ f.down for f in (a.factors[name] for a in adapters)]
    stacked = torch.cat([u / u.norm() for u in updates], dim=1)
    _, _, rows = torch.linalg.svd(stacked.T, full_matrices=False)
    found = encoder.left[0][:, 0] @ rows[0]
    torch.testing.assert_close(found.abs(), torch.tensor(1.0), atol=1e-3, rtol=0)


def test_the_published_encoder_refuses_ranks_that_it_was_not_made_for(
    base: DiffusersBase, shapes: dict[str, torch.Size]
) -> None:
    encoder = _encoder("published", base, shapes)
    with pytest.raises(BaseMismatchError, match="reads ranks up to 4: take an invariant attack"):
        encoder(stack_adapters([random_adapter(shapes, 5, 0)], shapes), UNKNOWN[:1])


def test_missing_modules_are_tolerated(base: DiffusersBase, shapes: dict[str, torch.Size]) -> None:
    whole = random_adapter(shapes, 2, 0)
    part = Adapter(dict(list(whole.factors.items())[::2]), "memory")
    encoder = _encoder("invariant", base, shapes)
    with torch.no_grad():
        z = encoder(stack_adapters([part], shapes), UNKNOWN[:1]).mean
    assert z.isfinite().all()
