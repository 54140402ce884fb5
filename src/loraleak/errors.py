"""What can go wrong, as a small tree. Every message says what is wrong, where, and how to mend it."""

__all__ = [
    "AdapterError",
    "BaseMismatchError",
    "ConditionShapeError",
    "LoraleakError",
    "MissingExtraError",
    "PhotosError",
    "TrainingError",
    "UsageError",
]


class LoraleakError(Exception):
    """The root: unusable input or arguments. The command line prints it as one line and exits with 2."""


class UsageError(LoraleakError):
    """Arguments that contradict each other or are out of range."""


class AdapterError(LoraleakError):
    """An adapter file that cannot be read, or that does not hold a usable LoRA."""


class BaseMismatchError(AdapterError):
    """An adapter whose modules or shapes do not fit the base."""


class PhotosError(LoraleakError):
    """A photo folder or an image that cannot be used."""


class TrainingError(LoraleakError):
    """A fine-tuning run that does not train."""


class MissingExtraError(LoraleakError):
    """An optional dependency or model that is not installed."""


class ConditionShapeError(LoraleakError):
    """A condition that is not `[tokens, cross_attention_dim]` of this base."""
