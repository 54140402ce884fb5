"""The PEFT layout: `base_model.model.X.lora_A.weight`, the scale in `adapter_config.json` beside."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from loraleak.adapters.detect import Dialect, Part, Scales, dotted_part, split_name
from loraleak.adapters.layouts.kohya import full_strength
from loraleak.errors import AdapterError

__all__ = ["CONFIG", "PEFT", "WEIGHTS", "config_scale", "config_table"]

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"

_PREFIX = "base_model.model."
_PLAIN = re.compile(r"\^?[\w\-.]+\$?")


def config_table(text: str) -> dict[str, Any]:
    """A LoRA configuration from its JSON. Raises: ValueError, if it is no JSON object."""
    try:
        table = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if isinstance(table, dict):
        return table
    raise ValueError("no JSON object")


def config_scale(config: Mapping[str, Any], module: str, rank: int) -> float | None:
    """alpha / r of a module as peft computes it, alpha / sqrt(r) for rsLoRA; patterns override by module.

    None where the configuration has no alpha for it, speaks of another rank, or has patterns that are more than plain paths: a
    stranger's regular expression is not run.
    """
    path = module.partition(".")[2]
    alpha_patterns, rank_patterns = (config.get(key) or {} for key in ("alpha_pattern", "rank_pattern"))
    if not _plain(alpha_patterns) or not _plain(rank_patterns):
        return None
    alpha = _number(_override(alpha_patterns, path, config.get("lora_alpha", config.get("alpha"))))
    r = _number(_override(rank_patterns, path, config.get("r", rank)))
    if alpha is None or r != rank:
        return None
    scale = alpha / math.sqrt(rank) if config.get("use_rslora") is True else alpha / rank
    return scale if math.isfinite(scale) else None


def _plain(patterns: Any) -> bool:
    return isinstance(patterns, dict) and all(_PLAIN.fullmatch(pattern.replace("\\.", ".")) for pattern in patterns)


def _override(patterns: Mapping[str, Any], path: str, default: Any) -> Any:
    """The first pattern that is the path or ends it at a dot, as peft's own matching has it for plain paths."""
    if not patterns:
        return default
    steps = path.split(".")
    endings = {".".join(steps[i:]) for i in range(len(steps))}
    wholes = {f"^{path}", f"^{path.removeprefix('text_model.')}"}
    for pattern, value in patterns.items():
        plain = pattern.replace("\\.", ".").removesuffix("$")
        if plain in endings or plain in wholes:
            return value
    return default


def _number(value: Any) -> float | None:
    try:
        return float(value) if type(value) in (int, float) and math.isfinite(value) else None
    except OverflowError:
        return None


def _part(name: str) -> Part | None:
    split = split_name(name)
    if split is None or not name.startswith(_PREFIX):
        return None
    return dotted_part(split[0].removeprefix(_PREFIX), split[1])


def _scales(fields: Mapping[str, str]) -> Scales:
    text = fields.get(CONFIG)
    if text is None:
        return full_strength(fields)
    try:
        config = config_table(text)
    except ValueError as error:
        raise AdapterError(f"{CONFIG} is unreadable ({error}): export the adapter again, or remove that file") from None
    return lambda module, rank: (config_scale(config, module, rank), "configuration")


PEFT = Dialect(name="peft", part=_part, scales=_scales, companion=CONFIG)
