"""Sample arms for one adapter."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce

from loraleak.arms.guidance import LoraGuidance
from loraleak.arms.matching import MatchingUpdates
from loraleak.arms.prompts import BaseClass, LoraClass, LoraEmpty, LoraTrigger
from loraleak.arms.scene import Arm, Scene
from loraleak.arms.self_key import LoraSelfKey
from loraleak.arms.strength import PASSES, PICTURES
from loraleak.arms.weights import (
    BaseZ,
    LoraMeanZ,
    LoraRandomZ,
    LoraSwappedZ,
    LoraUniversalZ,
    LoraZ,
    LoraZGuidance,
    LoraZKey,
)
from loraleak.base_settings import AUDIT_STEPS
from loraleak.bases import Denoiser, DiffusersBase, Mixture, sample_together
from loraleak.bases.estimate import Estimate, estimate, with_adapter
from loraleak.bases.sampling import Known
from loraleak.errors import UsageError
from loraleak.plugins import third_party
from loraleak.progress import progress_bar
from loraleak.types import Images

__all__ = ["ARMS", "SLOW_ARMS", "forecast", "reconstruct", "select_arms", "usual_arms"]

ARMS: Mapping[str, type[Arm]] = {
    "base-class": BaseClass,
    "lora-class": LoraClass,
    "lora-empty": LoraEmpty,
    "lora-guidance": LoraGuidance,
    "lora-random-z": LoraRandomZ,
    "lora-swapped-z": LoraSwappedZ,
    "lora-mean-z": LoraMeanZ,
    "lora-universal-z": LoraUniversalZ,
    "base-z": BaseZ,
    "lora-z": LoraZ,
    "lora-z-guidance": LoraZGuidance,
    "lora-z-key": LoraZKey,
    "lora-trigger": LoraTrigger,
}

SLOW_ARMS: Mapping[str, type[Arm]] = {"lora-self-key": LoraSelfKey, "matching-updates": MatchingUpdates}
"""Arms that are sampled only where they are asked for by name, or where `usual_arms` names them."""


def usual_arms(scene: Scene) -> tuple[str, ...]:
    """Names of the arms to sample where nobody asks for any: `lora-self-key` is one where no attack reads the adapter."""
    return tuple(ARMS) if scene.attack is not None else (*ARMS, "lora-self-key")


def select_arms(names: Sequence[str] = tuple(ARMS)) -> tuple[Arm, ...]:
    """Arms by name, ours and third parties', each with the control that it needs.

    Raises: UsageError, listing the names that there are.
    """
    ours = {**ARMS, **SLOW_ARMS}
    known = ours | third_party("loraleak.arms", ours)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"no arm is called {unknown[0]!r}: choose from {', '.join(sorted(known))}")
    chosen = {name: known[name]() for name in names}
    waiting = list(chosen.values())
    while waiting:
        control = waiting.pop().control
        if control is not None and control not in chosen:
            chosen = {control: known[control](), **chosen}
            waiting.append(chosen[control])
    return tuple(chosen.values())


def reconstruct(
    scene: Scene,
    arms: Sequence[Arm],
    *,
    images: int,
    seed: int,
    steps: int = AUDIT_STEPS,
    quiet: bool = True,
    seen_by: Callable[[Arm, Images], object] | None = None,
    enough: Callable[[Mapping[str, Images]], bool] | None = None,
) -> dict[str, Images]:
    """Sample `images` pictures of each arm, from the same initial noise. Arms that lack something are left out.

    Arms next to each other are sampled together, as many as fill a batch. `seen_by` gets the pictures of each arm as soon as they
    are made. `enough` gets the new pictures after each attack, and ends the sampling if it says so.
    Raises: BaseMismatchError, if the adapter does not fit the scene's base.
    """
    made: dict[str, Images] = {}
    known: Known = {}
    at_most = _at_most(scene.base, images)
    with progress_bar(hidden=quiet) as bar, scene.base.adapted(scene.adapter):
        ready = [arm for arm in arms if arm.needs <= scene.offers]
        task = bar.add_task("sampling", total=len(ready), figures="")
        for group in _groups(scene, ready, at_most // images, each_attack=enough is not None):
            bar.update(task, figures=", ".join(arm.name for arm, _ in group))
            together = sample_together(
                scene.base, [d for _, d in group], images, seed=seed, steps=steps, at_most=at_most, known=known
            )
            for (arm, _), pictures in zip(group, together, strict=True):
                made[arm.name] = pictures
                if seen_by is not None:
                    seen_by(arm, pictures)
            bar.advance(task, float(len(group)))
            if enough is not None and enough({arm.name: pictures for (arm, _), pictures in zip(group, together, strict=True)}):
                break
        bar.advance(task, float(len(ready) - len(made)))  # arms that have nothing to read
    return made


def _groups(scene: Scene, arms: Sequence[Arm], most: int, *, each_attack: bool = False) -> Iterator[list[tuple[Arm, Denoiser]]]:
    """Arms and their denoisers, so many together that no strength of the adapter is asked for more than `most` passes a picture. The
    first is alone, so that its pictures can be seen soon. With `each_attack`, a group ends with an attack."""
    group: list[tuple[Arm, Denoiser]] = []
    ends = True
    asked: Counter[float] = Counter()
    for arm in arms:
        denoiser = arm.denoiser(scene)
        if denoiser is None:
            continue
        mine = Counter(each.strength for each in denoiser.passes) if isinstance(denoiser, Mixture) else Counter({1.0: most})
        if group and (ends or max((asked + mine).values()) > most):
            yield group
            group, asked, ends = [], Counter(), False
        group.append((arm, denoiser))
        asked += mine
        ends |= each_attack and arm.role == "attack"
    if group:
        yield group


def _at_most(base: DiffusersBase, images: int) -> int:
    """Pictures that go through the denoiser in one batch."""
    return max(base.at_once, (1 if base.distilled else 2) * images)


def forecast(scene: Scene, arms: Sequence[Arm], *, images: int, steps: int = AUDIT_STEPS) -> Estimate:
    """Estimate of an adapter's strength and these arms: their searches, and about two passes a step for each picture, one where the
    base is distilled."""
    scene.base.check(scene.adapter)
    twice = 1 if scene.base.distilled else 2
    ready = [arm for arm in arms if arm.needs <= scene.offers]
    sampling = estimate(
        scene.base,
        passes=PASSES + twice * images * steps * len(ready),
        batch=_at_most(scene.base, images),
        pictures=PICTURES + images * len(ready),
        inside=with_adapter(scene.adapter),
    )
    searches = [search for arm in ready if (search := arm.search(scene.base)) is not None]
    return reduce(Estimate.then, searches, sampling)
