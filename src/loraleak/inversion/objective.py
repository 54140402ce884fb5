"""Losses that a weight autoencoder minimises."""

from jaxtyping import Float, Int
from torch import Tensor

from loraleak.bases import DiffusersBase, Stack
from loraleak.finetuning import LossWeighting
from loraleak.types import StackedFactors

__all__ = ["caption_loss", "decoding_loss"]


def decoding_loss(
    base: DiffusersBase,
    weights: StackedFactors,
    z: Float[Tensor, "adapters tokens dim"],
    latents: Float[Tensor, "adapters images channels h w"],
    timesteps: Int[Tensor, "adapters images"],
    noise: Float[Tensor, "adapters images channels h w"],
    *,
    strength: Float[Tensor, " adapters"],
    weighting: LossWeighting = "debiased",
) -> Float[Tensor, ""]:
    """`E |noise - eps_theta(x_t, t, z)|^2` with every adapter's own denoiser, frozen, in one pass (Yao 2024, Alg. 2, line 14).

    Noise levels weigh alike (`uniform`, the published loss), or as `debiased` in our fine-tuning: `1 / sqrt(SNR)` with a mean of 1
    (Yu et al. 2024, arXiv 2310.08442).
    `strength` multiplies each adapter's update; at 0 the base itself decodes.
    """
    like = base.like
    shapes = {name: base.modules[name] for name in weights.up}
    scaled = StackedFactors(weights.down, weights.up, weights.scales * strength, weights.ranks)
    stack = Stack.holding(scaled, shapes, like)
    images = latents.shape[1]
    levels = timesteps.flatten().to(like.device)
    times = base.timesteps.to(like.device)[levels]
    clean, added = latents.flatten(0, 1).to(like), noise.flatten(0, 1).to(like)
    noisy = base.add_noise(clean, added, times)
    with base.stacked(stack):
        predicted = base.predict(noisy, times, z.repeat_interleave(images, dim=0))
    each = (predicted - base.schedule.target(clean, added, times)).square().flatten(1).mean(1)
    return (each * base.schedule.weights.to(each)[levels]).mean() if weighting == "debiased" else each.mean()


def caption_loss(
    z: Float[Tensor, "adapters tokens dim"], captions: Float[Tensor, "adapters tokens dim"], spread: Float[Tensor, "tokens dim"]
) -> Float[Tensor, ""]:
    """Squared distance to the prompt embedding of the person's captions, in units of its variance over people.

    A z that knows nothing of the person has 1.
    """
    return (z - captions).square().mean() / spread.square().mean()
