"""The embedder of pocket people: a small CNN that knows identities and can name attributes."""

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from loraleak.assets import POCKET_EMBEDDER
from loraleak.types import Picture, Sightings

__all__ = ["PeopleNet", "PocketEmbedder"]

_SIZE = 64
_WIDTHS = (32, 64, 128, 192)


class PeopleNet(nn.Module):
    """A network from pictures `[batch, 3, 64, 64]` in [-1, 1] to an identity vector, and logits for each attribute."""

    def __init__(self, attributes: Mapping[str, Sequence[str]], dim: int = 128) -> None:
        super().__init__()
        self.attributes = {name: tuple(values) for name, values in attributes.items()}
        self.stem = nn.Conv2d(3 * 4, _WIDTHS[0], 3, padding=1)
        self.stages = nn.Sequential(*(_Stage(a, b) for a, b in itertools.pairwise(_WIDTHS)))
        flat = _WIDTHS[-1] * 16
        self.identity = nn.Linear(flat, dim)
        self.heads = nn.ModuleDict({name: nn.Linear(dim, len(values)) for name, values in self.attributes.items()})

    def forward(self, pictures: Float[Tensor, "batch 3 64 64"]) -> tuple[Float[Tensor, "batch dim"], dict[str, Tensor]]:
        x = self.stages(F.relu(self.stem(F.pixel_unshuffle(pictures, 2))))
        identity = self.identity(x.flatten(1))
        return F.normalize(identity, dim=1), {name: head(identity) for name, head in self.heads.items()}


class _Stage(nn.Module):
    """A convolution that halves the resolution, then one residual block."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)
        self.first = nn.Conv2d(channels_out, channels_out, 3, padding=1, groups=4, bias=False)
        self.middle = nn.BatchNorm2d(channels_out)
        self.second = nn.Conv2d(channels_out, channels_out, 1, bias=False)
        self.last = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.down(x)))
        return F.relu(x + self.last(self.second(F.relu(self.middle(self.first(x))))))


class PocketEmbedder:
    """Embedder of pocket people, as unit vectors `[images, 128]`, and the judge that names their attributes."""

    name = "pocket-people-1"
    same_person = None

    def __init__(self, net: PeopleNet) -> None:
        self.net = net.eval()

    @classmethod
    def load(cls, folder: Path = POCKET_EMBEDDER) -> "PocketEmbedder":
        """Load the network in this folder, by default the one inside the package."""
        net = PeopleNet(json.loads((folder / "attributes.json").read_text("utf-8")))
        net.load_state_dict(
            {key: value.float() for key, value in load_file(folder / "model.safetensors").items()}, strict=False
        )
        return cls(net)

    def save(self, folder: Path) -> None:
        """Write the network in half precision."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {k: v.half() for k, v in self.net.state_dict().items() if v.is_floating_point()}
        save_file(state, folder / "model.safetensors")
        (folder / "attributes.json").write_text(json.dumps(self.net.attributes, indent=1), "utf-8")

    def embed(self, images: Sequence[Picture]) -> Sightings:
        return Sightings.one_each(np.concatenate([identity.numpy() for identity, _ in self._forward(images)]))

    def attributes(self, images: Sequence[Picture]) -> list[dict[str, str]]:
        """The likeliest value of every attribute, for each image."""
        named: list[dict[str, str]] = []
        for _, logits in self._forward(images):
            best = {name: values.argmax(1).tolist() for name, values in logits.items()}
            count = len(next(iter(best.values())))
            named += [{name: self.net.attributes[name][best[name][i]] for name in best} for i in range(count)]
        return named

    @torch.no_grad()
    def _forward(self, images: Sequence[Picture]) -> list[tuple[Tensor, dict[str, Tensor]]]:
        pixels = torch.from_numpy(np.stack([_resized(image) for image in images])).permute(0, 3, 1, 2).float() / 127.5 - 1
        return [self.net(batch) for batch in pixels.split(128)]


def _resized(image: Picture) -> Picture:
    if image.shape[:2] == (_SIZE, _SIZE):
        return image
    return np.asarray(Image.fromarray(image).resize((_SIZE, _SIZE), Image.Resampling.LANCZOS))
