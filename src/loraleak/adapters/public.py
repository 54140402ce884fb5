"""Which of a header's fields loaders need, and may be shared. All others are private, whatever they hold."""

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from loraleak.adapters.layouts.diffusers import HEADER
from loraleak.adapters.layouts.peft import CONFIG, config_table
from loraleak.errors import UsageError
from loraleak.untrusted import printable

__all__ = ["LOCAL_PATH", "is_public", "public_metadata"]

LOCAL_PATH = re.compile(r"[~/.]{1,2}[/\\]\S|/\S+|[A-Za-z]:[/\\]|\\\\\S|file:")
"""How text begins that names a place on somebody's own machine."""

_WORDS = frozenset(
    [
        "sd",
        "sdxl",
        "stable",
        "diffusion",
        "cascade",
        "prior",
        "xl",
        "flux",
        "kontext",
        "krea",
        "fill",
        "redux",
        "klein",
        "qwen",
        "image",
        "layered",
        "edit",
        "plus",
        "z",
        "zimage",
        "wan",
        "hunyuan",
        "hunyuanvideo",
        "video",
        "framepack",
        "ltx",
        "ltxv",
        "chroma",
        "radiance",
        "lumina",
        "sana",
        "pixart",
        "alpha",
        "sigma",
        "auraflow",
        "aura",
        "flow",
        "kolors",
        "anima",
        "hidream",
        "cogvideox",
        "cogvideo",
        "animatediff",
        "illustrious",
        "pony",
        "noobai",
        "omnigen",
        "cosmos",
        "predict",
        "mochi",
        "base",
        "dev",
        "schnell",
        "pro",
        "full",
        "fast",
        "turbo",
        "lightning",
        "distilled",
        "preview",
        "inpainting",
        "refiner",
        "small",
        "medium",
        "large",
        "mini",
        "max",
        "hd",
        "i",
        "t",
        "v",
        "ti",
        "s",
        "flf",
        "b",
        "m",
        "fun",
        "control",
        "high",
        "low",
        "noise",
        "vace",
        "animate",
        "pred",
        "epsilon",
        "text",
        "textual",
        "inversion",
        "lora",
        "lycoris",
        "loha",
        "lokr",
        "locon",
        "dora",
        "oft",
        "controlnet",
        "model",
    ]
)
"""Words that names of families and their versions are made of: a person's name is none of them."""


def _names_family(value: str) -> bool:
    """Whether a text is made of nothing but such words and version numbers."""
    if len(value) > 80 or not re.fullmatch(r"[A-Za-z0-9._ /-]+", value):
        return False
    words, numbers = re.findall(r"[a-z]+", value.lower()), re.findall(r"\d+", value)
    return any(len(word) > 1 for word in words) and set(words) <= _WORDS and all(len(number) < 5 for number in numbers)


_PUBLIC: Mapping[re.Pattern[str], Callable[[str], object]] = {
    re.compile(field): _names_family if says is None else re.compile(says).fullmatch
    for field, says in {
        r"format": r"pt|tf|np|jax|flax|mlx",
        # interfaces tell a file's family by these
        r"ss_base_model_version": None,
        r"ss_v2": r"True|False",
        r"ss_network_module": r"(networks|lycoris)\.\w{1,40}",
        r"modelspec\.sai_model_spec": r"\d+(\.\d+){0,3}",
        r"modelspec\.architecture": None,
        # how much smaller LTX' reference images are
        r"reference_downscale_factor": r"\d{1,3}(\.\d{1,3})?",
        r"modelspec\.prediction_type": r"epsilon|v|v_prediction",
        # cloneofsimo's tensors are numbered over these classes
        r"unet|text_encoder": r'\["[A-Z]\w{1,60}"(, ?"[A-Z]\w{1,60}")*\]',
        r"(unet|text_encoder):\d{1,5}:rank": r"\d{1,4}",
    }.items()
}
"""Fields by what they may be called, and what they may say (None: a family): free text is never public."""

_EMBEDDING = re.compile(r"<[^>]+>")
"""cloneofsimo's mark of an embedding. The tensor has the same name, so taking the field away would hide nothing."""

_CONFIGS = (CONFIG, HEADER)
_NEEDED_KEYS = frozenset(
    {
        "peft_type",
        "task_type",
        "inference_mode",
        "r",
        "lora_alpha",
        "rank_pattern",
        "alpha_pattern",
        "use_rslora",
        "use_dora",
        "lora_bias",
        "bias",
        "fan_in_fan_out",
        "init_lora_weights",
        "target_modules",
        "target_parameters",
        "exclude_modules",
        "modules_to_save",
        "layers_to_transform",
        "layers_pattern",
        "layer_replication",
        "use_qalora",
        "qalora_group_size",
    }
)
"""Fields of peft's `LoraConfig` that may be shared: what shapes the layers and their scale."""


def is_public(field: str, value: str) -> bool:
    """Whether this field, with this value, gives nothing away."""
    return any(name.fullmatch(field) and says(value) for name, says in _PUBLIC.items())


def public_metadata(
    metadata: Mapping[str, str], keep: Collection[str] = (), replaced: Mapping[str, str] | None = None
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The fields that may be shared, and the names of what was removed from the others.

    Of peft's configurations the keys that shape the layers and their scale stay, without local paths; removed ones are listed as
    `adapter_config.json: key`. Fields and keys named in `keep` stay as they are; those in `replaced` get that value, whether they
    were there or not, and a key of a configuration gets it in the configuration.
    Raises: UsageError, if `keep` names what is not there.
    """
    tables = {field: table for field in _CONFIGS if (table := _table(metadata.get(field, ""))) is not None}
    unknown = set(keep) - set(metadata) - {_key(key) for table in tables.values() for key in table}
    if unknown:
        there = ", ".join(printable(field, 40) for field in sorted(metadata)[:40]) or "none"
        raise UsageError(f"no field is called {', '.join(map(repr, sorted(unknown)))}: the file has {there}")
    kept: dict[str, str] = {}
    removed: list[str] = []
    for field, value in metadata.items():
        if field in keep or is_public(field, value) or (_EMBEDDING.fullmatch(field) and value == "<embed>"):
            kept[field] = value
        elif field in tables:
            needed = {key: v for key, v in tables[field].items() if _key(key) in keep or _needed(key, v)}
            told = (key for key, v in tables[field].items() if key not in needed and v not in (None, "", [], {}))
            removed += [f"{field}: {key}" for key in told]
            kept[field] = json.dumps(needed, indent=2, sort_keys=True)
        else:
            removed.append(field)
    for name, value in (replaced or {}).items():
        homes = [field for field, table in tables.items() if name in table or any(_key(key) == name for key in table)]
        for field in homes:
            table = json.loads(kept[field])
            table |= {key: value for key in tables[field] if name in (key, _key(key))}
            kept[field] = json.dumps(table, indent=2, sort_keys=True)
        if not homes:
            kept[name] = value
        removed = [told for told in removed if told != name and told not in {f"{field}: {name}" for field in homes}]
    return kept, tuple(removed)


def _needed(key: str, value: Any) -> bool:
    return _key(key) in _NEEDED_KEYS and not _names_path(value)


def _key(key: str) -> str:
    """diffusers puts the component first: `unet.lora_alpha`."""
    return key.rpartition(".")[2]


def _table(text: str) -> dict[str, Any] | None:
    try:
        return config_table(text)
    except ValueError:
        return None


def _names_path(value: Any) -> bool:
    if isinstance(value, str):
        return LOCAL_PATH.match(value) is not None
    if isinstance(value, dict):
        return any(_names_path(part) for part in (*value, *value.values()))
    return isinstance(value, list) and any(_names_path(part) for part in value)
