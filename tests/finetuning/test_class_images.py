"""Class images are made once."""

from dataclasses import replace

import numpy as np
import pytest

from loraleak.bases import DiffusersBase
from loraleak.finetuning.class_images import class_images
from loraleak.finetuning.recipe import Recipe

_SHORT = Recipe(class_count=2)


def test_class_images_are_made_once(base: DiffusersBase, monkeypatch: pytest.MonkeyPatch) -> None:
    first = class_images(base, _SHORT)
    monkeypatch.setattr("loraleak.finetuning.class_images.sample", None)
    assert np.array_equal(class_images(base, _SHORT), first)
    with pytest.raises(TypeError):
        class_images(base, replace(_SHORT, class_prompt="a drawing of a person"))
