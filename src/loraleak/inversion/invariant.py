"""Our encoder. It reads `dW` through probes, so that `B -> B M^-1, A -> M A` changes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from loraleak.inversion.encoder import Encoder
from loraleak.inversion.posterior import Posterior
from loraleak.inversion.steps import StepEmbedding
from loraleak.types import StackedFactors

__all__ = ["InvariantEncoder", "InvariantShape", "ProbeStatistics"]

_TINY = 1e-8


@dataclass(frozen=True)
class InvariantShape:
    """Sizes of the encoder."""

    probes: int = 16
    """Directions on either side of each `dW`: `U^T dW V` is `[probes, probes]`."""
    module_width: int = 24
    """Features of each module."""
    width: int = 512
    code: int = 192
    """Size of the code, which holds what is known of the person. z is a linear function of it."""
    dropout: float = 0.2
    missing: float = 0.1
    """Share of modules that training hides, so that files that lack some modules are read too."""


class InvariantEncoder(Encoder):
    """A perceptron from each module's probed update `U_m^T dW_m V_m / |dW_m|` and `log |dW_m|` to mean and log-variance of z.

    It reads only products `B A`, each through its thin factors. The features are the same for any rank and any factorisation.
    """

    norm_mean: Tensor
    norm_spread: Tensor
    centre: Tensor

    def __init__(
        self, shapes: Mapping[str, torch.Size], condition: tuple[int, int], shape: InvariantShape, *, steps: bool
    ) -> None:
        """`condition` is `[tokens, dim]` of z. `steps` says whether the fine-tuning step is an input."""
        super().__init__()
        self.shapes, self.condition, self.shape = dict(shapes), condition, shape
        outputs = [s[0] for s in shapes.values()]
        inputs = [prod(s[1:]) for s in shapes.values()]
        self.left = _probes(outputs, shape.probes)
        self.right = _probes(inputs, shape.probes)
        modules = len(shapes)
        self.register_buffer("norm_mean", torch.zeros(modules))
        self.register_buffer("norm_spread", torch.ones(modules))
        self.register_buffer("centre", torch.zeros(condition))
        self.by_module = nn.Parameter(torch.randn(modules, shape.probes**2, shape.module_width) / shape.probes)
        self.by_module_bias = nn.Parameter(torch.zeros(modules, shape.module_width))
        self.steps = StepEmbedding(shape.width) if steps else None
        self.enter = nn.Linear(modules * (shape.module_width + 1), shape.width)
        self.mix = nn.Sequential(
            nn.GELU(), nn.Dropout(shape.dropout), nn.Linear(shape.width, shape.width), nn.GELU(), nn.Dropout(shape.dropout)
        )
        self.code = nn.Linear(shape.width, shape.code)
        self.mean = nn.Linear(shape.code, prod(condition))
        self.log_variance = nn.Linear(shape.code, prod(condition))
        for head in (self.mean, self.log_variance):
            nn.init.normal_(head.weight, std=0.1 / shape.code**0.5)
            nn.init.zeros_(head.bias)
        nn.init.constant_(self.log_variance.bias, -4.0)

    def forward(self, weights: StackedFactors, steps: Int[Tensor, " batch"]) -> Posterior:
        return self.posterior(self.read(weights, steps))

    def read(self, weights: StackedFactors, steps: Int[Tensor, " batch"]) -> Float[Tensor, "batch code"]:
        """Code of what is known of the person."""
        probed, norms = self.features(weights)
        present = (norms > _TINY).to(probed)
        if self.training and self.shape.missing:
            present = present * (torch.rand_like(norms) >= self.shape.missing)
        logs = (norms.clamp(min=_TINY).log() - self.norm_mean) / self.norm_spread * present
        inner = torch.einsum("bmf,mfw->bmw", probed, self.by_module) + self.by_module_bias
        inner = nn.functional.gelu(inner) * present[..., None]
        hidden = self.enter(torch.cat([inner.flatten(1), logs], dim=1))
        if self.steps is not None:
            hidden = hidden + self.steps(steps)
        return self.code(self.mix(hidden))

    def posterior(self, code: Float[Tensor, "batch code"]) -> Posterior:
        """Posterior of z, given a code."""
        mean = self.centre + self.mean(code).unflatten(1, self.condition)
        return Posterior(mean, self.log_variance(code).unflatten(1, self.condition))

    def features(
        self, weights: StackedFactors
    ) -> tuple[Float[Tensor, "batch modules features"], Float[Tensor, "batch modules"]]:
        """Probed updates, each divided by its module's Frobenius norm, and the norms. No matrix `[d_out, d_in]` is formed."""
        probed, norms = [], []
        for left, right, name in zip(self.left, self.right, self.shapes, strict=True):
            down, up = weights.down[name].flatten(2), weights.up[name] * weights.scales.view(-1, 1, 1)
            norm = _norm(down, up)
            product = torch.einsum("op,bor->bpr", left, up) @ (down @ right)
            probed.append(product.flatten(1) / norm[:, None].clamp(min=_TINY))
            norms.append(norm)
        return torch.stack(probed, 1), torch.stack(norms, 1)

    @torch.no_grad()
    def set_probes(self, statistics: "ProbeStatistics") -> None:
        """Set the probes to the directions in which the zoo's updates are largest."""
        for k, name in enumerate(self.shapes):
            for probes, covariance in ((self.left[k], statistics.left[name]), (self.right[k], statistics.right[name])):
                _, directions = torch.linalg.eigh(covariance)
                wanted = directions[:, -probes.shape[1] :].flip(1)
                probes.zero_()[:, : wanted.shape[1]] = wanted
        self.set_norms(statistics)

    @torch.no_grad()
    def set_norms(self, statistics: "ProbeStatistics") -> None:
        """Standardise norms by the zoo's."""
        self.norm_mean.copy_(statistics.log_norms.mean(0))
        self.norm_spread.copy_(statistics.log_norms.std(0).clamp(min=1e-3))


class ProbeStatistics:
    """Second moments of normalised updates on either side, over batches of adapters."""

    def __init__(self, shapes: Mapping[str, torch.Size]) -> None:
        self.left = {name: torch.zeros(s[0], s[0]) for name, s in shapes.items()}
        self.right = {name: torch.zeros(prod(s[1:]), prod(s[1:])) for name, s in shapes.items()}
        self._logs: list[Tensor] = []

    @property
    def log_norms(self) -> Float[Tensor, "adapters modules"]:
        return torch.cat(self._logs)

    @torch.no_grad()
    def add(self, weights: StackedFactors) -> None:
        """Add these adapters to the moments. `dW dW^T = B (A A^T) B^T`, and likewise for the other side."""
        logs = []
        for name in self.left:
            down, up = weights.down[name].flatten(2), weights.up[name] * weights.scales.view(-1, 1, 1)
            norm = _norm(down, up).clamp(min=_TINY)
            logs.append(norm.log())
            up = up / norm.view(-1, 1, 1)
            self.left[name] += torch.einsum("bor,bpr->op", up @ (down @ down.transpose(1, 2)), up)
            self.right[name] += torch.einsum("bri,brj->ij", (up.transpose(1, 2) @ up) @ down, down)
        self._logs.append(torch.stack(logs, 1))


def _norm(down: Float[Tensor, "batch rank d_in"], up: Float[Tensor, "batch d_out rank"]) -> Float[Tensor, " batch"]:
    """`|B A|`, from the thin factors."""
    inner = (up.transpose(1, 2) @ up) * (down @ down.transpose(1, 2))
    return inner.sum((1, 2)).clamp(min=0).sqrt()


def _probes(sizes: list[int], probes: int) -> nn.ParameterList:
    drawn = [torch.linalg.qr(torch.randn(size, min(size, probes)))[0] for size in sizes]
    padded = [nn.functional.pad(d, (0, probes - d.shape[1])) for d in drawn]
    return nn.ParameterList([nn.Parameter(p, requires_grad=False) for p in padded])
