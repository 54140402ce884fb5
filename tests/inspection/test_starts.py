"""Rebuilding the random start of an adapter, from libraries that draw it as training scripts do."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn

from loraleak.adapters import save_adapter
from loraleak.inspection.inspect import inspect_adapter
from loraleak.inspection.starts import COMMON_SEEDS, find_start
from loraleak.types import Adapter, Factors

_RANK, _WIDTH = 4, 160


@pytest.mark.parametrize("seed", [42, 1337])
def test_what_peft_drew_from_a_common_seed_is_found_to_the_bit(seed: int) -> None:
    started = _peft_start(seed)
    shared = _moved(started, by=0.05)
    found = find_start(shared, reach=2**13)
    assert found is not None and (found.seed, found.law) == (seed, "uniform")
    assert set(found.down) == set(started)
    for name, down in started.items():
        torch.testing.assert_close(found.down[name], down)
    assert 0.6 < found.correlation < 1


def test_what_diffusers_drew_before_peft_is_found() -> None:
    torch.manual_seed(7)
    torch.rand(5)  # something else was drawn before
    started = {}
    for name in ("unet.b", "unet.a"):
        layer = nn.Linear(_WIDTH, _RANK, bias=False)
        nn.init.normal_(layer.weight, std=1 / _RANK)
        started[name] = layer.weight.detach()
    found = find_start(_moved(started, by=0.01), reach=2**14)
    assert found is not None and (found.seed, found.law) == (7, "normal")
    for name, down in started.items():
        torch.testing.assert_close(found.down[name], down, atol=1e-5, rtol=1e-5)


def test_a_seed_that_is_not_tried_and_factors_that_were_mixed_are_not_found() -> None:
    started = _peft_start(123_457)
    assert 123_457 not in COMMON_SEEDS
    assert find_start(_moved(started, by=0.0), range(20), reach=2**14) is None
    mixing = torch.linalg.qr(torch.randn(_RANK, _RANK, generator=torch.Generator().manual_seed(987_654_323)))[0]
    mixed = {name: mixing @ down for name, down in _peft_start(3).items()}
    assert find_start(_moved(mixed, by=0.0), range(20), reach=2**14) is None


def test_chance_does_not_reach_the_bar() -> None:
    """Of 60 adapters that no seed in the list made, none is claimed."""
    generator = torch.Generator().manual_seed(987_654_321)
    claimed = 0
    for _ in range(60):
        bound = 1 / math.sqrt(_WIDTH)
        down = (2 * torch.rand(_RANK, _WIDTH, generator=generator) - 1) * bound
        claimed += find_start(_moved({"unet.a": down}, by=0.0), range(3), reach=2**10) is not None
    assert claimed == 0


def test_an_adapter_too_small_to_tell_is_left_alone() -> None:
    assert find_start(_moved({"unet.a": torch.ones(1, 3)}, by=0.0), range(2), reach=2**10) is None


def _peft_start(seed: int) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    model = nn.Sequential()
    with torch.device("meta"):
        layers = [nn.Linear(_WIDTH, _WIDTH) for _ in range(3)]
    for i, layer in enumerate(layers):
        model.add_module(f"to_q_{i}", layer.to_empty(device="cpu"))
    inject_adapter_in_model(LoraConfig(r=_RANK, target_modules=r"to_q_\d"), model)
    return {
        f"unet.{name.removesuffix('.lora_A.default.weight')}": parameter.detach().clone()
        for name, parameter in model.named_parameters()
        if name.endswith("lora_A.default.weight")
    }


def _moved(start: dict[str, Tensor], *, by: float) -> Adapter:
    generator = torch.Generator().manual_seed(987_654_322)
    factors = {}
    for name, down in start.items():
        moved = down + by * torch.randn(down.shape, generator=generator)
        factors[name] = Factors(moved, torch.randn(_WIDTH, len(down), generator=generator), 1.0)
    return Adapter(factors, "memory")


def test_inspection_tries_the_seed_that_the_header_names_first(tmp_path: Path) -> None:
    seed = 123_457
    adapter = replace(_moved(_peft_start(seed), by=0.01), metadata={"ss_seed": str(seed)})
    save_adapter(adapter, tmp_path / "a.safetensors")
    (found,) = [f for f in inspect_adapter(tmp_path / "a.safetensors", start=True).findings if f.field == "weights"]
    assert found.group == "seeds" and f"seed {seed}, 3 of 3 modules" in found.says


def test_a_start_that_can_be_rebuilt_weighs_no_more_than_a_seed_in_the_header(tmp_path: Path) -> None:
    save_adapter(_moved(_peft_start(1337), by=0.01), tmp_path / "a.safetensors")
    save_adapter(replace(_moved(_peft_start(123_457), by=0.01), metadata={"ss_seed": "123457"}), tmp_path / "b.safetensors")
    by_weights = inspect_adapter(tmp_path / "a.safetensors", start=True).findings
    by_header = inspect_adapter(tmp_path / "b.safetensors").findings
    assert [f.severity for f in by_weights if f.field == "weights"] == ["medium"]
    assert [f.severity for f in by_header if f.field == "ss_seed"] == ["medium"]
    assert "a stranger can do without" in next(f.says for f in by_weights if f.field == "weights")
