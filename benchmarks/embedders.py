"""Accuracy of an embedder on identities: python benchmarks/embedders.py faces PEOPLE/ (PEOPLE/<identity>/<image>).

The first person of an image counts, who is the largest face. Images that show nobody are counted and left out.
The first images of all identities are the gallery. Rank-1 is the share of other images that are nearest to their own.
`--sides 64 256` adds rows for copies with these sides in pixels, and the processor time of an image in ms.
"""

import argparse
import time

import numpy as np
from jaxtyping import Float
from PIL import Image

from loraleak.embedders import Embedder, load_embedder
from loraleak.people.folders import identity_folders, read_photos
from loraleak.scores import auc, found, gallery_ranks
from loraleak.types import Picture, Sightings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("embedder", help="pocket, faces, general, clip:<folder or hub id> or dino:<folder or hub id>")
    parser.add_argument("folder", help="one folder an identity")
    parser.add_argument("--sides", type=int, nargs="*", default=[], help="longest sides of copies, in pixels")
    arguments = parser.parse_args()
    embedder = load_embedder(arguments.embedder)
    photos = [read_photos(folder) for folder in identity_folders(arguments.folder)]
    who = np.repeat(np.arange(len(photos)), [len(p) for p in photos])
    pictures = [photo.picture for group in photos for photo in group]
    print(f"{embedder.name} on {arguments.folder}: {len(photos)} identities, {len(pictures)} images")
    print(f"{'side':>8}{'shown':>8}{'several':>9}{'ms':>7}{'AUC':>9}{'rank-1':>9}{'same':>8}{'1%':>8}{'other':>8}{'99%':>8}")
    for side in (None, *arguments.sides):
        _print_row(embedder, who, [picture if side is None else _resized(picture, side) for picture in pictures], side)


def _print_row(embedder: Embedder, who: np.ndarray, pictures: list[Picture], side: int | None) -> None:
    start = time.process_time()
    sightings = embedder.embed(pictures)
    cost = (time.process_time() - start) / len(pictures) * 1000
    shown = found(sightings)
    vectors, who = _first(sightings), who[shown]
    above = np.triu_indices(len(who), 1)
    cosine = (vectors @ vectors.T)[above]
    genuine = (who[:, None] == who)[above]
    same, other = cosine[genuine], cosine[~genuine]
    people, first = np.unique(who, return_index=True)
    asked = np.setdiff1d(np.arange(len(who)), first)
    ranks = [gallery_ranks(vectors[[i]], vectors[first], int(np.searchsorted(people, who[i])))[0] for i in asked]
    print(
        f"{side or 'own':>8}{shown.mean():>8.3f}{(sightings.counts > 1).mean():>9.3f}{cost:>7.1f}{auc(same, other):>9.4f}"
        f"{np.mean(np.array(ranks) == 0):>9.4f}{same.mean():>8.3f}{np.quantile(same, 0.01):>8.3f}{other.mean():>8.3f}"
        f"{np.quantile(other, 0.99):>8.3f}",
        flush=True,
    )


def _first(sightings: Sightings) -> Float[np.ndarray, "shown dim"]:
    return np.stack([vectors[0] for vectors in sightings if len(vectors)])


def _resized(picture: Picture, side: int) -> Picture:
    scale = side / max(picture.shape[:2])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


if __name__ == "__main__":
    main()
