"""Arms: ways of sampling a victim's LoRA. In: a scene (base, prompts, adapter already attached). Out: pictures by arm.

A new arm derives from `Arm`, and is one more line in `ARMS` or an entry point in the group
`loraleak.arms`.
"""

from loraleak.arms.guidance import LoraGuidance
from loraleak.arms.matching import MatchingUpdates
from loraleak.arms.prompts import BaseClass, LoraClass, LoraEmpty, LoraTrigger
from loraleak.arms.reconstruct import ARMS, SLOW_ARMS, forecast, reconstruct, select_arms, usual_arms
from loraleak.arms.scene import Arm, Need, Scene
from loraleak.arms.self_key import LoraSelfKey
from loraleak.arms.strength import Strength, at_strength, changes_nothing, find_strength
from loraleak.arms.turned import Turned, with_turned
from loraleak.arms.weights import (
    BaseZ,
    DecodesZ,
    LoraMeanZ,
    LoraRandomZ,
    LoraSwappedZ,
    LoraUniversalZ,
    LoraZ,
    LoraZGuidance,
    LoraZKey,
)

__all__ = [
    "ARMS",
    "SLOW_ARMS",
    "Arm",
    "BaseClass",
    "BaseZ",
    "DecodesZ",
    "LoraClass",
    "LoraEmpty",
    "LoraGuidance",
    "LoraMeanZ",
    "LoraRandomZ",
    "LoraSelfKey",
    "LoraSwappedZ",
    "LoraTrigger",
    "LoraUniversalZ",
    "LoraZ",
    "LoraZGuidance",
    "LoraZKey",
    "MatchingUpdates",
    "Need",
    "Scene",
    "Strength",
    "Turned",
    "at_strength",
    "changes_nothing",
    "find_strength",
    "forecast",
    "reconstruct",
    "select_arms",
    "usual_arms",
    "with_turned",
]
