"""The tensors of an adapter under kohya's or ComfyUI's names. What diffusers cuts in several layers becomes one again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from loraleak.adapters.detect import split_component
from loraleak.adapters.family import families_of_adapter
from loraleak.adapters.layouts.comfyui import ENCODERS
from loraleak.errors import AdapterError
from loraleak.families import ENCODERS as TEXT_LAYERS
from loraleak.families import FAMILIES, Family, Layer, titles
from loraleak.types import Adapter, Factors
from loraleak.untrusted import printable

__all__ = ["OriginalLayout", "kohya_tensors"]

OriginalLayout = Literal["kohya", "comfyui"]

_MAX_RANK = 1024
_IN_DIFFUSERS = "write it in diffusers layout"
_TITLES = {"kohya": "kohya's", "comfyui": "ComfyUI's"}
_KOHYA_PREFIXES = {"prior": "lora_prior_unet_"}
_WITH_ENCODERS = ("sd1", "sd2", "sdxl", "pocket", "sd3", "flux", "chroma")
"""Families whose text encoders ComfyUI's layout has names for."""


@dataclass(frozen=True)
class _Whole:
    """One layer as the original code has it."""

    factors: Factors
    magnitude: Tensor | None


def kohya_tensors(adapter: Adapter, layout: OriginalLayout) -> dict[str, Tensor]:
    """Tensors by name. Alphas are float32 where that gives the scale to the last bit, else float64.

    Raises: AdapterError, naming the module, if no loader of the layout has a name for it, or the layout cannot tell its scale.
    """
    tensors: dict[str, Tensor] = {}
    for name, layer in _names(adapter, layout).items():
        whole = _whole(layer, adapter)
        f = whole.factors
        tensors[f"{name}.lora_down.weight"], tensors[f"{name}.lora_up.weight"] = f.down, f.up
        tensors[f"{name}.alpha"] = _alpha(1.0 if f.scale is None else f.scale, f.rank)
        if whole.magnitude is not None:
            tensors[f"{name}.dora_scale"] = whole.magnitude
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in sorted(tensors.items())}


def _names(adapter: Adapter, layout: OriginalLayout) -> Mapping[str, Layer]:
    """Names of the layers that the layout has, by the families that the adapter fits; those must agree."""
    families = families_of_adapter(adapter)
    if not families:
        if adapter.format == layout == "comfyui" and not any(name.startswith("text_encoder") for name in adapter.factors):
            return {f"diffusion_model.{split_component(name)[1]}": Layer((name,)) for name in adapter.factors}
        raise AdapterError(
            f"no family that we know has these layers, so {_TITLES[layout]} names for them are not known: keep the file in the layout "
            "that it has"
        )
    first, *others = (FAMILIES[name] for name in families)
    names = _family_names(adapter, layout, first)
    for other in others if first.component == "transformer" else ():
        if not all(_means_the_same(name, layer, other) for name, layer in names.items()):
            raise AdapterError(
                f"these layers fit {titles(families)}, which {_TITLES[layout]} layout names differently: {_IN_DIFFUSERS}"
            )
    return names


def _means_the_same(name: str, layer: Layer, other: Family) -> bool:
    component = layer.targets[0].partition(".")[0]
    if component.startswith("text_encoder"):
        return True
    flat = not name.startswith("diffusion_model.")
    found = other.find(name.removeprefix("lora_unet_" if flat else "diffusion_model."), flat=flat)
    return found is not None and tuple(f"{component}.{target}" for target in found.layer.targets) == layer.targets


def _family_names(adapter: Adapter, layout: OriginalLayout, family: Family) -> dict[str, Layer]:
    names: dict[str, Layer] = {}
    for module in adapter.factors:
        name, layer = _named(module, layout, family)
        names[name] = layer
    return names


def _named(module: str, layout: OriginalLayout, family: Family) -> tuple[str, Layer]:
    component, path = split_component(module)
    if component.startswith("text_encoder"):
        return _text_name(module, component, path, layout, family), Layer((module,))
    style = family.writes.get(layout)
    if style is None:
        remedy = _IN_DIFFUSERS if family.in_diffusers else "write it in peft layout, or keep the file as it is"
        raise AdapterError(f"no loader that we know takes {family.title} in {_TITLES[layout]} layout: {remedy}")
    found = family.whole(path)
    if component != family.component or found is None:
        raise AdapterError(f"{_TITLES[layout]} layout has no name for {printable(module)}: {_IN_DIFFUSERS}, which can hold all")
    targets = (path,) if style == "diffusers" else found.layer.targets
    shares, swapped = ((1,), False) if style == "diffusers" else (found.layer.shares, found.layer.swapped)
    name = path if style == "diffusers" else found.original
    layer = Layer(tuple(f"{component}.{target}" for target in targets), shares, swapped)
    if layout == "comfyui":
        return f"diffusion_model.{name}", layer
    return f"{_KOHYA_PREFIXES.get(component, 'lora_unet_')}{name.replace('.', '_')}", layer


def _text_name(module: str, component: str, path: str, layout: OriginalLayout, family: Family) -> str:
    known = TEXT_LAYERS.find(path, flat=False) is not None
    if layout == "kohya" and known:
        two = len(family.encoders) > 1
        number = "3" if family.t5 == component else component.removeprefix("text_encoder").strip("_") or ("1" if two else "")
        return f"lora_te{number}_{path.replace('.', '_')}"
    encoders = {component: encoder for encoder, component in ENCODERS.items() if encoder != "clip_h"}
    if not known or family.name not in _WITH_ENCODERS or (component not in encoders and family.t5 != component):
        raise AdapterError(f"{_TITLES[layout]} layout has no name for {printable(module)}: {_IN_DIFFUSERS}, which can hold all")
    encoder = "t5xxl" if family.t5 == component else encoders[component]
    return f"text_encoders.{'clip_h' if family.name == 'sd2' else encoder}.transformer.{path}"


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
