"""Scores of a published encoder on people whom it has not seen."""

from collections.abc import Mapping

import numpy as np
import torch

from loraleak.inversion.objective import decoding_loss
from loraleak.inversion.public import PublicPeople
from loraleak.inversion.published import PublishedEncoder
from loraleak.inversion.train_settings import Knowledge
from loraleak.scores import bootstrap_mean


@torch.no_grad()
def judged(encoder: PublishedEncoder, public: PublicPeople, knowledge: Knowledge) -> dict:
    """Scores of each person by their last adapter, and how much tokens and z of different people differ."""
    made: dict = {}
    rows = {name: public.rows(0, held_out=name == "held_out", last_only=True) for name in ("trained", "held_out")}
    examples = {name: public.examples(0, mine, knowledge) for name, mine in rows.items()}
    posteriors = {name: encoder(mine.read, mine.steps) for name, mine in examples.items()}
    z, people = (
        {name: get(name) for name in rows} for get in (lambda n: posteriors[n].mean.flatten(1), lambda n: examples[n].people)
    )
    probed = _probed(z["trained"], public.captions.flatten(1)[people["trained"]], z["held_out"])
    for name in rows:
        some = slice(0, 75)
        drawn = posteriors[name].sample(torch.Generator().manual_seed(0)).flatten(1)
        scores = scores_of(public, z[name][some], people[name][some])
        scores["drawn"] = scores_of(public, drawn[some], people[name][some])["rank1"]
        if name == "held_out":
            scores |= {f"probed {key}": values for key, values in scores_of(public, probed, people[name]).items()}
        made[name] = {key: values.tolist() for key, values in scores.items()}
    tokens = encoder.tokens(examples["held_out"].read, examples["held_out"].steps)[:, 2:]
    made["tokens"] = float(((tokens - tokens.mean(0)).norm(dim=2) / tokens.norm(dim=2)).mean())
    made["z"] = float((z["held_out"] - z["held_out"].mean(0)).square().mean() / public.captions.std(0).square().mean())
    return made


def _probed(known: torch.Tensor, captions: torch.Tensor, unknown: torch.Tensor) -> torch.Tensor:
    """What ridge regression, from the people learned from, makes of these z."""
    centre = known.mean(0)
    known, unknown = known - centre, unknown - centre
    kernel = known @ known.T
    penalty = 0.1 * kernel.diagonal().mean()
    weights = torch.linalg.solve(kernel + penalty * torch.eye(len(known)), captions - captions.mean(0))
    return captions.mean(0) + unknown @ known.T @ weights


@torch.no_grad()
def explained(base, encoder: PublishedEncoder, public: PublicPeople, knowledge: Knowledge, images: int = 16) -> list[float]:
    """How much less noise of a held-out person's pictures is left with their z than with the next person's, as a share of that."""
    rows = public.rows(0, held_out=True, last_only=True)
    examples = public.examples(0, rows, knowledge)
    z = encoder(examples.read, examples.steps).mean
    left = []
    for k, row in enumerate(rows):
        rng = np.random.default_rng([17, int(row)])
        latents = public.images(examples.people[k : k + 1], images, rng)
        levels = torch.from_numpy(rng.integers(base.noise_levels, size=latents.shape[:2]))
        noise = torch.from_numpy(rng.standard_normal(latents.shape, dtype=np.float32))
        weights = public.zoos[0].batch([row])
        mine, other = (
            float(decoding_loss(base, weights, code, latents, levels, noise, strength=torch.ones(1), weighting="uniform"))
            for code in (z[k : k + 1], z[k - 1 : k] if k else z[-1:])
        )
        left.append(1 - mine / other)
    return left


def scores_of(public: PublicPeople, z: torch.Tensor, people: torch.Tensor) -> dict[str, np.ndarray]:
    captions, gallery = public.captions.flatten(1), people.unique()
    right = gallery[torch.cdist(z, captions[gallery]).argmin(1)] == people
    distance = (z - captions[people]).square().mean(1) / captions.std(0).square().mean()
    return {"rank1": right.double().numpy(), "distance": distance.double().numpy()}


def shown_scores(scores: Mapping[str, np.ndarray]) -> str:
    intervals = {name: bootstrap_mean(np.asarray(values)) for name, values in scores.items()}
    return "  ".join(f"{name} {i.mean:.3f} [{i.low:.3f}, {i.high:.3f}]" for name, i in intervals.items())
