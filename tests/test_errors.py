"""An error is one line for people and fields for programs."""

import pickle

import pytest

from loraleak.errors import AdapterError, LoraleakError, UsageError


def test_a_plain_message_is_its_own_only_fault() -> None:
    error = UsageError("rank is 0, give at least 1")
    assert str(error) == "rank is 0, give at least 1"
    assert (error.path, error.faults, error.remedy) == (None, ("rank is 0, give at least 1",), "")


def test_a_program_gets_all_faults_and_people_the_first_few() -> None:
    faults = [f"tensor {i} is cut" for i in range(8)]
    with pytest.raises(LoraleakError) as caught:
        raise AdapterError(*faults, path="a\x1b[2J.safetensors", remedy="download it again")
    line = str(caught.value)
    assert caught.value.faults == tuple(faults) and caught.value.path == "a\x1b[2J.safetensors"
    assert line.isprintable() and line.startswith(r"cannot use a\x1b[2J.safetensors: tensor 0 is cut; tensor 1")
    assert line.endswith("tensor 4 is cut and 3 more faults: download it again")


def test_errors_come_whole_out_of_worker_processes() -> None:
    error = AdapterError("it is empty", path="x", remedy="export it again")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is AdapterError and str(copy) == str(error)
    assert (copy.path, copy.faults, copy.remedy) == ("x", ("it is empty",), "export it again")
