"""What decoys leave to strangers, to acquaintances and to the owner: leak of the victim, of anybody in the file, candidates,
suspect check, guessed triggers, and use.

    python benchmarks/decoys.py work --victims 50 --photos 5 20 --counts 0 1 3 9
    python benchmarks/decoys.py work --tuning --victims 8 --counts 3 --settings rank=16,rate=0.4 rank=32,rate=0.3

A stopped run goes on. Count 0 is no defence. Decoys are drawn people whom nothing else has seen. `--tuning` takes people of another
split than the victims, so that nothing is tuned on these. Cells of arms hold the share of pictures that show the victim, with its
interval over victims, and after the stroke the share that shows anybody in the file.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.cluster.hierarchy import fcluster, linkage
from torch import Tensor

from loraleak.arms import Arm, Scene, select_arms
from loraleak.bases import Denoiser, guided, load_base
from loraleak.bench.cases import VICTIM_SEED, Case, CaseSettings, draw_cases, person_on, templates
from loraleak.bench.runs import CaseResult, run_cases
from loraleak.defences import UNDEFENDED, parse_defence
from loraleak.defences.training.decoys import Decoys, drawn_triggers
from loraleak.embedders import Embedder, load_embedder
from loraleak.finetuning import Job, Recipe
from loraleak.kits import kit_for
from loraleak.people import draw_people, write_people
from loraleak.reporting.words import in_brackets
from loraleak.scores import bootstrap_mean, gallery_ranks, template
from loraleak.types import ArmRole, Embeddings

_STRANGERS = ("lora-class", "lora-universal-z", "base-z", "lora-z", "lora-z-key")
_OWNER, _GUESSED = "lora-trigger", "lora-guessed-triggers"
_GALLERY, _TUNING_SEED, _DECOY_SEED = 1000, 77, 9
_DECOYS, _DECOY_IMAGES, _SPARE = 300, 25, 5


@dataclass(frozen=True)
class GuessedTriggers(Arm):
    """The owner's prompt with a random trigger in its place, another one for each picture."""

    name: str = _GUESSED
    role: ArmRole = "attack"
    says: str = "Somebody who guesses triggers."
    control: str | None = None

    def denoiser(self, scene: Scene) -> Denoiser:
        (empty,) = scene.base.embed([""])

        def denoiser(latents: Tensor, timestep: int | float) -> Tensor:
            words = drawn_triggers(scene.seed + 1_000_000, len(latents))
            conditions = scene.base.embed([Recipe(trigger=word, class_prompt=scene.class_prompt).prompt for word in words])
            return guided(scene.base, conditions, empty, scene.guidance_scale)(latents, timestep)

        return denoiser


@dataclass(frozen=True)
class Found:
    """What was found in one victim's file. Shares of pictures, or 0 and 1."""

    leak: Mapping[str, float]
    anybody: Mapping[str, float]
    candidates: float
    suspect: float
    use: float
    guessed: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--victims", type=int, default=50)
    parser.add_argument("--photos", type=int, nargs="+", default=[5])
    parser.add_argument("--counts", type=int, nargs="+", default=[0, 1, 3, 9])
    parser.add_argument("--settings", nargs="+", default=[""], help="further settings of decoys, each a row")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--tuning", action="store_true")
    parser.add_argument(
        "--people", type=Path, help="folder of decoys; drawn people whom nothing else has seen if none is given"
    )
    arguments = parser.parse_args()

    base, embedder = load_base("pocket", device="cpu"), load_embedder("pocket")
    kit = kit_for(base)
    assert kit is not None
    attack = kit.attack_on(base)
    split, seed = ("controls", _TUNING_SEED) if arguments.tuning else ("victims", VICTIM_SEED)
    gallery = draw_cases(split, _GALLERY, seed=seed)
    victims = gallery[: arguments.victims]
    people = arguments.people or arguments.work / "decoys"
    if arguments.people is None and not (people / "NOTICE").exists():
        write_people(
            people, draw_people("controls", _DECOYS, seed=_DECOY_SEED), images=_DECOY_IMAGES, size=64, seed=_DECOY_SEED
        )
    arms = [*(arm for arm in select_arms((*_STRANGERS, _OWNER)) if arm.name in (*_STRANGERS, _OWNER)), GuessedTriggers()]
    known = templates(gallery, embedder, seed=0, private=max(arguments.photos))
    names = [*_STRANGERS, "candidates", "suspect", "guessed", "use"]
    print(f"| photos | decoys | settings | {' | '.join(names)} |\n|{'---|' * (len(names) + 3)}", flush=True)
    for photos in arguments.photos:
        settings = CaseSettings(photos=photos, images=arguments.images, steps=arguments.steps)
        for count in arguments.counts:
            for more in arguments.settings if count else [""]:
                text = f"decoys:people={people},count={count}{',' if more else ''}{more}"
                defence = parse_defence(text) if count else UNDEFENDED
                results = run_cases(
                    base,
                    embedder,
                    victims,
                    arms,
                    settings,
                    arguments.work,
                    attack,
                    defence=defence,
                    title=f"{photos}, {count}: ",
                )
                found = [
                    _found(case, result, settings, embedder, known, defence if isinstance(defence, Decoys) else None)
                    for case, result in zip(victims, results, strict=True)
                ]
                print(f"| {photos} | {count} | {more or 'default'} | {' | '.join(_cells(found))} |", flush=True)


def _found(
    case: Case,
    result: CaseResult,
    settings: CaseSettings,
    embedder: Embedder,
    known: Float[np.ndarray, "people dim"],
    decoys: Decoys | None,
) -> Found:
    company = [] if decoys is None else _company(decoys, case, settings, embedder)
    gallery = np.stack([*known, *company])
    inside = [case.index, *range(len(known), len(gallery))]
    strangers = {name: result.arms[name] for name in _STRANGERS}
    return Found(
        leak={name: _share(made, gallery, [case.index]) for name, made in strangers.items()},
        anybody={name: _share(made, gallery, inside) for name, made in strangers.items()},
        candidates=_candidate(np.concatenate(list(strangers.values())), gallery, case.index, len(inside)),
        suspect=_suspect(list(strangers.values()), known, case.index),
        use=_share(result.arms[_OWNER], gallery, [case.index]),
        guessed=_share(result.arms[_GUESSED], gallery, [case.index]),
    )


def _company(decoys: Decoys, case: Case, settings: CaseSettings, embedder: Embedder) -> list[Embeddings]:
    """Templates of a case's decoys, from pictures that it was not trained on."""
    recipe = settings.recipe_of(case)
    drawn = decoys.company(Job(settings.private_images(case), recipe))
    return [
        person_on(other.further(_SPARE, seed=recipe.seed, number=0, private=settings.photos), embedder).template
        for other in drawn
    ]


def _share(made: Embeddings, gallery: Float[np.ndarray, "people dim"], people: Sequence[int]) -> float:
    """Share of pictures that are nearest to one of these people."""
    ranks = [gallery_ranks(made, gallery, person) == 0 for person in people]
    return float(np.any(ranks, axis=0).mean())


def _candidate(made: Embeddings, gallery: Float[np.ndarray, "people dim"], person: int, count: int) -> float:
    """Whether the person is among the people whom the pictures show, in as many clusters as there are people in the file."""
    groups = fcluster(linkage(made.astype(float), "average", metric="cosine"), count, "maxclust")
    centres = np.stack([template(made[groups == group]) for group in np.unique(groups)])
    return _share(centres, gallery, [person]) > 0


def _suspect(arms: Sequence[Embeddings], known: Float[np.ndarray, "people dim"], person: int) -> float:
    """Whether the person's template beats 99% of other people's by its mean likeness to the arms' best pictures."""
    likeness = np.mean([(made @ known.T).max(axis=0) for made in arms], axis=0)
    return float(np.mean(likeness >= likeness[person]) <= 0.01)


def _cells(found: Sequence[Found]) -> list[str]:
    cells = []
    for name in _STRANGERS:
        leak, anybody = (bootstrap_mean(np.array([getattr(one, kind)[name] for one in found])) for kind in ("leak", "anybody"))
        cells.append(f"{in_brackets(leak)} / {anybody.mean:.2f}")
    for name in ("candidates", "suspect", "guessed", "use"):
        share = bootstrap_mean(np.array([float(getattr(one, name)) for one in found]))
        cells.append(in_brackets(share))
    return cells


if __name__ == "__main__":
    main()
