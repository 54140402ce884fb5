"""The study of defences: what each post-hoc defence leaves of the audited adapter, for strangers and for the owner."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from loraleak.arms import Scene, reconstruct, select_arms
from loraleak.defences import PostHoc, Trial, known_defences, parse_defence, spelled, trial_of
from loraleak.errors import UsageError
from loraleak.progress import track
from loraleak.reporting import DefenceResult, DefenceStudy, Side
from loraleak.scores import bootstrap_mean, mean_cosine, paired_difference
from loraleak.types import Adapter, Images

__all__ = ["check_reach", "recommended", "study_defences"]

_SETTINGS = (
    "scaling:factor=0.5",
    "scaling:factor=0.3",
    "rank-truncation:rank=4",
    "rank-truncation:rank=2",
    "rank-truncation:rank=1",
    "gaussian-noise:level=1",
    "gaussian-noise:level=1.5",
    "gaussian-noise:level=2",
    "gaussian-noise:level=3",
    "quantisation:bits=3",
    "quantisation:bits=2",
    "spectral-alignment:keep=0.5",
    "spectral-alignment:keep=0.25",
    "random-refactoring",
)
"""Settings that are tried, from mild to strong within a defence. Third parties' defences are measured as they come."""

_FLOOR, _CEILING = "base-class", "lora-trigger"

Embed = Callable[[Images], Float[np.ndarray, "images dim"]]


def study_defences(
    scene: Scene,
    photos: Float[np.ndarray, "photos dim"],
    embed: Embed,
    attacks: Sequence[str],
    *,
    images: int,
    steps: int,
) -> DefenceStudy:
    """Sample the attacks and the owner's prompt for every setting that changes this adapter, all from the same noise.

    The leak of a setting is that of its nearest attack, because a stranger takes what works. The noise is not the audit's.

    Raises: as `check_reach`.
    """
    check_reach(scene.adapter)
    seed = scene.seed + 1
    arms = [arm for arm in select_arms((*attacks, _CEILING)) if arm.name in (*attacks, _CEILING)]
    (floor,) = reconstruct(scene, select_arms((_FLOOR,)), images=images, seed=seed, steps=steps).values()
    below = mean_cosine(embed(floor), photos)

    def measured(adapter: Adapter) -> _Measured:
        made = reconstruct(replace(scene, adapter=adapter), arms, images=images, seed=seed, steps=steps)
        excess = {name: mean_cosine(embed(pictures), photos) - below for name, pictures in made.items()}
        nearest = max((name for name in made if name != _CEILING), key=lambda name: float(excess[name].mean()))
        return _Measured(nearest, made, excess)

    before = measured(scene.adapter)
    settings = [defence for defence in _settings() if defence.changes_weights(scene.adapter)]
    tried = []
    for defence in track(settings, "defences", len(settings)):
        now = measured(defence.apply(scene.adapter, scene.base))
        trial = trial_of(defence.name)
        tried.append(
            _result(now, before, spelled(defence), defence.name, defence.says, needs_base=defence.needs_base, trial=trial)
        )
    undefended = _result(before, before, "", "as it is", "The file as you would publish it.")
    return DefenceStudy(tuple(attacks), _FLOOR, undefended, tuple(tried), recommended(tried))


def check_reach(adapter: Adapter) -> None:
    """Refuse an adapter that a defence cannot reach in full.

    Raises: UsageError, if the adapter holds tensors that were not understood, which no defence would treat.
    """
    if adapter.residue:
        raise UsageError(
            f"{len(adapter.residue)} tensors of the file are not understood, and no defence would reach them: audit without --defences"
        )


def recommended(tried: Sequence[DefenceResult]) -> int | None:
    """Index of the setting that leaves the least leak, among those that are worth their price.

    It is None where there is no such setting, or where an attack that is trained against it is known to find more.
    """
    worth = [i for i, result in enumerate(tried) if result.worth_its_price and not result.seen_through]
    return min(worth, key=lambda i: tried[i].leak.excess.mean, default=None)


@dataclass(frozen=True)
class _Measured:
    """One adapter's pictures by arm, and how much nearer than the base's pictures they are to the photos."""

    nearest: str
    """The attack whose pictures come nearest."""
    pictures: Mapping[str, Images]
    excess: Mapping[str, Float[np.ndarray, " images"]]

    def side(self, arm: str, before: Float[np.ndarray, " images"]) -> Side:
        return Side(arm, self.pictures[arm], bootstrap_mean(self.excess[arm]), paired_difference(self.excess[arm], before))


def _result(
    now: _Measured,
    before: _Measured,
    spelling: str,
    name: str,
    says: str,
    *,
    needs_base: bool = False,
    trial: Trial | None = None,
) -> DefenceResult:
    leak = now.side(now.nearest, before.excess[before.nearest])
    use = now.side(_CEILING, before.excess[_CEILING]) if _CEILING in now.pictures else None
    return DefenceResult(
        defence=spelling,
        name=name,
        says=says,
        leak=leak,
        use=use,
        leak_kept=_kept(leak.excess.mean, before.excess[before.nearest]),
        use_kept=None if use is None else _kept(use.excess.mean, before.excess[_CEILING]),
        needs_base=needs_base,
        trial=trial,
    )


def _kept(now: float, before: Float[np.ndarray, " images"]) -> float | None:
    whole = float(before.mean())
    return now / whole if whole > 0 else None


def _settings() -> list[PostHoc]:
    """Ours, then all others that can be had without settings."""
    ours = [parse_defence(text) for text in _SETTINGS]
    others = known_defences().keys() - {defence.name for defence in ours}
    for name in sorted(others):
        with suppress(UsageError):  # one that needs a setting
            ours.append(parse_defence(name))
    return [defence for defence in ours if defence.stage == "post-hoc"]
