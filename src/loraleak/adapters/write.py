"""Writing an adapter in a layout that other tools load with the right scale for every module."""

import json
import math
import struct
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors.torch import save
from torch import Tensor

from loraleak.adapters.container import refuse
from loraleak.adapters.detect import COMPONENTS, component_of, split_component
from loraleak.adapters.family import families_of_adapter
from loraleak.adapters.layouts.diffusers import HEADER
from loraleak.adapters.layouts.kohya_writing import kohya_tensors
from loraleak.adapters.layouts.peft import CONFIG, WEIGHTS
from loraleak.adapters.modules import names_read
from loraleak.errors import AdapterError
from loraleak.families import ENCODERS as TEXT_LAYERS
from loraleak.families import FAMILIES
from loraleak.files import replacing_folder, write_bytes
from loraleak.types import Adapter, Factors
from loraleak.untrusted import printable

__all__ = ["LAYOUTS", "Layout", "save_adapter"]

Layout = Literal["diffusers", "peft", "kohya", "comfyui"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)

_MAX_RANK = 1024
_OWN_NAMES = ("diffusers", "peft", "memory")
"""Formats in which a module is called as in its model, whatever the model is."""
_REPLACED = {"format", HEADER, CONFIG}


def save_adapter(adapter: Adapter, path: str | Path, layout: Layout = "diffusers") -> None:
    """Write an adapter, whole or not at all: one .safetensors file, or for `peft` a folder, which holds one model.

    The factors come back bit by bit as float32; only layers that `kohya` and `comfyui` have as one (q, k and v of Flux) may come back
    as another pair of the same product. All layouts but `peft` keep the header's other fields. Residue is not written.
    Raises: AdapterError, naming what stands in the way, if the adapter is empty or broken, if its scale is unknown, if the layout
    cannot hold it, or if no loader of the layout knows such names.

    >>> from tempfile import TemporaryDirectory
    >>> from loraleak.adapters import load_adapter
    >>> from loraleak.assets import DEMO
    >>> with TemporaryDirectory() as folder:
    ...     save_adapter(load_adapter(DEMO / "adapter.safetensors"), f"{folder}/demo.safetensors", "kohya")
    ...     load_adapter(f"{folder}/demo.safetensors").format
    'kohya'
    """
    path = Path(path)
    factors = _checked(adapter)
    if layout in ("diffusers", "peft"):
        _check_names(adapter, layout)
    if layout == "peft":
        _write_peft(adapter, path)
        return
    if path.is_dir():
        refuse(path, [f"it is a folder, but the {layout} layout is one file"], "give a name that ends in .safetensors")
    header = {"format": "pt", **{key: value for key, value in adapter.metadata.items() if key not in _REPLACED}}
    if layout == "diffusers":
        tensors = _tensors(factors, adapter.magnitudes, "")
        header |= _diffusers_header(factors, adapter.magnitudes)
    else:
        tensors = kohya_tensors(adapter, layout)
    _check_reads_back(tensors, header, factors, layout)
    write_bytes(path, _file(tensors, header))


def _checked(adapter: Adapter) -> Mapping[str, Factors]:
    if not adapter.factors:
        raise AdapterError("the adapter has no factors, so there is nothing to write: fine-tune or load one first")
    strange = [name for name in adapter.factors if name.partition(".")[0] not in COMPONENTS]
    if strange:
        raise AdapterError(
            f"{printable(strange[0])} belongs to no component: its name must start with one of {', '.join(COMPONENTS)}"
        )
    broken = [
        name
        for name, f in adapter.factors.items()
        if not (f.down.isfinite().all() and f.up.isfinite().all() and math.isfinite(f.scale or 0))
    ]
    if broken:
        raise AdapterError(f"{printable(broken[0])} holds NaN or infinity: fine-tune again with a lower learning rate")
    wide = [name for name, f in adapter.factors.items() if f.rank > _MAX_RANK]
    if wide:
        raise AdapterError(
            f"{printable(wide[0])} comes to rank {adapter.factors[wide[0]].rank} as a pair of factors, more than {_MAX_RANK}: keep the "
            "file in the layout that it has (`loraleak scrub` does)"
        )
    unknown = [name for name, f in adapter.factors.items() if f.scale is None]
    if unknown:
        raise AdapterError(
            f"the scale of {printable(unknown[0])} is unknown, and loaders take 1 where a file tells none: "
            "set the scale of every module"
        )
    return adapter.factors


def _check_reads_back(
    tensors: Mapping[str, Tensor], header: Mapping[str, str], factors: Mapping[str, Factors], layout: Layout
) -> None:
    read = names_read({name: tuple(tensor.shape) for name, tensor in tensors.items()}, header)
    if read != factors.keys():
        lost = min(factors.keys() - read, default=next(iter(factors)))
        raise AdapterError(
            f"a file in {layout} layout would not tell which layer {printable(lost)} is: write it in another layout, or keep the file "
            "as it is"
        )


def _check_names(adapter: Adapter, layout: Layout) -> None:
    """Refuse names that are not those of diffusers' models, which is where these layouts are loaded."""
    families = families_of_adapter(adapter)
    family = FAMILIES[families[0]] if families else None
    if layout == "diffusers" and family is not None and not family.in_diffusers:
        raise AdapterError(f"diffusers has no loader for {family.title}: write it in peft layout, or keep the file as it is")
    alone = [name for name in adapter.factors if name.startswith(("language_model.", "unknown."))]
    if layout == "diffusers" and alone:
        raise AdapterError(
            f"diffusers has no model for {printable(alone[0])}: write it in peft layout, or keep the file as it is"
        )
    if set(adapter.format.split("+")) <= set(_OWN_NAMES):
        return
    for name in adapter.factors:
        component, path = split_component(name)
        if component.startswith("text_encoder"):
            known = TEXT_LAYERS.find(path, flat=False) is not None
        else:
            known = family is not None and family.whole(path) is not None
        if not known:
            raise AdapterError(
                f"diffusers' name of {printable(name)} is not known, so nothing would load it: keep the file in the layout that it has"
            )


def _diffusers_header(factors: Mapping[str, Factors], magnitudes: Mapping[str, Tensor]) -> dict[str, str]:
    config: dict[str, Any] = {}
    for component, mine in _by_component(factors).items():
        fields = _lora_config(component, mine, use_dora=bool(magnitudes))
        config |= {f"{component}.{key}": value for key, value in fields.items()}
    return {HEADER: json.dumps(config, indent=2, sort_keys=True)}


def _write_peft(adapter: Adapter, path: Path) -> None:
    factors, magnitudes, families = adapter.factors, adapter.magnitudes, families_of_adapter(adapter)
    components = _by_component(factors)
    if len(components) > 1:
        raise AdapterError(
            f"the PEFT layout holds one model, and this adapter changes {' and '.join(components)}: "
            "write it in diffusers layout, which can hold all"
        )
    if path.exists() and not path.is_dir():
        refuse(path, ["it is a file, but the PEFT layout is a folder"], "give the name of a folder")
    ((component, mine),) = components.items()
    # transformers 5 has no `text_model.`, and peft loads only names that the model has.
    flat = {name.removeprefix("text_model."): value for name, value in mine.items()}
    usual = FAMILIES[families[0]].component if families else ""
    lost = [name for name in flat if component_of(*split_component(name), usual) != component]
    if lost:
        raise AdapterError(
            f"the PEFT layout does not tell that {printable(lost[0])} belongs to {component}: write it in diffusers layout"
        )
    own = {name.removeprefix(f"{component}.").removeprefix("text_model."): value for name, value in magnitudes.items()}
    lora = _lora_config(component, mine, use_dora=bool(own))
    config = {"peft_type": "LORA", "task_type": None, "inference_mode": True, **lora}
    tensors = _tensors(flat, own, "base_model.model.")
    _check_reads_back(tensors, {}, factors, "peft")
    files = {
        WEIGHTS: _file(tensors, {"format": "pt"}),
        CONFIG: (json.dumps(config, indent=2, sort_keys=True) + "\n").encode(),
    }
    if path.exists():
        for name, data in files.items():
            write_bytes(path / name, data)
        return
    with replacing_folder(path) as partial:
        partial.mkdir()
        for name, data in files.items():
            (partial / name).write_bytes(data)


def _by_component(factors: Mapping[str, Factors]) -> dict[str, dict[str, Factors]]:
    """Factors by component, and by path within it."""
    found: dict[str, dict[str, Factors]] = {}
    for name, value in sorted(factors.items()):
        component, _, path = name.partition(".")
        found.setdefault(component, {})[path] = value
    return found


def _lora_config(component: str, factors: Mapping[str, Factors], *, use_dora: bool) -> dict[str, Any]:
    """The fields of peft's `LoraConfig` that give every module its rank and its scale; the commonest stand as defaults."""
    # transformers 5 flattened `text_model.` away: an ending without it fits the text encoders of every version.
    names = {path: path.removeprefix("text_model.") for path in factors}
    anchor = "" if component.startswith("text_encoder") else "^"
    ranks = {path: f.rank for path, f in factors.items()}
    alphas = {path: _alpha(f.scale, f.rank) for path, f in factors.items() if f.scale is not None}
    rank = Counter(ranks.values()).most_common(1)[0][0]
    alpha = Counter(alphas.values()).most_common(1)[0][0] if alphas else rank
    return {
        "r": rank,
        "lora_alpha": alpha,
        "rank_pattern": {f"{anchor}{names[path]}": value for path, value in ranks.items() if value != rank},
        "alpha_pattern": {f"{anchor}{names[path]}": value for path, value in alphas.items() if value != alpha},
        "target_modules": list(names.values()),
        "use_rslora": False,
        "use_dora": use_dora,
        "bias": "none",
    }


def _alpha(scale: float, rank: int) -> int | float:
    """The alpha that divided by the rank is the scale to the last bit, where there is one; whole where it can be."""
    product = scale * rank
    near = (round(product), product, math.nextafter(product, math.inf), math.nextafter(product, -math.inf))
    return next((alpha for alpha in near if alpha / rank == scale), product)


def _tensors(factors: Mapping[str, Factors], magnitudes: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    named = {f"{name}.lora_{side}.weight": t for name, f in factors.items() for side, t in (("A", f.down), ("B", f.up))}
    if magnitudes:
        named |= {f"{name}.lora_magnitude_vector": _peft_magnitude(name, f, magnitudes) for name, f in factors.items()}
    return {f"{prefix}{name}": t.detach().to("cpu", torch.float32, copy=True).contiguous() for name, t in named.items()}


def _peft_magnitude(name: str, factors: Factors, magnitudes: Mapping[str, Tensor]) -> Tensor:
    """`[d_out]`, or `[1, c_out, *ones]` for a convolution, as peft's DoRA has it."""
    magnitude = magnitudes.get(name)
    if magnitude is None or magnitude.shape[0] != factors.up.shape[0]:
        fault = "has no DoRA magnitude, and others have" if magnitude is None else "has a DoRA magnitude over its columns"
        raise AdapterError(
            f"{printable(name)} {fault}, which diffusers and peft cannot hold: write it in kohya or comfyui layout"
        )
    return magnitude.flatten() if magnitude.ndim == 2 else magnitude.transpose(0, 1)


def _file(tensors: dict[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """A safetensors file; equal content gives equal bytes, where the library writes metadata in random order."""
    data = save(tensors)
    size = struct.unpack("<Q", data[:8])[0]
    header = {"__metadata__": dict(sorted(metadata.items())), **json.loads(data[8 : 8 + size])}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data[8 + size :]
