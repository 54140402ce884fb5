"""See what your LoRA gives away, before you share it.

One file: `load_adapter` or `inspect_adapter`, `audit`, `scrub`. Fine-tuning: `load_base`, `finetune`, `parse_defence`. Many people:
`plan_zoo`, `build_zoo`, `train_attack`, `reconstruct`. What others can add to, one protocol each: `Arm`, `Embedder`, `PostHoc`,
`TrainingTime`.

Names load on first use, so that importing costs nothing. The rooms hold more: `loraleak.scores`, `loraleak.bench` and the others.
"""

from typing import TYPE_CHECKING

from loraleak.lazy import lazy

if TYPE_CHECKING:
    from loraleak.adapters import load_adapter as load_adapter
    from loraleak.adapters import save_adapter as save_adapter
    from loraleak.arms import Arm as Arm
    from loraleak.arms import Scene as Scene
    from loraleak.arms import select_arms as select_arms
    from loraleak.arms.reconstruct import reconstruct as reconstruct
    from loraleak.auditing import AttackSettings as AttackSettings
    from loraleak.auditing import AuditSettings as AuditSettings
    from loraleak.auditing import attack as attack
    from loraleak.auditing import audit as audit
    from loraleak.base_settings import BaseSettings as BaseSettings
    from loraleak.bases import DiffusersBase as DiffusersBase
    from loraleak.bases import load_base as load_base
    from loraleak.defences import Finetuned as Finetuned
    from loraleak.defences import Guarantee as Guarantee
    from loraleak.defences import PostHoc as PostHoc
    from loraleak.defences import TrainingTime as TrainingTime
    from loraleak.defences import finetune as finetune
    from loraleak.defences import known_defences as known_defences
    from loraleak.defences import parse_defence as parse_defence
    from loraleak.defences import scrub as scrub
    from loraleak.embedders import Embedder as Embedder
    from loraleak.embedders import load_embedder as load_embedder
    from loraleak.errors import AdapterError as AdapterError
    from loraleak.errors import BaseMismatchError as BaseMismatchError
    from loraleak.errors import ConditionShapeError as ConditionShapeError
    from loraleak.errors import LoraleakError as LoraleakError
    from loraleak.errors import MissingExtraError as MissingExtraError
    from loraleak.errors import OutputError as OutputError
    from loraleak.errors import PhotosError as PhotosError
    from loraleak.errors import TrainingError as TrainingError
    from loraleak.errors import UsageError as UsageError
    from loraleak.finetuning import Recipe as Recipe
    from loraleak.inspection import Inspection as Inspection
    from loraleak.inspection import inspect_adapter as inspect_adapter
    from loraleak.inversion import TrainSettings as TrainSettings
    from loraleak.inversion import WeightAutoencoder as WeightAutoencoder
    from loraleak.inversion import load_attack as load_attack
    from loraleak.inversion import read_public_people as read_public_people
    from loraleak.inversion import train_attack as train_attack
    from loraleak.people import read_photos as read_photos
    from loraleak.reporting import Report as Report
    from loraleak.types import Adapter as Adapter
    from loraleak.types import Factors as Factors
    from loraleak.version import __version__ as __version__
    from loraleak.zoo import RecipeRanges as RecipeRanges
    from loraleak.zoo import Zoo as Zoo
    from loraleak.zoo import build_zoo as build_zoo
    from loraleak.zoo import plan_zoo as plan_zoo

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "adapters": ["load_adapter", "save_adapter"],
        "arms": ["Arm", "Scene", "reconstruct", "select_arms"],
        "auditing": ["AttackSettings", "AuditSettings", "attack", "audit"],
        "base_settings": ["BaseSettings"],
        "bases": ["DiffusersBase", "load_base"],
        "defences": [
            "Finetuned",
            "Guarantee",
            "PostHoc",
            "TrainingTime",
            "finetune",
            "known_defences",
            "parse_defence",
            "scrub",
        ],
        "embedders": ["Embedder", "load_embedder"],
        "errors": [
            "AdapterError",
            "BaseMismatchError",
            "ConditionShapeError",
            "LoraleakError",
            "MissingExtraError",
            "OutputError",
            "PhotosError",
            "TrainingError",
            "UsageError",
        ],
        "finetuning": ["Recipe"],
        "inspection": ["Inspection", "inspect_adapter"],
        "inversion": ["TrainSettings", "WeightAutoencoder", "load_attack", "read_public_people", "train_attack"],
        "people": ["read_photos"],
        "reporting": ["Report"],
        "types": ["Adapter", "Factors"],
        "version": ["__version__"],
        "zoo": ["RecipeRanges", "Zoo", "build_zoo", "plan_zoo"],
    },
)
