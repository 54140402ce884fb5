"""Stable Diffusion 1.x and 2.x, and pocket, which has their shape."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float, Num
from torch import Tensor

from loraleak.bases.diffusers_base import Blocks, DiffusersBase
from loraleak.bases.diffusion import Diffusion

__all__ = ["UNET_BLOCKS", "StableDiffusion"]

UNET_BLOCKS = Blocks(
    within=("unet.down_blocks.", "unet.mid_block.", "unet.up_blocks."), transformer=".attentions.", prompt=(".attn2.",)
)


class StableDiffusion(DiffusersBase):
    """A U-Net with cross-attention to the last hidden states of CLIP's text encoder (Rombach et al. 2022)."""

    denoiser_name = "unet"
    text_encoders = ("text_encoder",)
    blocks = UNET_BLOCKS

    @property
    def unet(self) -> Any:
        return self.denoiser

    @property
    def text_encoder(self) -> Any:
        return self.pipeline.text_encoder

    @property
    def tokenizer(self) -> Any:
        return self.pipeline.tokenizer

    @property
    def own_resolution(self) -> int:
        return int(self.unet.config["sample_size"]) * self.vae_scale

    @property
    def latent_channels(self) -> int:
        return int(self.unet.config["in_channels"])

    @property
    def condition_shape(self) -> tuple[int, int]:
        return int(self.tokenizer.model_max_length), int(self.unet.config["cross_attention_dim"])

    def embed_with_gradient(self, prompts: Sequence[str]) -> Float[Tensor, "prompts tokens dim"]:
        tokens = self.tokenizer(
            list(prompts),
            padding="max_length",
            truncation=True,
            max_length=self.condition_shape[0],
            return_tensors="pt",
        ).input_ids
        states: Tensor = self.text_encoder(tokens.to(self.device)).last_hidden_state
        return states

    def transform(self, tokens: Float[Tensor, "batch count dim"]) -> Float[Tensor, "batch count dim"]:
        """Run the text transformer's layers on any tokens, with gradients: there are no positions, and every token sees every
        other."""
        model = getattr(self.text_encoder, "text_model", self.text_encoder)
        states: Tensor = model.encoder(inputs_embeds=tokens).last_hidden_state
        return model.final_layer_norm(states)

    def _schedule(self, scheduler: Any) -> Diffusion:
        return Diffusion(scheduler)

    def _denoise(
        self,
        latents: Float[Tensor, "batch channels h w"],
        timesteps: Num[Tensor, " batch"],
        condition: Float[Tensor, "batch tokens dim"],
        guidance: float,
    ) -> Float[Tensor, "batch channels h w"]:
        return self.unet(latents, timesteps, condition).sample
