"""See what your LoRA gives away, before you share it. Public names load on first use, so that importing costs nothing."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loraleak.adapters import load_adapter as load_adapter
    from loraleak.adapters import save_adapter as save_adapter
    from loraleak.auditing.attack import attack as attack
    from loraleak.auditing.report import Report as Report
    from loraleak.auditing.run import audit as audit
    from loraleak.auditing.settings import AttackSettings as AttackSettings
    from loraleak.auditing.settings import AuditSettings as AuditSettings
    from loraleak.bases import load_base as load_base
    from loraleak.defences.names import parse_defence as parse_defence
    from loraleak.defences.scrub import scrub as scrub
    from loraleak.embedders import load_embedder as load_embedder
    from loraleak.finetuning.dreambooth import finetune as finetune
    from loraleak.finetuning.recipe import Recipe as Recipe
    from loraleak.inversion.autoencoder import WeightAutoencoder as WeightAutoencoder
    from loraleak.inversion.autoencoder import load_attack as load_attack
    from loraleak.types import Adapter as Adapter

_HOMES = {
    "Adapter": "loraleak.types",
    "AttackSettings": "loraleak.auditing.settings",
    "AuditSettings": "loraleak.auditing.settings",
    "Recipe": "loraleak.finetuning.recipe",
    "Report": "loraleak.auditing.report",
    "WeightAutoencoder": "loraleak.inversion.autoencoder",
    "attack": "loraleak.auditing.attack",
    "audit": "loraleak.auditing.run",
    "finetune": "loraleak.finetuning.dreambooth",
    "load_adapter": "loraleak.adapters",
    "load_attack": "loraleak.inversion.autoencoder",
    "load_base": "loraleak.bases",
    "load_embedder": "loraleak.embedders",
    "parse_defence": "loraleak.defences.names",
    "save_adapter": "loraleak.adapters",
    "scrub": "loraleak.defences.scrub",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'loraleak' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
