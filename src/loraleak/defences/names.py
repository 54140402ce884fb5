"""Defences by name with settings, such as `gaussian-noise:level=0.5,seed=1`.

`+` chains them: first those that change the recipe, then one that changes a step, then those that change the finished adapter.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from loraleak.defences.chain import chained, in_training
from loraleak.defences.finished.alignment import SpectralAlignment
from loraleak.defences.finished.header import MetadataScrub
from loraleak.defences.finished.noise import GaussianNoise
from loraleak.defences.finished.quantisation import Quantisation
from loraleak.defences.finished.refactoring import RandomRefactoring
from loraleak.defences.finished.scaling import Scaling
from loraleak.defences.finished.truncation import RankTruncation
from loraleak.defences.protocol import Defence, TrainingTime
from loraleak.defences.training.decoys import Decoys
from loraleak.defences.training.dp_mmd import DpMmd
from loraleak.defences.training.dp_sgd import DpSgd
from loraleak.defences.training.early_stopping import EarlyStopping
from loraleak.defences.training.fewer_factors import FewerFactors
from loraleak.defences.training.random_prompts import RandomPrompts
from loraleak.defences.training.smp_lora import SmpLora
from loraleak.defences.undefended import UNDEFENDED
from loraleak.errors import UsageError
from loraleak.plugins import third_party

__all__ = ["DEFENCES", "known_defences", "links", "parse_defence", "spelled", "training_time"]

DEFENCES: dict[str, type] = {
    "gaussian-noise": GaussianNoise,
    "rank-truncation": RankTruncation,
    "scaling": Scaling,
    "quantisation": Quantisation,
    "spectral-alignment": SpectralAlignment,
    "random-refactoring": RandomRefactoring,
    "metadata-scrub": MetadataScrub,
    "decoys": Decoys,
    "dp-sgd": DpSgd,
    "dp-mmd": DpMmd,
    "smp-lora": SmpLora,
    "early-stopping": EarlyStopping,
    "fewer-factors": FewerFactors,
    "random-prompts": RandomPrompts,
}
"""Our defences. A new one is one more file and one more line here, or an entry point in the group `loraleak.defences`."""

_LINK = re.compile(r"\+(?=\s*[A-Za-z])")  # the plus of 1e+5 joins nothing


def known_defences() -> Mapping[str, type]:
    """Our defences and third parties', by name."""
    return DEFENCES | third_party("loraleak.defences", DEFENCES)


def parse_defence(text: str) -> Defence:
    """Parse the text of a defence.

    Raises: UsageError, with all faults in one line: names that there are not, settings that a defence does not have or that are no
    such values, and chains that cannot be.

    >>> parse_defence("rank-truncation:rank=2").rank
    2
    >>> spelled(parse_defence("scaling:factor=0.5+gaussian-noise:level=1"))
    'scaling:factor=0.5+gaussian-noise:level=1.0,seed=0'
    """
    made: list[Defence] = []
    faults: list[str] = []
    for part in links(text):
        try:
            made.append(_one(part))
        except UsageError as error:
            faults.append(str(error))
    if faults:
        raise UsageError("; ".join(faults))
    return made[0] if len(made) == 1 else chained(made)


def links(text: str) -> list[str]:
    """The defences of a chain, each with its settings."""
    return [part.strip() for part in _LINK.split(text)]


def training_time(text: str) -> TrainingTime:
    """Parse the text of a training-time defence. A post-hoc one follows the training, and an empty text is no defence.

    Raises: as `parse_defence`.
    """
    return in_training(parse_defence(text)) if text else UNDEFENDED


def spelled(defence: Defence) -> str:
    """The text from which `parse_defence` makes this defence, with every setting; empty for no defence."""
    return "+".join(_spelled(link) for link in defence.links)


def _spelled(link: Defence) -> str:
    settings = [f"{key}={_written(getattr(link, key))}" for key in _settings(type(link))]
    return f"{link.name}:{','.join(settings)}" if settings else link.name


def _one(text: str) -> Defence:
    name, _, rest = text.partition(":")
    known = known_defences()
    if name not in known:
        raise UsageError(f"no defence is called {name!r}: choose from {', '.join(sorted(known))}")
    kind = known[name]
    settings = _settings(kind)
    given: dict[str, Any] = {}
    faults: list[str] = []
    for part in rest.split(",") if rest.strip() else []:
        key, equals, value = (side.strip() for side in part.partition("="))
        if key not in settings:
            faults.append(f"{name} has no setting {key!r}: it has {', '.join(settings) or 'none'}")
        elif not equals:
            faults.append(f"{name}: {key} has no value, write {key}=...")
        elif key in given:
            faults.append(f"{name}: {key} is given twice")
        else:
            try:
                given[key] = _read(value, settings[key])
            except ValueError:
                faults.append(f"{name}: {key} is {value!r}, give {_kind_in_words(settings[key])}")
    missing = [f.name for f in _fields(kind) if f.default is MISSING and f.default_factory is MISSING and f.name not in given]
    faults += [f"{name} needs {key}, write {name}:{key}=..." for key in missing]
    if faults:
        raise UsageError("; ".join(faults))
    made: Defence = kind(**given)
    return made


def _fields(kind: type) -> tuple[Field[Any], ...]:
    return tuple(f for f in fields(kind) if f.init and f.name not in ("name", "says")) if is_dataclass(kind) else ()


def _settings(kind: type) -> dict[str, Any]:
    """The settings of a defence, with their types."""
    hints = get_type_hints(kind)
    return {f.name: hints[f.name] for f in _fields(kind)}


def _read(text: str, kind: Any) -> Any:
    """A value of this type. Raises: ValueError."""
    options = get_args(kind)
    if get_origin(kind) is Literal:
        for option in options:
            if str(option) == text:
                return option
        raise ValueError(text)
    if type(None) in options:
        return None if text.lower() == "none" else _read(text, next(o for o in options if o is not type(None)))
    if kind is bool:
        return {"true": True, "false": False}[text.lower()] if text.lower() in ("true", "false") else _refused(text)
    value = kind(text)
    return value if kind is not float or math.isfinite(value) else _refused(text)


def _refused(text: str) -> bool:
    raise ValueError(text)


def _kind_in_words(kind: Any) -> str:
    options = get_args(kind)
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, options))}"
    if type(None) in options:
        return f"{_kind_in_words(next(o for o in options if o is not type(None)))} or none"
    return {int: "a whole number", float: "a number", bool: "true or false"}.get(kind, "a text")


def _written(value: Any) -> str:
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
