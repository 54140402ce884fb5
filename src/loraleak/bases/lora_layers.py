"""peft's LoRA layers in a model: put in, switched off for a moment, taken out."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn

from loraleak.types import Factors

__all__ = ["attach", "canonical", "detach", "inject", "layers", "switched_off"]

_NAME = "loraleak"


def canonical(component: str, path: str) -> str:
    """The path as files write it: transformers 5 flattened CLIP's `text_model.` away, files keep it."""
    if component.startswith("text_encoder") and not path.startswith("text_model."):
        return f"text_model.{path}"
    return path


def inject(model: nn.Module, ranks: Mapping[str, int], scales: Mapping[str, float]) -> None:
    """Put fresh LoRA layers (A random, B zero) at these paths of the model."""
    config = LoraConfig(
        r=next(iter(ranks.values())),
        lora_alpha=1,
        target_modules=list(ranks),
        rank_pattern={f"^{path}$": rank for path, rank in ranks.items()},
        alpha_pattern={f"^{path}$": scales[path] * rank for path, rank in ranks.items()},
    )
    inject_adapter_in_model(config, model, adapter_name=_NAME)


def attach(model: nn.Module, component: str, factors: Mapping[str, Factors]) -> None:
    """Put in the layers of this component with the factors' values."""
    paths = {canonical(component, path): path for path, _ in model.named_modules()}
    mine = {
        paths[name.removeprefix(f"{component}.")]: value for name, value in factors.items() if name.startswith(f"{component}.")
    }
    if not mine:
        return
    inject(
        model,
        {path: f.rank for path, f in mine.items()},
        {path: 1.0 if f.scale is None else f.scale for path, f in mine.items()},
    )
    with torch.no_grad():
        for path, layer in layers(model).items():
            layer.lora_A[_NAME].weight.copy_(mine[path].down)
            layer.lora_B[_NAME].weight.copy_(mine[path].up)
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
    """Within this context, which may lie within another, the models run without our layers."""
    active = [layer for model in models for layer in layers(model).values() if not layer.disable_adapters]
    for layer in active:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in active:
            layer.enable_adapters(True)
