"""Runs of cases: adapters, then what each arm makes of them. Both are kept on disk, so that a stopped run goes on.

An adapter is trained once for all arms, and an arm is sampled once for all benches.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from loraleak.adapters import load_adapter, save_adapter
from loraleak.arms import Arm, Scene, reconstruct
from loraleak.bases import DiffusersBase
from loraleak.bench.cases import Case, CaseSettings, person_on
from loraleak.defences import UNDEFENDED, Defence, TrainingTime, in_training, spelled
from loraleak.embedders import Embedder
from loraleak.files import replacing, write_text
from loraleak.finetuning import Job, Recipe
from loraleak.inversion import WeightAutoencoder
from loraleak.progress import track
from loraleak.scores import nearest
from loraleak.types import Adapter, Images, Picture, Sightings

__all__ = ["CaseResult", "fine_tuned", "run_cases"]

_TOGETHER = 8
"""Adapters that train in one batch."""
_FOUND = "found/"
"""Before the name of an arm: how many vectors each of its pictures has."""
_NOTHING = np.zeros((0, 0), np.float32)
"""Embeddings of an arm that lacks something, such as an attack."""


@dataclass(frozen=True)
class CaseResult:
    """Results of one case."""

    private_images: Sequence[Picture] | Images
    arms: Mapping[str, Float[np.ndarray, "images dim"]]
    """Embeddings of what is nearest to the person in each picture, by arm; zeros where a picture shows nobody."""
    sightings: Mapping[str, Sightings]
    """Whom each picture shows, by arm."""


def run_cases(
    base: DiffusersBase,
    embedder: Embedder,
    cases: Sequence[Case],
    arms: Sequence[Arm],
    settings: CaseSettings,
    folder: Path,
    attack: WeightAutoencoder | None = None,
    *,
    defence: Defence = UNDEFENDED,
    title: str = "",
) -> list[CaseResult]:
    """Fine-tune on each case and sample every arm. A stopped run goes on from `folder`. Arms that lack something are left out.

    A post-hoc defence changes the undefended adapters that are kept. `title` names the run on progress bars.
    """
    by_attack = "" if attack is None else attack.sha256
    home = _home(folder, "arms", [asdict(settings), base.sha256, embedder.name, by_attack, *_named(defence)])
    left = {case: [arm for arm in arms if arm.name not in _read(home / _name(settings, case, ".npz"))] for case in cases}
    missing = [case for case in cases if left[case]]
    training = UNDEFENDED if defence.stage == "post-hoc" else defence
    files = fine_tuned(base, cases, settings, folder, training, wanted=missing, title=title)
    for case in track(missing, f"{title}sampling", total=len(missing)):
        adapter = load_adapter(files[case])
        if defence.stage == "post-hoc":
            adapter = defence.apply(adapter, base)
        recipe = in_training(defence).defended(settings.recipe_of(case))
        made = _made(base, case, recipe, adapter, left[case], settings, attack)
        shown = {name: embedder.embed(list(images)) for name, images in made.items()}
        kept = {arm.name: shown[arm.name].vectors if arm.name in shown else _NOTHING for arm in left[case]}
        _add(home / _name(settings, case, ".npz"), kept | {f"{_FOUND}{name}": seen.counts for name, seen in shown.items()})
    results = []
    for case in cases:
        kept = _read(home / _name(settings, case, ".npz"))
        photos = settings.private_images(case)
        sightings = {arm.name: _sightings(kept, arm.name) for arm in arms if kept[arm.name].shape[1]}
        several = any((shown.counts != 1).any() for shown in sightings.values())
        person = person_on(photos, embedder).template if several else None
        made_by = {name: shown.vectors if person is None else nearest(shown, person) for name, shown in sightings.items()}
        results.append(CaseResult(photos, made_by, sightings))
    return results


def _sightings(kept: Mapping[str, np.ndarray], arm: str) -> Sightings:
    """Whom an arm's pictures show. Without counts there is one vector for each picture."""
    counts = kept.get(f"{_FOUND}{arm}")
    return Sightings.one_each(kept[arm]) if counts is None else Sightings(kept[arm], counts)


def fine_tuned(
    base: DiffusersBase,
    cases: Sequence[Case],
    settings: CaseSettings,
    folder: Path,
    defence: TrainingTime = UNDEFENDED,
    *,
    wanted: Collection[Case] | None = None,
    title: str = "",
) -> dict[Case, Path]:
    """Files of the cases' adapters; those that are `wanted` (None: all) and not in `folder` are trained first.

    Which cases train together is decided by all cases, so that a stopped run ends with the same bytes.
    """
    home = _home(folder, "adapters", [asdict(settings.recipe), settings.photos, settings.seed, base.sha256, *_named(defence)])
    files = {case: home / _name(settings, case, ".safetensors") for case in cases}
    missing = {case for case in (cases if wanted is None else wanted) if not files[case].exists()}
    groups = [group for group in _groups(cases, settings) if missing & set(group)]
    for case, adapter in track(_trained(base, groups, settings, defence), f"{title}fine-tuning", sum(map(len, groups))):
        if not files[case].exists():
            save_adapter(adapter, files[case])
    return files


def _groups(cases: Sequence[Case], settings: CaseSettings) -> list[list[Case]]:
    """Cases that train together. Recipes of a group share what one batch must share."""
    kinds: dict[tuple[int, int], list[Case]] = {}
    for case in cases:
        recipe = settings.recipe_of(case)
        kinds.setdefault((recipe.batch, recipe.prior_batch), []).append(case)
    return [kind[start : start + _TOGETHER] for kind in kinds.values() for start in range(0, len(kind), _TOGETHER)]


def _trained(
    base: DiffusersBase, groups: Sequence[Sequence[Case]], settings: CaseSettings, defence: TrainingTime
) -> Iterator[tuple[Case, Adapter]]:
    for group in groups:
        jobs = [Job(settings.private_images(case), settings.recipe_of(case)) for case in group]
        for snapshot in defence.finetune_together(base, jobs, quiet=True):
            yield group[snapshot.job], snapshot.adapter


def _made(
    base: DiffusersBase,
    case: Case,
    recipe: Recipe,
    adapter: Adapter,
    arms: Sequence[Arm],
    settings: CaseSettings,
    attack: WeightAutoencoder | None,
) -> dict[str, Images]:
    scene = Scene(
        base,
        adapter,
        class_prompt=recipe.class_prompt,
        owner_prompt=recipe.prompt,
        guidance_scale=settings.guidance_scale,
        attack=attack,
        seed=settings.seed + case.index,
    )
    (noise_seed,) = np.random.SeedSequence([settings.seed, case.index]).generate_state(1)
    return reconstruct(scene, arms, images=settings.images, seed=int(noise_seed), steps=settings.steps)


def _named(defence: Defence) -> list[str]:
    return [spelled(defence)] if defence.links else []


def _home(folder: Path, what: str, decided_by: list[Any]) -> Path:
    key = json.dumps(decided_by, sort_keys=True)
    home = folder / f"{what}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    write_text(home / "settings.json", key)
    return home


def _name(settings: CaseSettings, case: Case, suffix: str) -> str:
    return hashlib.sha256(settings.key(case).encode()).hexdigest()[:16] + suffix


def _read(file: Path) -> dict[str, np.ndarray]:
    if not file.exists():
        return {}
    with np.load(file, allow_pickle=False) as data:
        return {arm: data[arm] for arm in data.files}


def _add(file: Path, arms: Mapping[str, np.ndarray]) -> None:
    with replacing(file) as partial:
        np.savez(partial, allow_pickle=False, **(_read(file) | dict(arms)))
