"""The types that flow, and the tree of errors."""

from dataclasses import FrozenInstanceError

import pytest
import torch

from loraleak import errors
from loraleak.types import Adapter, Factors


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
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), errors.LoraleakError)
    assert issubclass(errors.BaseMismatchError, errors.AdapterError)
