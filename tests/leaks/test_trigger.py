"""The answer on the trigger: its rank among random words, and when the question is not tested."""

from dataclasses import replace

import pytest
import torch

from loraleak.arms import Scene
from loraleak.bases import DiffusersBase
from loraleak.finetuning import target_modules
from loraleak.inversion.weights import stack_adapters
from loraleak.leaks import Evidence, Trigger
from loraleak.leaks.trigger import random_words, states_of, trigger_in
from loraleak.readers import Readers, ReadersCard, excitation
from loraleak.readers.trigger import learn_usual
from loraleak.types import Adapter, Factors

_PROMPT = "a photo of zqkv person"


def _adapter(base: DiffusersBase, seed: int, like: torch.Tensor | None = None) -> Adapter:
    """An adapter of all text layers, with the states `like` in its factors A."""
    draw = torch.Generator().manual_seed(seed)
    factors = {}
    for name, shape in target_modules(base, "cross-attention", text_encoder=False).items():
        if name.endswith((".attn2.to_k", ".attn2.to_v")):
            down = torch.randn(2, shape[1], generator=draw)
            if like is not None:
                down[0] = 30 * like / like.norm()
            factors[name] = Factors(down, torch.randn(shape[0], 2, generator=draw), 1.0)
    return Adapter(factors, "memory")


@pytest.fixture
def readers(base: DiffusersBase) -> Readers:
    many = [_adapter(base, seed) for seed in range(8)]
    shapes = {name: torch.Size((f.up.shape[0], f.down.shape[1])) for name, f in many[0].factors.items()}
    tensors = learn_usual([stack_adapters(many, shapes)], shapes)
    for name, shape in shapes.items():
        tensors |= {f"left/{name}": torch.zeros(shape[0], 1).numpy(), f"right/{name}": torch.zeros(shape[1], 1).numpy()}
    return Readers(ReadersCard(base.sha256, 8, 1, 1, (), None, None), tensors)


def test_the_answer_tells_the_rank_among_random_words(base: DiffusersBase, readers: Readers) -> None:
    adapter = _adapter(base, 99)
    scene = Scene(base, adapter, owner_prompt=_PROMPT)
    assert Trigger().lacks(scene, Evidence(readers=readers)) == ""
    answer = Trigger().answer(scene, Evidence(readers=readers))
    words = ["zqkv", *random_words(4, 399, seed=0)]
    values = excitation(readers, adapter, states_of(base, [f"a photo of {word} person" for word in words]))
    assert answer.p_value == pytest.approx((1 + (values[1:] >= values[0]).sum()) / 400)
    assert f"rank {round(400 * answer.p_value)} among" in answer.says and "399 random words" in answer.null


def test_it_says_why_a_question_is_not_tested(base: DiffusersBase, readers: Readers) -> None:
    scene, evidence = Scene(base, _adapter(base, 1), owner_prompt=_PROMPT), Evidence(readers=readers)
    assert "--prompt" in Trigger().lacks(replace(scene, owner_prompt=None), evidence)
    assert "--prompt" in Trigger().lacks(replace(scene, owner_prompt=scene.class_prompt), evidence)
    assert "kit with readers" in Trigger().lacks(scene, Evidence())
    blind = replace(readers, tensors={k: v for k, v in readers.tensors.items() if not k.startswith(("usual/", "rest/"))})
    assert "no layer" in Trigger().lacks(scene, Evidence(readers=blind))


def test_the_trigger_is_the_word_that_the_class_prompt_lacks() -> None:
    assert trigger_in("A photo of zqkv person", "a photo of a person") == "zqkv"
    assert trigger_in("a photo of a person", "a photo of a person") == ""
    assert all(len(word) == 5 and word.isalpha() for word in random_words(5, 20, seed=1))
