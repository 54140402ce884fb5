"""peft's LoRA layers in a model: put in, switched off for a moment, taken out."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from jaxtyping import Float
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from loraleak.types import Adapter, Factors

__all__ = ["attach", "canonical", "detach", "inject", "layers", "multiplied", "switched_off"]

_NAME = "loraleak"


def canonical(component: str, path: str) -> str:
    """The path as files write it. Files keep CLIP's `text_model.`, which transformers 5 dropped from its own paths."""
    if component.startswith("text_encoder") and path.startswith("encoder.layers."):
        return f"text_model.{path}"
    return path


def inject(model: nn.Module, ranks: Mapping[str, int], scales: Mapping[str, float], *, dora: bool = False) -> None:
    """Put fresh LoRA layers (A random, B zero) at these paths of the model."""
    alphas = {path: scales[path] * rank for path, rank in ranks.items()}
    rank, alpha = _commonest(ranks.values()), _commonest(alphas.values())
    config = LoraConfig(
        r=int(rank),
        lora_alpha=alpha,
        target_modules="|".join(map(re.escape, ranks)),
        # only what differs: peft tries every pattern on every layer
        rank_pattern={f"^{re.escape(path)}$": value for path, value in ranks.items() if value != rank},
        alpha_pattern={f"^{re.escape(path)}$": value for path, value in alphas.items() if value != alpha},
        use_dora=dora,
    )
    inject_adapter_in_model(config, model, adapter_name=_NAME)


def attach(model: nn.Module, component: str, adapter: Adapter) -> None:
    """Put in the layers of this component with the adapter's values; with DoRA's magnitudes where it has any."""
    paths = {canonical(component, path): path for path, _ in model.named_modules()}
    names = {paths[name.removeprefix(f"{component}.")]: name for name in adapter.factors if name.startswith(f"{component}.")}
    if not names:
        return
    mine = {path: adapter.factors[name] for path, name in names.items()}
    scales = {path: 1.0 if f.scale is None else f.scale for path, f in mine.items()}
    dora = any(name in adapter.magnitudes for name in names.values())
    inject(model, {path: f.rank for path, f in mine.items()}, scales, dora=dora)
    with torch.no_grad():
        for path, layer in layers(model).items():
            layer.lora_A[_NAME].weight.copy_(mine[path].down)
            layer.lora_B[_NAME].weight.copy_(mine[path].up)
            if dora:
                held = layer.lora_magnitude_vector[_NAME].weight
                magnitude = adapter.magnitudes.get(names[path])
                held.copy_((_norms(layer, mine[path], scales[path]) if magnitude is None else magnitude).view(held.shape))
    model.requires_grad_(False)
    model.eval()


def detach(model: nn.Module) -> None:
    """Take all our layers out, leaving the model as it was."""
    for path, layer in layers(model).items():
        parent, _, name = path.rpartition(".")
        setattr(model.get_submodule(parent), name, layer.get_base_layer())
    for leftover in ("peft_config", "_hf_peft_config_loaded"):
        if leftover in model.__dict__:
            delattr(model, leftover)


def layers(model: nn.Module) -> dict[str, LoraLayer]:
    """Our LoRA layers by their path in the model."""
    return {path: m for path, m in model.named_modules() if isinstance(m, LoraLayer) and _NAME in m.lora_A}


@contextmanager
def switched_off(models: tuple[nn.Module, ...]) -> Iterator[None]:
    """Context in which the models run without our layers. It may lie within another such context."""
    active = [layer for model in models for layer in layers(model).values() if not layer.disable_adapters]
    for layer in active:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in active:
            layer.enable_adapters(True)


@contextmanager
def multiplied(models: tuple[nn.Module, ...], factor: float) -> Iterator[None]:
    """Context in which the models run with our layers' updates times a factor."""
    held = [layer for model in models for layer in layers(model).values()]
    stated = [layer.scaling[_NAME] for layer in held]
    for layer, scale in zip(held, stated, strict=True):
        layer.scaling[_NAME] = scale * factor
    try:
        yield
    finally:
        for layer, scale in zip(held, stated, strict=True):
            layer.scaling[_NAME] = scale


def _commonest(values: Iterable[int | float]) -> int | float:
    return Counter(values).most_common(1)[0][0]


def _norms(layer: LoraLayer, factors: Factors, scale: float) -> Float[Tensor, " d_out"]:
    """`||W0 + s B A||` by row: with it as magnitude, DoRA is plain LoRA."""
    weight: Tensor = layer.get_base_layer().weight
    update = factors.up.flatten(1) @ factors.down.flatten(1)
    return torch.linalg.vector_norm(weight.flatten(1) + scale * update.to(weight), dim=1)
