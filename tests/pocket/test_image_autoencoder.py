"""The start at principal components is PCA."""

import numpy as np
import torch
from torch.nn import functional as F

from loraleak.bases.pocket_autoencoder import PocketAutoencoder
from loraleak.pocket.image_autoencoder import pixels, psnr, start_at_principal_components


def test_the_start_rebuilds_patches_as_pca_does() -> None:
    images = np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3), dtype=np.uint8)
    images = np.sort(images, axis=1)
    torch.manual_seed(0)
    model = PocketAutoencoder(latent_channels=8, block_out_channels=(12, 48, 16, 16)).eval()
    x = pixels(images)
    start_at_principal_components(model, x)
    with torch.no_grad():
        rebuilt = model(x).sample
    centre = x.mean(dim=(0, 2, 3), keepdim=True)
    patches = F.unfold(x - centre, 8, stride=8).transpose(1, 2).flatten(0, 1)
    _, _, components = torch.linalg.svd(patches, full_matrices=False)
    kept = patches @ components[:8].T @ components[:8]
    expected = F.fold(kept.view(12, 64, 192).transpose(1, 2), (64, 64), 8, stride=8) + centre
    torch.testing.assert_close(rebuilt, expected, atol=1e-3, rtol=1e-3)
    with torch.no_grad():
        posterior = model.posterior(x)
    assert abs(float(posterior.mean.var()) - 1) < 0.1
    assert abs(float(posterior.std.mean()) - 0.05) < 1e-4
    error = (rebuilt.clamp(-1, 1) - x).square().mean(dim=(1, 2, 3)).numpy()
    np.testing.assert_allclose(psnr(model, images), 10 * np.log10(4 / error), rtol=1e-4)
