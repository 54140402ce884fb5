"""The types that flow, and the tree of errors."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch

from loraleak import errors
from loraleak.types import Adapter, Factors, Sightings


def _factors(rank: int, scale: float | None = 1.0) -> Factors:
    return Factors(down=torch.zeros(rank, 5), up=torch.zeros(7, rank), scale=scale)


def test_an_adapter_knows_its_ranks_and_whether_its_scale_is_told() -> None:
    adapter = Adapter({"a": _factors(2), "b": _factors(8), "c": _factors(4)}, format="memory")
    assert adapter.ranks == (2, 8) and adapter.scale_known
    assert not Adapter({"a": _factors(2), "b": _factors(2, scale=None)}, format="memory").scale_known


def test_factors_of_a_convolution_have_the_rank_of_their_first_axis() -> None:
    assert Factors(down=torch.zeros(3, 5, 3, 3), up=torch.zeros(7, 3, 1, 1), scale=1.0).rank == 3


def test_an_adapter_cannot_be_changed() -> None:
    adapter = Adapter({"a": _factors(2)}, format="memory")
    with pytest.raises(FrozenInstanceError):
        adapter.format = "peft"  # type: ignore[misc]


def test_every_error_is_one_that_the_command_line_prints() -> None:
    classes = [found for name in errors.__all__ if isinstance(found := getattr(errors, name), type)]
    assert classes and all(issubclass(found, errors.LoraleakError) for found in classes)
    assert issubclass(errors.BaseMismatchError, errors.AdapterError)


def test_sightings_are_cut_and_joined_by_picture() -> None:
    two, nobody, one = np.eye(3)[:2], np.zeros((0, 3)), np.eye(3)[2:]
    sightings = Sightings.of([two, nobody, one])
    assert len(sightings) == 3 and sightings.dim == 3 and sightings.counts.tolist() == [2, 0, 1]
    for vectors, expected in zip(sightings.select([2, 1, 0]), (one, nobody, two), strict=True):
        np.testing.assert_array_equal(vectors, expected)
    joined = Sightings.joined([sightings, Sightings.one_each(one)])
    assert joined.counts.tolist() == [2, 0, 1, 1] and len(joined.vectors) == 4
    assert Sightings.of([nobody, nobody]).dim == 3
