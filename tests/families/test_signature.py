"""Families by names and widths, on the layers of the real bases, and of pocket."""

import pytest

from loraleak import load_base
from loraleak.families import FAMILIES, Named, families_of, titles
from oracles.bases import BASES, layers_of


def _fit(shapes: dict[str, tuple[int, ...]], header: dict[str, str] | None = None, *, flat: bool = False) -> tuple[str, ...]:
    return families_of(
        [Named("", name.replace(".", "_") if flat else name, flat, shape) for name, shape in shapes.items()], header or {}
    )


@pytest.mark.parametrize(("base", "family"), BASES.items())
@pytest.mark.parametrize("flat", [False, True])
def test_the_layers_of_each_base_tell_its_family(base: str, family: str, flat: bool) -> None:
    assert _fit(layers_of(base), flat=flat) == (family,)


@pytest.mark.parametrize(("base", "family"), BASES.items())
@pytest.mark.parametrize("only", ["attn", "to_k", "to_q", "ff", "mlp", "blocks.0.", "_blocks.1."])
def test_some_of_its_layers_fit_it_too(base: str, family: str, only: str) -> None:
    shapes = {name: shape for name, shape in layers_of(base).items() if only in name}
    if shapes:
        assert family in _fit(shapes)
        assert _fit(shapes, {"modelspec.architecture": f"{_CALLED.get(family, family)}/lora"}) == (family,)


_CALLED = {
    "sd1": "stable-diffusion-v1",
    "sd2": "stable-diffusion-v2-768-v",
    "sdxl": "stable-diffusion-xl-v1-base",
    "flux": "flux-1-dev",
}


@pytest.mark.parametrize("width", [2560, 5120, 7168])
def test_a_family_is_known_at_widths_that_no_model_of_today_has(width: int) -> None:
    flux2 = {
        "double_blocks.0.img_attn.qkv": (3 * width, width),
        "double_blocks.0.img_mlp.0": (6 * width, width),
        "single_blocks.0.linear1": (9 * width, width),
    }
    assert _fit(flux2) == ("flux2",)
    assert _fit({name: shape for name, shape in flux2.items() if "linear1" in name}) == ("flux2",)
    wan = {f"blocks.0.{side}_attn.{leaf}": (width, width) for side in ("self", "cross") for leaf in "qkvo"}
    assert _fit(wan) == ("wan",)
    assert _fit({"layers.3.attention.to_q": (width, width), "layers.3.feed_forward.w1": (3 * width, width)}) == ("z-image",)


def test_where_two_fit_both_are_named_and_the_header_decides() -> None:
    shapes = {f"double_blocks.0.{side}_attn.qkv": (9216, 3072) for side in ("img", "txt")}
    assert set(_fit(shapes)) == {"flux", "flux2", "chroma", "hunyuan-video"}
    assert _fit(shapes, {"ss_base_model_version": "chroma"}) == ("chroma",)
    assert _fit(shapes, {"ss_base_model_version": "flux_2_klein_4b"}) == ("flux2",)
    assert titles(("flux", "chroma")) == "Flux.1 or Chroma" and titles(()) == "an unknown base"


def test_the_header_cannot_overrule_the_layers() -> None:
    wan = {"blocks.0.self_attn.q": (5120, 5120), "blocks.0.cross_attn.k": (5120, 5120)}
    assert _fit(wan, {"ss_base_model_version": "flux1", "modelspec.architecture": "flux-1-dev/lora"}) == ("wan",)
    assert _fit({"tower.0.mixer.in_proj": (777, 333)}, {"ss_base_model_version": "flux1"}) == ()


def test_as_many_blocks_as_a_model_has_break_a_tie() -> None:
    def attention(blocks: int) -> dict[str, tuple[int, ...]]:
        return {f"transformer_blocks.{i}.attn.to_q": (3072, 3072) for i in range(blocks)}

    assert _fit(attention(60)) == ("qwen-image",)
    assert _fit(attention(20)) == ("hunyuan-video",)
    assert _fit(attention(19)) == ("flux", "chroma")
    assert _fit(attention(5)) == ("flux2",)


def test_pocket_is_known() -> None:
    shapes = {
        name.removeprefix("unet."): tuple(shape)
        for name, shape in load_base("pocket").modules.items()
        if name.startswith("unet.")
    }
    assert _fit(shapes) == ("pocket",)
    assert "pocket" not in _fit({name: shape for name, shape in shapes.items() if "attn1" in name})


def test_files_for_text_encoders_alone_fit_the_families_that_have_them() -> None:
    def clip(component: str, width: int) -> Named:
        return Named(component, "text_model.encoder.layers.0.self_attn.q_proj", False, (width, width))

    assert families_of([clip("text_encoder", 768)], {})[0] == "sd1"
    assert families_of([clip("text_encoder", 1024)], {})[0] == "sd2"
    assert families_of([clip("text_encoder", 768), clip("text_encoder_2", 1280)], {}) == ("sdxl", "sd3")
    assert families_of([clip("text_encoder", 768)], {"ss_base_model_version": "flux1"}) == ("flux",)


def test_every_family_is_called_something() -> None:
    assert all(family.name == name and family.title for name, family in FAMILIES.items())
    assert len({family.title for family in FAMILIES.values()}) == len(FAMILIES)
