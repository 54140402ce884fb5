"""Errors, as a small tree. Each tells what is wrong, where, and how to mend it, as fields and as one line."""

import errno
from pathlib import Path

from loraleak.untrusted import printable

__all__ = [
    "AdapterError",
    "BaseMismatchError",
    "ConditionShapeError",
    "LoraleakError",
    "MissingExtraError",
    "OutputError",
    "PhotosError",
    "TrainingError",
    "UsageError",
    "of_system",
]

_SHOWN = 5


class LoraleakError(Exception):
    """The root: unusable input or arguments. The command line prints it as one line and exits with 2.

    >>> error = LoraleakError("it is empty", path="lora.safetensors", remedy="export it again")
    >>> print(error)
    cannot use lora.safetensors: it is empty: export it again
    >>> error.path, error.faults, error.remedy
    ('lora.safetensors', ('it is empty',), 'export it again')
    """

    def __init__(self, *faults: str, path: str | Path | None = None, remedy: str = "") -> None:
        super().__init__(*faults)
        self.faults = faults
        """All that is wrong, one sentence each; the line shows the first few."""
        self.path = None if path is None else str(path)
        """The file or folder that is at fault, as it was given: escape it before it is shown. None where no path is."""
        self.remedy = remedy
        """How to mend it; empty where the faults say so themselves."""

    def __str__(self) -> str:
        more = f" and {len(self.faults) - _SHOWN} more faults" if len(self.faults) > _SHOWN else ""
        where = "" if self.path is None else f"cannot use {printable(self.path, 400)}"
        return ": ".join(filter(None, (where, f"{'; '.join(self.faults[:_SHOWN])}{more}", self.remedy)))


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


class OutputError(LoraleakError):
    """A place that results cannot be written to, or that holds something else."""


class MissingExtraError(LoraleakError):
    """An optional dependency or model that is not installed."""


class ConditionShapeError(LoraleakError):
    """A condition that is not `[tokens, cross_attention_dim]` of this base."""


_REMEDIES = {
    errno.ENOSPC: "free some space, or give another place",
    errno.EDQUOT: "free some space, or give another place",
    errno.EACCES: "change its permissions, or give another place",
    errno.EPERM: "change its permissions, or give another place",
    errno.EROFS: "give a place that can be written to",
    errno.EISDIR: "give the name of a file",
    errno.ENOTDIR: "give a path whose parts are folders",
    errno.ENOENT: "check the path",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close other programs",
    errno.ENOMEM: "close other programs, or use a machine with more memory",
    errno.EIO: "check the disk",
}


def of_system(error: OSError) -> LoraleakError:
    """A fault of the system, such as a full disk, as one of ours: the path, what the system said, and what to do.

    >>> print(of_system(PermissionError(errno.EACCES, "Permission denied", "/srv/report")))
    cannot use /srv/report: Permission denied: change its permissions, or give another place
    """
    said = error.strerror or (str(error).splitlines() or [type(error).__name__])[0]
    path = error.filename if isinstance(error.filename, str | Path) else None
    remedy = _REMEDIES.get(error.errno or 0, "check the path, the disk and the network, then run the command again")
    return LoraleakError(said, path=path, remedy=remedy)
