"""An audit in a process of its own, so that it can be ended at any moment and takes its memory with it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TypeAlias

from loraleak.auditing import AuditSettings
from loraleak.errors import LoraleakError, of_system
from loraleak.untrusted import printable

__all__ = ["Cancelled", "Done", "Event", "Failed", "Going", "Job", "Made", "Running"]

_LOOKS_EVERY = 0.5
_MAX_LENGTH = 2000
_SHOWN = 4
"""Pictures of each arm that are shown as they come."""
_SIDE = 192
"""Their longest side, in pixels."""
_NO_RESULT = "The audit ended without a result. Perhaps this machine has too little memory for the base."


@dataclass(frozen=True)
class Job:
    """What to audit, and where the report goes."""

    adapter: Path
    photos: Path
    out: Path
    settings: AuditSettings


@dataclass(frozen=True)
class Going:
    """What the audit does now."""

    says: str
    share: float | None = None
    """Share of this stage that is done, from 0 to 1; None where nobody knows."""


@dataclass(frozen=True)
class Made:
    """The first pictures of one arm, as soon as they are there."""

    arm: str
    role: str
    """`attack`, `control`, `floor` or `ceiling`."""
    pictures: tuple[str, ...]
    """As data addresses."""


@dataclass(frozen=True)
class Done:
    """The report is written."""


@dataclass(frozen=True)
class Failed:
    """The audit cannot go on; one line says why, and how to mend it."""

    says: str


@dataclass(frozen=True)
class Cancelled:
    """Somebody ended the audit."""


Event: TypeAlias = Going | Made | Done | Failed | Cancelled


@dataclass
class Running:
    """One audit that runs."""

    job: Job
    _process: BaseProcess | None = field(default=None, init=False)
    _cancelled: bool = field(default=False, init=False)

    def events(self) -> Iterator[Event]:
        """Start the audit and tell what happens. The last event ends the audit. Twice a second the newest `Going` comes again."""
        if self._cancelled:
            yield Cancelled()
            return
        context = get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        self._process = context.Process(target=_audit, args=(self.job, sender), daemon=True)
        self._process.start()
        sender.close()
        newest: Event = Going("The audit starts.")
        try:
            while isinstance(newest, Going):
                yield newest
                try:
                    if receiver.poll(_LOOKS_EVERY):
                        told: Event = receiver.recv()
                        if isinstance(told, Made):
                            yield told
                        else:
                            newest = told
                except EOFError:
                    newest = Cancelled() if self._cancelled else Failed(_NO_RESULT)
            yield newest
        finally:
            self._end()

    def cancel(self) -> None:
        """End the audit, now or before it starts."""
        self._cancelled = True
        self._end()

    def _end(self) -> None:
        if self._process is not None and self._process.is_alive():
            self._process.terminate()
            self._process.join()


def _audit(job: Job, sender: Connection) -> None:
    from loraleak.arms import Arm
    from loraleak.auditing import audit
    from loraleak.progress import heard_by
    from loraleak.reporting.html import data_uri
    from loraleak.types import Images

    def seen_by(arm: Arm, images: Images) -> None:
        sender.send(Made(arm.name, arm.role, tuple(data_uri(picture, _SIDE) for picture in images[:_SHOWN])))

    try:
        with heard_by(lambda says, share: sender.send(Going(says, share))):
            audit(job.adapter, job.photos, job.settings, quiet=False, seen_by=seen_by).write(job.out)
        sender.send(Done())
    except LoraleakError as error:
        sender.send(Failed(printable(" ".join(str(error).split()), _MAX_LENGTH)))
    except OSError as error:
        sender.send(Failed(printable(" ".join(str(of_system(error)).split()), _MAX_LENGTH)))
