"""What an estimate counts."""

from pathlib import Path

import pytest
import torch
from torch import nn

from loraleak.bases import DiffusersBase, load_base
from loraleak.bases.estimate import Estimate, _Peak, decoder_work, denoiser_work, estimate
from loraleak.finetuning.forecast import forecast
from loraleak.finetuning.recipe import Recipe
from loraleak.finetuning.targets import target_modules
from oracles.newer_pipelines import NEWER_FAMILIES, tiny_newer_pipeline
from oracles.pipelines import FAMILIES, RESOLUTION, tiny_pipeline


@pytest.fixture(scope="module", params=[*FAMILIES, *NEWER_FAMILIES])
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DiffusersBase:
    make = tiny_newer_pipeline if request.param in NEWER_FAMILIES else tiny_pipeline
    folder = make(request.param, tmp_path_factory.mktemp(request.param))
    return load_base(str(folder), device="cpu", resolution=RESOLUTION)


@pytest.mark.parametrize(("grad", "held"), [(False, 3), (True, 9)])
def test_a_chain_of_layers_holds_what_it_reads_and_writes_or_with_gradients_all(grad: bool, held: int) -> None:
    with torch.device("meta"):
        chain = nn.Sequential(*(nn.Linear(100, 100) for _ in range(8)))
        x = torch.empty(10, 100)
    with torch.set_grad_enabled(grad), _Peak(chain) as peak:
        chain(x + 1)  # its argument, and of each layer what it reads and writes
    assert peak.most == held * 10 * 100 * 4
    assert peak.now in (0, 4000)


def test_more_pictures_and_gradients_take_more_and_recomputing_takes_less(tiny: DiffusersBase) -> None:
    trained = target_modules(tiny, "attention", text_encoder=False)
    one, four = denoiser_work(tiny, 1), denoiser_work(tiny, 4)
    assert 3 < four / one <= 4.1
    with_gradient = denoiser_work(tiny, 1, trained)
    assert with_gradient > 1.5 * one
    tiny.one_at_a_time = True
    assert denoiser_work(tiny, 1, trained) < with_gradient
    assert estimate(tiny, passes=8, batch=4).working == max(one, decoder_work(tiny))
    tiny.one_at_a_time = False


def test_weights_are_counted_to_the_byte(tiny: DiffusersBase, tmp_path: Path) -> None:
    said = estimate(tiny, passes=10, batch=2)
    parts = [p for m in (*tiny.components.values(), tiny.vae) for p in (*m.parameters(), *m.buffers())]
    assert said.weights == sum(p.nbytes for p in parts)
    assert said.seconds > 0
    assert forecast(tiny, Recipe(steps=1, class_count=2)).working >= said.working


def test_what_it_says() -> None:
    first = Estimate(weights=3 * 2**30, working=2**28, seconds=40.0)
    assert first.says == "this run takes about 3.2 GB of memory (3.0 GB weights, 256 MB work) and 40 s"
    assert first.then(Estimate(3 * 2**30, 2**30, 3000.0)) == Estimate(3 * 2**30, 2**30, 3040.0)
    with_program = Estimate(1, 1, 1.0, program=500)
    for later in (
        Estimate(0, 0, 1.0),
        Estimate(0, 0, 1.0, program=800),
    ):  # one that was not measured, and one that counts twice
        assert with_program.then(later).program == later.then(with_program).program == 500
    assert Estimate(1, 1, 3040.0).says.endswith("and 51 min") and Estimate(1, 1, 9000.0).says.endswith("and 2.5 h")
