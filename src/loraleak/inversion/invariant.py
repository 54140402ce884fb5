"""Our encoder. It reads `dW` through probes, so that `B -> B M^-1, A -> M A` changes nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from loraleak.inversion.encoder import Encoder
from loraleak.inversion.posterior import Posterior
from loraleak.inversion.ridge import RidgeMap
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
    second_order: bool = False
    """Read `U^T dW dW^T U` too, normalised alike. To first order `dW = sum(G) A_0^T A_0`, and each start has another A_0: between two
    files it blurs the product of the second order less than that of the first."""
    ridge: bool = False
    """Add to the mean what ridge regression from the same features says; the perceptron learns what is left. It needs captions."""
    right_power: float = 0.0
    """Power of their share of the zoo's updates by which the probes V are scaled. 0: all count alike; .5: strong ones count more."""


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
        features = shape.probes**2 * (1 + shape.second_order)
        self.by_module = nn.Parameter(torch.randn(modules, features, shape.module_width) / shape.probes)
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
        blocks = 1 + shape.second_order
        self.ridge = RidgeMap(modules, blocks, shape.probes**2, shape.code, condition) if shape.ridge else None

    def forward(self, weights: StackedFactors, steps: Int[Tensor, " batch"]) -> Posterior:
        probed, norms = self.features(weights)
        present = (norms > _TINY).to(probed)
        code = self._read(probed, norms, present, steps)
        mean = self.centre + self.mean(code).unflatten(1, self.condition)
        if self.ridge is not None:
            mean = mean + self.ridge(probed, present)
        return Posterior(mean, self.log_variance(code).unflatten(1, self.condition))

    def _read(
        self,
        probed: Float[Tensor, "batch modules features"],
        norms: Float[Tensor, "batch modules"],
        present: Float[Tensor, "batch modules"],
        steps: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch code"]:
        """Code of what is known of the person."""
        if self.training and self.shape.missing:
            present = present * (torch.rand_like(norms) >= self.shape.missing)
        logs = (norms.clamp(min=_TINY).log() - self.norm_mean) / self.norm_spread * present
        inner = torch.einsum("bmf,mfw->bmw", probed, self.by_module) + self.by_module_bias
        inner = nn.functional.gelu(inner) * present[..., None]
        hidden = self.enter(torch.cat([inner.flatten(1), logs], dim=1))
        if self.steps is not None:
            hidden = hidden + self.steps(steps)
        return self.code(self.mix(hidden))

    def features(
        self, weights: StackedFactors
    ) -> tuple[Float[Tensor, "batch modules features"], Float[Tensor, "batch modules"]]:
        """Probed updates, each divided by its module's Frobenius norm, and the norms. No matrix `[d_out, d_in]` is formed."""
        probed, norms = [], []
        for left, right, name in zip(self.left, self.right, self.shapes, strict=True):
            down, up = weights.down[name].flatten(2), weights.up[name] * weights.scales.view(-1, 1, 1)
            norm = _norm(down, up)
            seen = torch.einsum("op,bor->bpr", left, up)
            products = [(seen @ (down @ right)).flatten(1) / norm[:, None].clamp(min=_TINY)]
            if self.shape.second_order:
                products.append(_second_order(seen, down, up).flatten(1))
            probed.append(torch.cat(products, dim=1))
            norms.append(norm)
        return torch.stack(probed, 1), torch.stack(norms, 1)

    @torch.no_grad()
    def set_probes(self, statistics: "ProbeStatistics") -> None:
        """Set the probes to the directions in which the zoo's updates are largest."""
        for k, name in enumerate(self.shapes):
            of_sides = (
                (self.left[k], statistics.left[name], 0.0),
                (self.right[k], statistics.right[name], self.shape.right_power),
            )
            for probes, covariance, power in of_sides:
                values, directions = torch.linalg.eigh(covariance)
                wanted = directions[:, -probes.shape[1] :].flip(1)
                probes.zero_()[:, : wanted.shape[1]] = wanted
                if power:
                    share = values.flip(0)[: wanted.shape[1]].clamp(min=0) / values[-1].clamp(min=_TINY)
                    probes[:, : wanted.shape[1]] *= share**power
        self.set_norms(statistics)

    @torch.no_grad()
    def set_ridge(
        self,
        parts: Iterable[StackedFactors],
        codes: Float[Tensor, "adapters tokens dim"],
        people: Int[Tensor, " adapters"],
    ) -> None:
        """Solve the ridge regression from these adapters to the codes of their people. `centre` has to be set."""
        if self.ridge is not None:
            probed, norms = map(torch.cat, zip(*map(self.features, parts), strict=True))
            self.ridge.solve(probed, (norms > _TINY).to(probed), codes - self.centre, people)

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


def _second_order(
    seen: Float[Tensor, "batch probes rank"], down: Float[Tensor, "batch rank d_in"], up: Float[Tensor, "batch d_out rank"]
) -> Float[Tensor, "batch probes probes"]:
    """`U^T dW dW^T U / |dW dW^T|` with `seen = U^T B`, from the thin factors."""
    inner = down @ down.transpose(1, 2)
    turned = up.transpose(1, 2) @ up @ inner
    size = (turned * turned.transpose(1, 2)).sum((1, 2)).clamp(min=0).sqrt()
    return seen @ inner @ seen.transpose(1, 2) / size.view(-1, 1, 1).clamp(min=_TINY**2)


def _probes(sizes: list[int], probes: int) -> nn.ParameterList:
    drawn = [torch.linalg.qr(torch.randn(size, min(size, probes)))[0] for size in sizes]
    padded = [nn.functional.pad(d, (0, probes - d.shape[1])) for d in drawn]
    return nn.ParameterList([nn.Parameter(p, requires_grad=False) for p in padded])
