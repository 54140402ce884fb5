"""The autoencoder of pocket: a diffusers model, so a pipeline folder that names it loads like any other."""

from collections.abc import Sequence

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import Decoder, DecoderOutput, DiagonalGaussianDistribution, Encoder
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["PocketAutoencoder"]


class PocketAutoencoder(ModelMixin, ConfigMixin):
    """A variational autoencoder that starts with space-to-depth: no convolution runs at full resolution.

    The interface is that of `diffusers.AutoencoderKL`, so Stable Diffusion pipelines take it as it is. The first levels of
    `block_out_channels` are the space-to-depth (3 x 2 x 2, 3 x 4 x 4 channels); the others are convolutional. A linear map of
    whole patches runs beside the encoder and beside the decoder, so that the networks learn only what is not linear.
    """

    @register_to_config
    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        latent_channels: int = 24,
        block_out_channels: Sequence[int] = (12, 48, 64, 128),
        layers_per_block: int = 1,
        norm_num_groups: int = 16,
        patch_size: int = 4,
        sample_size: int = 64,
        scaling_factor: float = 1.0,
    ) -> None:
        super().__init__()
        if in_channels * patch_size**2 != block_out_channels[1]:
            raise ValueError(f"block_out_channels[1] is {block_out_channels[1]}, a patch has {in_channels * patch_size**2}")
        channels = tuple(block_out_channels[2:])
        self.encoder = Encoder(
            in_channels=block_out_channels[1],
            out_channels=latent_channels,
            down_block_types=("DownEncoderBlock2D",) * len(channels),
            block_out_channels=channels,
            layers_per_block=layers_per_block,
            norm_num_groups=norm_num_groups,
        )
        self.decoder = Decoder(
            in_channels=latent_channels,
            out_channels=out_channels * patch_size**2,
            up_block_types=("UpDecoderBlock2D",) * len(channels),
            block_out_channels=channels,
            layers_per_block=layers_per_block,
            norm_num_groups=norm_num_groups,
        )
        patch = patch_size * 2 ** (len(channels) - 1)
        self.linear_encoder = nn.Conv2d(in_channels, latent_channels, patch, stride=patch)
        self.linear_decoder = nn.ConvTranspose2d(latent_channels, out_channels, patch, stride=patch)

    def encode(self, x: Tensor, return_dict: bool = True) -> AutoencoderKLOutput | tuple[DiagonalGaussianDistribution]:
        """The posterior of the latents of images `[batch, 3, height, width]` in [-1, 1]."""
        posterior = self.posterior(x)
        return AutoencoderKLOutput(latent_dist=posterior) if return_dict else (posterior,)

    def posterior(self, x: Tensor) -> DiagonalGaussianDistribution:
        """The distribution that `encode` returns inside its output."""
        mean, log_variance = self.encoder(F.pixel_unshuffle(x, self.config["patch_size"])).chunk(2, dim=1)
        return DiagonalGaussianDistribution(torch.cat([mean + self.linear_encoder(x), log_variance], dim=1))

    def decode(
        self, z: Tensor, return_dict: bool = True, generator: torch.Generator | None = None
    ) -> DecoderOutput | tuple[Tensor]:
        """Images `[batch, 3, height, width]` in [-1, 1] of latents `[batch, latent_channels, height / 8, width / 8]`."""
        sample = F.pixel_shuffle(self.decoder(z), self.config["patch_size"]) + self.linear_decoder(z)
        return DecoderOutput(sample=sample) if return_dict else (sample,)

    def forward(self, sample: Tensor) -> DecoderOutput:
        """Encode to the posterior's mode and decode."""
        return self.decode(self.posterior(sample).mode())
