"""Public people as training examples: their adapters from zoos, their pictures as latents, their captions as targets."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from loraleak.bases import DiffusersBase
from loraleak.errors import UsageError
from loraleak.inversion.train_settings import Knowledge
from loraleak.inversion.weights import shown
from loraleak.people import Identity, PeopleSplit
from loraleak.progress import track
from loraleak.types import StackedFactors
from loraleak.untrusted import printable
from loraleak.zoo import Zoo

__all__ = ["Examples", "PublicPeople", "read_public_people", "share_of"]


_SHOWN = 5


@dataclass(frozen=True)
class Examples:
    """Adapters, with their fine-tuning steps and their people."""

    weights: StackedFactors
    """Whole factors, which the person's own model runs with."""
    read: StackedFactors
    """Factors that the encoder is shown: the whole ones, or what its knowledge makes of them."""
    steps: Int[Tensor, " adapters"]
    people: Int[Tensor, " adapters"]


@dataclass(frozen=True)
class PublicPeople:
    """Zoos of one base, and the people in them. Some people are held out."""

    zoos: tuple[Zoo, ...]
    people: tuple[Identity, ...]
    latents: Float[Tensor, "people images channels h w"]
    """Latents of each person's images, filled up with zeros to the highest number of images."""
    image_counts: Int[Tensor, " people"]
    captions: Float[Tensor, "people tokens dim"] | None
    """The mean prompt embedding of each person's captions; None where somebody has none."""
    trained: frozenset[int]
    held_out: frozenset[int]
    person_of: tuple[Int[np.ndarray, " rows"], ...]
    """Person of each row, by zoo."""
    step_of: tuple[Int[np.ndarray, " rows"], ...]
    last: tuple[Int[np.ndarray, " runs"], ...]
    """Rows that are the last of a run, by zoo."""
    doubles: tuple[tuple[str, ...], ...] = ()
    """Groups of names of one person. Nobody of a group is held out without the others."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(person.name for person in self.people)

    @property
    def split(self) -> PeopleSplit:
        """Who is trained on and who is held out."""
        parts = {"trained": self.trained, "held-out": self.held_out}
        return PeopleSplit({part: tuple(sorted(self.names[i] for i in who)) for part, who in parts.items()}, self.doubles)

    @property
    def shapes(self) -> dict[str, torch.Size]:
        return self.zoos[0].shapes

    def rows(self, zoo: int, *, held_out: bool, last_only: bool) -> Int[np.ndarray, " rows"]:
        """Rows of one zoo: those of held-out people, or those of the others."""
        rows = self.last[zoo] if last_only else np.arange(len(self.zoos[zoo]))
        return rows[np.isin(self.person_of[zoo][rows], list(self.held_out if held_out else self.trained))]

    def with_fewer(self, count: int, *, seed: int) -> "PublicPeople":
        """The same zoos with only `count` people to train on. The held-out people stay the same.

        Raises: UsageError, if there are not so many.
        """
        if count > len(self.trained):
            raise UsageError(f"there are {len(self.trained)} people to train on, not {count}: build a larger zoo")
        chosen = np.random.default_rng(seed).permutation(sorted(self.trained))[:count]
        return replace(self, trained=frozenset(int(person) for person in chosen))

    @cached_property
    def rank(self) -> int:
        """The highest rank of an adapter."""
        return max(zoo.rank for zoo in self.zoos)

    def shared_start(self) -> int:
        """Seed of the start that all adapters have. Raises: UsageError, if their starts differ."""
        starts = {int(start) for zoo in self.zoos for start in zoo.starts}
        if len(starts) > 1:
            raise UsageError(
                f"these adapters have {len(starts)} different starts: build the zoo with one --start-seed, or choose another knowledge"
            )
        return starts.pop()

    def examples(self, zoo: int, rows: Int[np.ndarray, " rows"], knowledge: Knowledge = "file") -> Examples:
        """Examples of these rows, of which an encoder of this knowledge is shown a part."""
        weights = self.zoos[zoo].batch(rows)
        starts = self.zoos[zoo].starts[rows] if knowledge != "file" else ()
        read = shown(weights, knowledge, starts)
        return Examples(weights, read, torch.from_numpy(self.step_of[zoo][rows]), torch.from_numpy(self.person_of[zoo][rows]))

    def images(
        self, people: Int[Tensor, " adapters"], count: int, rng: np.random.Generator
    ) -> Float[Tensor, "adapters count channels h w"]:
        """Latents of `count` random pictures of each."""
        chosen = torch.from_numpy(rng.random((len(people), count))) * self.image_counts[people][:, None]
        return self.latents[people[:, None], chosen.long()]


def read_public_people(
    zoos: Sequence[Zoo],
    people: Sequence[Identity],
    base: DiffusersBase,
    *,
    held_out: float,
    doubles: Sequence[Sequence[str]] = (),
) -> PublicPeople:
    """Read everything about the people of these zoos.

    The name alone decides whether a person is held out. `doubles` are groups of names of one person, who are held out together.
    Raises: UsageError, if a zoo was built with another base, the zoos' modules differ, or somebody in a zoo is not among the
    people; PhotosError, if a photo cannot be read.
    """
    for zoo in zoos:
        if zoo.base_sha256 != base.sha256:
            raise UsageError(f"{zoo.folder} was built with another base than {base.name}: give that base with --base")
        if zoo.shapes != zoos[0].shapes:
            raise UsageError(f"{zoo.folder} and {zoos[0].folder} have factors for different modules: train on one of them")
    of_rows = [zoo.manifest["person"].to_pylist() for zoo in zoos]
    names = tuple(sorted({name for rows in of_rows for name in rows}))
    by_name = {person.name: person for person in people}
    if lacking := [name for name in names if name not in by_name]:
        named = printable(", ".join(lacking[:_SHOWN]), 300)
        raise UsageError(
            f"{named}: in the zoo, and not among the people: give the folder of people that the zoo was built from"
        )
    index = {name: i for i, name in enumerate(names)}
    latents, captions = [], []
    for name in track(names, "reading public people", total=len(names)):
        latents.append(base.encode(by_name[name].everything()).cpu())
        written = by_name[name].captions
        captions.append(base.embed(written).mean(0).float().cpu() if written else None)
    known = [c for c in captions if c is not None]
    together = {name: min(group) for group in doubles for name in group}
    left_out = frozenset(i for i, name in enumerate(names) if _slot(together.get(name, name)) < held_out)
    return PublicPeople(
        zoos=tuple(zoos),
        people=tuple(by_name[name] for name in names),
        latents=nn.utils.rnn.pad_sequence(latents, batch_first=True),
        image_counts=torch.tensor([len(part) for part in latents]),
        captions=torch.stack(known) if len(known) == len(captions) else None,
        trained=frozenset(range(len(names))) - left_out,
        held_out=left_out,
        person_of=tuple(np.array([index[name] for name in rows]) for rows in of_rows),
        step_of=tuple(zoo.manifest["step"].to_numpy() for zoo in zoos),
        last=tuple(zoo.last_rows() for zoo in zoos),
        doubles=tuple(group for names_of_one in doubles if len(group := tuple(sorted(set(names_of_one) & index.keys()))) > 1),
    )


def share_of(names: Collection[str], count: int) -> float:
    """The `held_out` by which `count` of these people are held out."""
    slots = sorted(map(_slot, names))
    return (slots[count - 1] + slots[count]) / 2


def _slot(name: str) -> float:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
