"""How well an embedder tells identities apart: python benchmarks/embedders.py faces PEOPLE/ (one folder an identity)."""

import argparse

import numpy as np

from loraleak.embedders import load_embedder
from loraleak.people.folders import identity_folders, read_photos
from loraleak.scores import auc, gallery_ranks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("embedder")
    parser.add_argument("folder")
    arguments = parser.parse_args()
    embedder = load_embedder(arguments.embedder)
    photos = [read_photos(folder) for folder in identity_folders(arguments.folder)]
    who = np.repeat(np.arange(len(photos)), [len(p) for p in photos])
    vectors = embedder.embed([photo.picture for group in photos for photo in group])
    similarity = vectors @ vectors.T
    above = np.triu_indices(len(who), 1)
    same = (who[:, None] == who[None, :])[above]
    first = np.array([np.flatnonzero(who == i)[0] for i in range(len(photos))])
    hits = [gallery_ranks(vectors[[i]], vectors[first], int(who[i]))[0] == 0 for i in range(len(who)) if i not in first]
    print(f"{embedder.name}: {len(photos)} identities, {len(who)} images, {same.sum()} same and {(~same).sum()} other pairs")
    print(f"AUC {auc(similarity[above][same], similarity[above][~same]):.4f}   rank-1 {np.mean(hits):.4f}")


if __name__ == "__main__":
    main()
