"""How well an embedder tells identities apart: python benchmarks/embedders.py faces PEOPLE/ (PEOPLE/<identity>/<image>).

Rank-1 asks each image, the first of its identity apart, for its nearest among the first images of all identities.
"""

import argparse

import numpy as np

from loraleak.embedders import load_embedder
from loraleak.people.folders import identity_folders, read_photos
from loraleak.scores import auc, gallery_ranks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("embedder", help="pocket, faces, general, clip:<folder or hub id> or dino:<folder or hub id>")
    parser.add_argument("folder", help="one folder an identity")
    arguments = parser.parse_args()
    embedder = load_embedder(arguments.embedder)
    photos = [read_photos(folder) for folder in identity_folders(arguments.folder)]
    who = np.repeat(np.arange(len(photos)), [len(p) for p in photos])
    vectors = embedder.embed([photo.picture for group in photos for photo in group])

    above = np.triu_indices(len(who), 1)
    cosine = (vectors @ vectors.T)[above]
    genuine = (who[:, None] == who)[above]
    same, other = cosine[genuine], cosine[~genuine]
    first = np.unique(who, return_index=True)[1]
    ranks = [gallery_ranks(vectors[[i]], vectors[first], int(who[i]))[0] for i in np.setdiff1d(np.arange(len(who)), first)]

    print(f"{embedder.name} on {arguments.folder}")
    print(f"{'identities':>12}{'images':>10}{'AUC':>10}{'rank-1':>10}")
    print(f"{len(photos):>12}{len(who):>10}{auc(same, other):>10.4f}{np.mean(np.array(ranks) == 0):>10.4f}")
    print(f"{'cosine of':>12}{'pairs':>10}{'mean':>10}{'5%':>10}{'median':>10}{'95%':>10}")
    for title, values in (("same", same), ("other", other)):
        low, median, high = np.quantile(values, (0.05, 0.5, 0.95))
        print(f"{title:>12}{len(values):>10}{values.mean():>10.4f}{low:>10.4f}{median:>10.4f}{high:>10.4f}")


if __name__ == "__main__":
    main()
