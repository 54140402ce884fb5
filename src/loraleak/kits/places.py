"""Places of kits: a file, a hub repository, or installed on this machine for a base."""

import re
from pathlib import Path

from loraleak.assets import POCKET_KIT
from loraleak.bases import DiffusersBase
from loraleak.errors import UsageError
from loraleak.inversion import WeightAutoencoder, load_attack
from loraleak.kits.contents import Controls, Kit, SamplingSetup
from loraleak.kits.installed import installed_file
from loraleak.kits.kit_file import is_kit, read_kit, save_kit

__all__ = ["attack_for", "controls_for", "install", "kit_for", "located"]

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_HUB_FILE = "kit.safetensors"


def kit_for(base: DiffusersBase, given: str | None = None) -> Kit | None:
    """The kit that was asked for, else the one that is installed for this very base, else pocket's on pocket, else None.

    Raises: UsageError, if the kit cannot be read.
    """
    if given is not None:
        return read_kit(located(given))
    return _at_hand(base.sha256)


def attack_for(base: DiffusersBase, file: str | Path | None = None, kit: Kit | None = None) -> WeightAutoencoder | None:
    """The attack in this file, which may be a kit's, else that of the kit, by default the one at hand for the base; None where there
    is none.

    Raises: as `load_attack` and `Kit.attack_on`.
    """
    if file is not None:
        return read_kit(file).attack_on(base) if is_kit(Path(file)) else load_attack(file, base)
    kit = kit or _at_hand(base.sha256)
    return None if kit is None else kit.attack_on(base)


def controls_for(sampling: SamplingSetup, kit: Kit | None = None) -> Controls | None:
    """The controls of the kit, by default the one at hand for the base, if they were sampled like this; else None."""
    kit = kit or _at_hand(sampling.base_sha256)
    return None if kit is None else kit.controls_for(sampling)


def located(given: str) -> Path:
    """The kit's file on this machine; that of a hub id is fetched, `pocket` is the one that ships.

    Raises: UsageError, if there is no such file, or the hub does not give it.
    """
    if given == "pocket":
        return POCKET_KIT
    path = Path(given).expanduser()
    if path.exists() or not _HUB_ID.fullmatch(given) or given.endswith(".safetensors"):
        return path
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(given, _HUB_FILE))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f"no kit was fetched ({reason})", path=given, remedy=f"give a file, or a hub id whose repository holds {_HUB_FILE}"
        ) from error


def install(given: str) -> tuple[Kit, Path]:
    """Check a kit and keep it for audits of its base. It takes the place of an earlier one.

    Raises: UsageError, if it cannot be read, or nobody knows where to keep it; OSError, if it cannot be kept.
    """
    kit = read_kit(located(given))
    try:
        file = installed_file(kit.card.base_sha256)
    except RuntimeError as error:
        raise UsageError("there is no home folder to keep kits in: set XDG_DATA_HOME") from error
    save_kit(kit, file)
    return kit, file


def _at_hand(base_sha256: str) -> Kit | None:
    try:
        file = installed_file(base_sha256)
    except RuntimeError:  # nobody knows the home folder
        file = None
    if file is not None and file.is_file():
        return read_kit(file)
    if not POCKET_KIT.exists():
        return None
    shipped = read_kit(POCKET_KIT)
    return shipped if shipped.card.base_sha256 == base_sha256 else None
