"""The tensors of an adapter under kohya's or ComfyUI's names. What diffusers cuts in several layers becomes one again."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from loraleak.adapters.detect import Dialect
from loraleak.adapters.family import Family, family_of
from loraleak.adapters.layers import Layer, dotted, original_names
from loraleak.adapters.layouts.comfyui import COMFYUI, ENCODERS
from loraleak.adapters.layouts.kohya import KOHYA
from loraleak.errors import AdapterError
from loraleak.types import Adapter, Factors
from loraleak.untrusted import printable

__all__ = ["OriginalLayout", "kohya_tensors"]

OriginalLayout = Literal["kohya", "comfyui"]

_MAX_RANK = 1024
_T5 = {"flux": "text_encoder_2", "sd3": "text_encoder_3"}


@dataclass(frozen=True)
class _Whole:
    """One layer as the original code has it."""

    factors: Factors
    magnitude: Tensor | None


def kohya_tensors(adapter: Adapter, layout: OriginalLayout) -> dict[str, Tensor]:
    """Tensors by name. Alphas are float32 where that gives the scale to the last bit, else float64.

    Raises: AdapterError, naming the module, if the layout has no name for it or cannot tell its scale.
    """
    family = family_of(adapter)
    dialect, stem = (KOHYA, _kohya_stem) if layout == "kohya" else (COMFYUI, _comfyui_stem)
    tensors: dict[str, Tensor] = {}
    for layer, whole in _wholes(adapter, family).items():
        f = whole.factors
        if f.scale is None and layout == "kohya":
            raise AdapterError(
                "the kohya layout must tell the scale, and this adapter's is unknown: write it in diffusers or comfyui layout"
            )
        name = stem(layer, family)
        _check_reads_back(name, layer, dialect, family)
        tensors[f"{name}.lora_down.weight"], tensors[f"{name}.lora_up.weight"] = f.down, f.up
        if f.scale is not None:
            tensors[f"{name}.alpha"] = _alpha(f.scale, f.rank)
        if whole.magnitude is not None:
            tensors[f"{name}.dora_scale"] = whole.magnitude
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in sorted(tensors.items())}


def _kohya_stem(layer: Layer, family: Family) -> str:
    component, _, path = layer.targets[0].partition(".")
    if component.startswith("text_encoder"):
        two = family not in ("sd1", "sd2", "pocket", "")
        number = (
            "3" if _T5.get(family) == component else component.removeprefix("text_encoder").strip("_") or ("1" if two else "")
        )
        return f"lora_te{number}_{path.replace('.', '_')}"
    if component == "transformer" or family == "sdxl":
        path = original_names(family).get(layer, path)
    return f"lora_unet_{path.replace('.', '_')}"


def _comfyui_stem(layer: Layer, family: Family) -> str:
    component, _, path = layer.targets[0].partition(".")
    if component.startswith("text_encoder"):
        encoders = {component: encoder for encoder, component in ENCODERS.items() if encoder != "clip_h"}
        encoder = "t5xxl" if _T5.get(family) == component else encoders[component]
        return f"text_encoders.{'clip_h' if family == 'sd2' else encoder}.transformer.{path}"
    return f"diffusion_model.{original_names(family).get(layer, path)}"


def _check_reads_back(name: str, layer: Layer, dialect: Dialect, family: Family) -> None:
    module = layer.targets[0]
    part = dialect.part(f"{name}.lora_down.weight")
    path = name.removeprefix("diffusion_model.")
    if layer in original_names(family) and part is not None:
        return
    if part is None or part.module != _as_read(module, family) or (module.startswith("transformer.") and dotted(path)):
        raise AdapterError(
            f"{dialect.name}'s layout has no name for {printable(module)}: write it in diffusers layout, which can hold all"
        )


def _as_read(module: str, family: Family) -> str:
    """T5 is read as the third text encoder, before the file turns out to be Flux's."""
    return module.replace("text_encoder_2.", "text_encoder_3.", 1) if family == "flux" else module


def _wholes(adapter: Adapter, family: Family) -> dict[Layer, _Whole]:
    wholes: dict[Layer, _Whole] = {}
    composed = {
        target: layer for layer in original_names(family) if len(layer.targets) > 1 or layer.swapped for target in layer.targets
    }
    for name in adapter.factors:
        layer = composed.get(name, Layer((name,)))
        if layer not in wholes:
            wholes[layer] = _whole(layer, adapter)
    return wholes


def _whole(layer: Layer, adapter: Adapter) -> _Whole:
    first = layer.targets[0]
    missing = [target for target in layer.targets if target not in adapter.factors]
    if missing:
        there = next(target for target in layer.targets if target in adapter.factors)
        raise AdapterError(
            f"kohya's and ComfyUI's layouts have one layer for {printable(there)} and {printable(missing[0])}, of which the adapter "
            "has only one: write it in diffusers layout"
        )
    parts = [adapter.factors[target] for target in layer.targets]
    magnitudes = [adapter.magnitudes[target] for target in layer.targets if target in adapter.magnitudes]
    if len({f.up.shape[0] // share for f, share in zip(parts, layer.shares, strict=True)}) != 1:
        raise AdapterError(
            f"the rows of {printable(first)} and its neighbours do not make one layer: write it in diffusers layout"
        )
    factors = parts[0] if len(parts) == 1 else _fused(parts)
    if factors.rank > _MAX_RANK:
        raise AdapterError(
            f"{printable(first)} and its neighbours make one layer of rank {factors.rank}, more than {_MAX_RANK}"
        )
    magnitude = _fused_magnitude(first, magnitudes, parts)
    if layer.swapped and factors.up.shape[0] == 2 * factors.down.shape[1]:
        half = factors.up.shape[0] // 2
        factors = Factors(factors.down, factors.up.roll(half, 0), factors.scale)
        by_rows = magnitude is not None and magnitude.shape[0] != 1
        magnitude = magnitude.roll(half, 0) if magnitude is not None and by_rows else magnitude
    return _Whole(factors, magnitude)


def _fused(parts: list[Factors]) -> Factors:
    """One pair for several layers of one input: rows below each other over a common A, or blocks over all A."""
    scales = {f.scale for f in parts}
    if len(scales) == 1 and all(torch.equal(f.down, parts[0].down) for f in parts):
        return Factors(parts[0].down, torch.cat([f.up for f in parts]), parts[0].scale)
    same = len(scales) == 1
    ups: list[Tensor] = [f.up if same or f.scale is None else f.up * f.scale for f in parts]
    return Factors(torch.cat([f.down for f in parts]), torch.block_diag(*ups), parts[0].scale if same else 1.0)


def _fused_magnitude(name: str, magnitudes: list[Tensor], parts: list[Factors]) -> Tensor | None:
    if not magnitudes:
        return None
    by_rows = all(m.shape[0] == f.up.shape[0] for m, f in zip(magnitudes, parts, strict=False))
    if len(magnitudes) == len(parts) and by_rows:
        return torch.cat(magnitudes)
    if len(magnitudes) == len(parts) and all(torch.equal(m, magnitudes[0]) for m in magnitudes):
        return magnitudes[0]
    raise AdapterError(
        f"the magnitudes of {printable(name)} and its neighbours do not make one layer: write it in diffusers layout"
    )


def _alpha(scale: float, rank: int) -> Tensor:
    exact = torch.tensor(scale * rank, dtype=torch.float64)
    near = exact.float()
    return near if near.item() / rank == scale else exact
