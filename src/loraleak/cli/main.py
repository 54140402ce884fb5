"""The entry point: it parses, runs, and turns errors into one line and an exit code."""

import gc
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import Any

from loraleak.checks import all_at_once
from loraleak.cli.commands import parse
from loraleak.errors import LoraleakError, of_system
from loraleak.untrusted import printable

__all__ = ["main"]

_QUIET = {"TRANSFORMERS_VERBOSITY": "error", "DIFFUSERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
"""Variables that silence the libraries, because we print progress and results. Users who want their messages set these."""

_PATIENT = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Variables of OpenMP: threads that wait for each other sleep. Where others use the cores too, spinning takes many times as long. Where
nobody does, sleeping takes 1.6 times as long."""
_GARBAGE = 50_000
"""New objects between two collections of garbage. The libraries make 800,000 objects as they load, and Python's usual number, 700,
takes a sixth of the start to look through them again and again."""
_RUNNING = Path("/proc/loadavg")
_LOOKS, _BETWEEN = 3, 0.002

_MAX_LENGTH = 2**16


_STARTS_ANEW = "nothing was written; the same command starts anew"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and give its exit code.

    0: done; 1: a finding at or above the gate; 2: unusable input, arguments or place for the output; 3: internal failure; 128 and
    the number of a signal, such as 141 where the reader of a pipe is gone, as shells count.
    """
    for variable, value in (_QUIET | (_PATIENT if _others_run() else {})).items():
        os.environ.setdefault(variable, value)
    gc.set_threshold(_GARBAGE)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # terminals that are not UTF-8 get text from files too
    given = sys.argv[1:] if arguments is None else arguments
    with _ended_by_signals():
        try:
            try:
                return _run(given)
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()
        except BrokenPipeError:
            _drop(sys.stdout)
            _drop(sys.stderr)
            return 128 + signal.SIGPIPE if hasattr(signal, "SIGPIPE") else 1
        except OSError as error:  # stdout is on a full disk
            _drop(sys.stdout)
            return _fault(of_system(error))


def _others_run() -> bool:
    """Whether other processes use the cores at this moment, as Linux counts them; False where nobody counts."""
    counts = []
    for _ in range(_LOOKS):
        try:
            counts.append(int(_RUNNING.read_text().split()[3].split("/")[0]))
        except (OSError, ValueError, IndexError):
            return False
        time.sleep(_BETWEEN)
    return min(counts) > 1


def _run(given: list[str]) -> int:
    if given == ["--version"]:
        from loraleak.version import __version__

        print(f"loraleak {__version__}")
        return 0
    command: Any = None
    try:
        with all_at_once():
            command = parse(given)
        return int(command.run())
    except LoraleakError as error:
        return _fault(error)
    except BrokenPipeError:
        raise
    except OSError as error:
        return _fault(of_system(error))
    except KeyboardInterrupt:
        print(f"loraleak: interrupted; {_after(command)}", file=sys.stderr)
        return 128 + signal.SIGINT
    except Exception:  # noqa: BLE001
        for line in traceback.format_exc().splitlines():
            print(f"  {printable(line, _MAX_LENGTH)}", file=sys.stderr)
        print("loraleak: internal failure; please report the lines above", file=sys.stderr)
        return 3


def _fault(error: LoraleakError) -> int:
    print(f"loraleak: {printable(' '.join(str(error).split()), _MAX_LENGTH)}", file=sys.stderr)
    return 2


def _after(command: Any) -> str:
    """What an interrupted command left, and what the same command does if it is given again."""
    job = getattr(command, "job", command)
    return str(getattr(job, "after_interrupt", _STARTS_ANEW))


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Context in which a request to end (kill, a closed terminal) leaves as an exception, so that partial files are removed."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        names = []
    before = {number: signal.getsignal(number) for number in (getattr(signal, name) for name in names)}
    taken = [number for number, handler in before.items() if handler is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _drop(stream: Any) -> None:
    """Send what a stream still holds nowhere, so that Python does not try again when it ends."""
    if stream is not None:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
