"""The training of a weight autoencoder, wherever its examples come from: steps, checkpoints, logs, early stopping."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, PartialState
from jaxtyping import Float, Int
from torch import Tensor

from loraleak.bases import DiffusersBase
from loraleak.errors import UsageError
from loraleak.files import replacing, told_if_full, write_text
from loraleak.inversion.invariant import InvariantEncoder, ProbeStatistics
from loraleak.inversion.objective import caption_loss, decoding_loss
from loraleak.inversion.public import Examples, PublicPeople
from loraleak.inversion.train_settings import TrainSettings
from loraleak.inversion.universal import learn_universal_z
from loraleak.inversion.weight_autoencoder import Encoder, WeightAutoencoder, new_encoder
from loraleak.people import read_split, write_split
from loraleak.progress import progress_bar

__all__ = ["Decoded", "Source", "TrainingRun", "is_main_process"]

_OTHERS = 24
_STATISTICS = 512
_EVALUATED = 512
_REGRESSED = 4096


Source = Callable[[int], Examples]
"""Function from a step, counted from 0, to its examples. Training asks for each step once, in order, from where it goes on."""


@dataclass(frozen=True)
class Decoded:
    """What the decoders of a step had before them."""

    latents: Float[Tensor, "adapters images channels h w"]
    noise: Float[Tensor, "adapters images channels h w"]
    timesteps: Int[Tensor, "adapters images"]
    z: Float[Tensor, "adapters tokens dim"]


class TrainingRun:
    """One training run, which can be resumed after any evaluation.

    z is drawn towards the captions of the people. After the share `noise_from` of the steps it must also explain their pictures
    through their own adapters. The run ends early when held-out people are no longer read better.
    """

    def __init__(
        self,
        base: DiffusersBase,
        public: PublicPeople,
        settings: TrainSettings,
        folder: Path,
        warm_start: WeightAutoencoder | None = None,
        facts: Mapping[str, Any] | None = None,
        sizes: Mapping[str, Any] | None = None,
    ) -> None:
        """`warm_start` is a finished attack to go on from, with a fresh optimiser. `facts` are settings of the source of examples,
        `sizes` fields of the encoder's shape.

        Raises: UsageError, if there is nothing to learn from, the folder holds a training of other settings, or the attack to go on
        from is of another kind.
        """
        self.base, self.public, self.settings, self.folder = base, public, settings, folder
        self.warm_start, self.facts, self.sizes = warm_start, {**(facts or {}), **(sizes or {})}, sizes
        if settings.caption_weight and public.captions is None:
            raise UsageError(
                "some public people have no captions: put a .txt beside their images, or set the caption weight to 0"
            )
        self.shared_start = public.shared_start() if settings.knowledge == "shared-start" else None
        self.rows = [self._rows(zoo, held_out=False) for zoo in range(len(public.zoos))]
        self.held_out = [self._rows(zoo, held_out=True) for zoo in range(len(public.zoos))]
        if not sum(map(len, self.rows)) or not sum(map(len, self.held_out)):
            raise UsageError(
                "too few public people to train on some and hold out others: add people, or hold out a larger share"
            )
        self._agree()
        self.accelerator = Accelerator(
            cpu=base.device.type == "cpu",
            step_scheduler_with_optimizer=False,
            log_with="tensorboard",
            project_dir=str(folder),
        )
        torch.manual_seed(settings.seed)
        encoder = self._untrained() if warm_start is None else self._warm(warm_start)
        parameters = [p for p in encoder.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)
        rate = _rate(optimiser, settings)
        self.encoder, self.optimiser, self.rate = self.accelerator.prepare(encoder, optimiser, rate)
        self.spread = None if public.captions is None else public.captions.std(0)
        self.process = self.accelerator.process_index
        self.step, self.best, self.waited = 0, float("inf"), 0
        self.decoded: Decoded | None = None

    def run(self, source: Source) -> None:
        """Learn from the source until the steps are done or held-out people are no longer read better."""
        settings = self.settings
        self._resume()
        self.accelerator.init_trackers("logs")
        with progress_bar(hidden=not self.accelerator.is_main_process) as bar:
            task = bar.add_task("training", total=settings.steps, completed=self.step, figures="")
            while self.step < settings.steps and not (settings.early_stopping and self.waited >= settings.patience):
                self.encoder.train()
                figures = self._one_step(source(self.step))
                self.step += 1
                bar.update(task, advance=1, figures=" ".join(f"{k} {v:.3g}" for k, v in figures.items()))
                self._log("train", figures)
                if self._decoding(self.step) and not self._decoding(self.step - 1):
                    self.best, self.waited = float("inf"), 0  # the loss changes here, so the best one so far no longer compares
                if self.step % settings.evaluate_every == 0 or self.step == settings.steps:
                    held_out = self._evaluated()
                    self._log("held-out", held_out)
                    self._keep_best(held_out["loss"])
                    self._checkpoint()
        self.accelerator.end_training()

    def best_encoder(self) -> Encoder:
        """The encoder as it was when it read held-out people best, or as it was at last where no step ends the training early."""
        encoder: Encoder = self.accelerator.unwrap_model(self.encoder)
        encoder.load_state_dict(torch.load(self.folder / "best.pt", weights_only=True))
        return encoder.requires_grad_(False).eval()

    def finished(self) -> WeightAutoencoder:
        """The attack: the best encoder, with what is known of z over public people."""
        encoder = self.best_encoder()
        rng = np.random.default_rng([self.settings.seed, 2])
        trained = torch.cat([self._codes(encoder, e) for e in self._sampled(self.rows, rng, _EVALUATED)])
        others = torch.cat([self._codes(encoder, e) for e in self._sampled(self.held_out, rng, _OTHERS)])
        return WeightAutoencoder(
            kind=self.settings.encoder,
            knowledge=self.settings.knowledge,
            shared_start=self.shared_start,
            encoder=encoder,
            base_sha256=self.base.sha256,
            others=others,
            mean_z=trained.mean(0),
            universal_z=learn_universal_z(
                self.base,
                self.public,
                self.rows,
                trained.mean(0) if self.warm_start is None else self.warm_start.universal_z,
                seed=self.settings.seed,
            ),
        )

    def _untrained(self) -> Encoder:
        public, settings = self.public, self.settings
        encoder = new_encoder(
            settings.encoder, public.shapes, self.base, steps=settings.step_embedding, sizes=self.sizes, rank=public.rank
        )
        if isinstance(encoder, InvariantEncoder):
            encoder.set_probes(self._statistics())
            if public.captions is not None:
                encoder.centre.copy_(public.captions.mean(0))
                self._solve_ridge(encoder)
        return encoder

    def _solve_ridge(self, encoder: InvariantEncoder) -> None:
        if encoder.ridge is None:
            return
        parts = list(self._sampled(self.rows, np.random.default_rng([self.settings.seed, 6]), _REGRESSED))
        people = torch.cat([part.people for part in parts])
        assert self.public.captions is not None
        encoder.set_ridge([part.read for part in parts], self.public.captions[people], people)

    def _warm(self, attack: WeightAutoencoder) -> Encoder:
        """A copy of the attack's encoder that standardises norms by these zoos'."""
        settings = self.settings
        mine = (settings.encoder, settings.knowledge, settings.step_embedding, dict(self.public.shapes))
        theirs = (attack.kind, attack.knowledge, attack.encoder.steps is not None, dict(attack.encoder.shapes))
        if mine != theirs:
            raise UsageError(
                "the attack to go on from has another encoder, knowledge, step embedding or set of modules: "
                "give the settings that it was trained with, and a zoo of the same modules"
            )
        encoder = deepcopy(attack.encoder).requires_grad_(True)
        if isinstance(encoder, InvariantEncoder):
            encoder.left.requires_grad_(False)
            encoder.right.requires_grad_(False)
            encoder.set_norms(self._statistics())
        return encoder

    def _one_step(self, examples: Examples) -> dict[str, float]:
        settings = self.settings
        rng = np.random.default_rng([settings.seed, self.accelerator.process_index, self.step])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        loss, figures = self._loss(examples, rng, generator, decoding=self._decoding(self.step))
        self.optimiser.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        if settings.max_grad_norm is not None:
            self.accelerator.clip_grad_norm_(self.encoder.parameters(), settings.max_grad_norm)
        self.optimiser.step()
        self.rate.step()
        return figures

    def _loss(
        self, examples: Examples, rng: np.random.Generator, generator: torch.Generator, *, decoding: bool
    ) -> tuple[Float[Tensor, ""], dict[str, float]]:
        settings, device = self.settings, self.accelerator.device
        told = examples.steps * torch.from_numpy(rng.random(len(examples.steps)) < settings.told_steps)  # 0: not known
        posterior = self.encoder(examples.read.to(device), told.to(device))
        parts: dict[str, Tensor] = {}
        if settings.beta:
            parts["divergence"] = settings.beta * posterior.divergence().mean()
        if settings.caption_weight:
            captions, spread = self._targets(examples, device)
            said = posterior.sample(generator) if self.accelerator.unwrap_model(self.encoder).drawn else posterior.mean
            parts["caption"] = settings.caption_weight * caption_loss(said, captions, spread)
        if decoding:
            some = slice(0, settings.noise_adapters)
            z = posterior.sample(generator)[some]
            latents = self.public.images(examples.people[some], settings.noise_images, rng)
            timesteps = torch.from_numpy(rng.integers(self.base.noise_levels, size=latents.shape[:2]))
            noise = torch.from_numpy(rng.standard_normal(latents.shape, dtype=np.float32))
            strength = torch.from_numpy(rng.uniform(settings.least_strength, 1, len(z))).float()
            weights = examples.weights.first(settings.noise_adapters)
            parts["noise"] = settings.noise_weight * decoding_loss(
                self.base, weights, z, latents, timesteps, noise, strength=strength, weighting=settings.loss_weighting
            )
            self.decoded = Decoded(latents, noise, timesteps, z.detach())
        loss = torch.stack(list(parts.values())).sum()
        return loss, {name: float(value.detach()) for name, value in parts.items()}

    @torch.no_grad()
    def _evaluated(self) -> dict[str, float]:
        """Scores on held-out people: mean loss, and how often z is nearest to its own person's captions."""
        encoder: Encoder = self.accelerator.unwrap_model(self.encoder).eval()
        rng = np.random.default_rng([self.settings.seed, 1])  # the same adapters and noise each time
        generator = torch.Generator().manual_seed(self.settings.seed)
        decoding = self._decoding(self.step)
        rows, losses = [], []
        for examples in self._sampled(self.held_out, rng, _EVALUATED):
            loss, _ = self._loss(examples, rng, generator, decoding=decoding)
            rows.append(examples)
            losses.append(float(loss))
        figures = {"loss": float(np.mean(losses))}
        if self.public.captions is not None:
            z, who = torch.cat([self._codes(encoder, e) for e in rows]), torch.cat([e.people for e in rows])
            gallery = torch.tensor(sorted(self.public.held_out))
            nearest = gallery[torch.cdist(z.flatten(1), self.public.captions[gallery].flatten(1)).argmin(1)]
            figures["rank1"] = float((nearest == who).float().mean())
        return figures

    def _decoding(self, step: int) -> bool:
        """Whether the noise-prediction loss has set in. It is on from the start where captions have no weight."""
        settings = self.settings
        late = step >= settings.noise_from * settings.steps or not settings.caption_weight
        return settings.noise_weight > 0 and late

    def _targets(self, examples: Examples, device: torch.device) -> tuple[Tensor, Tensor]:
        assert self.public.captions is not None and self.spread is not None
        return self.public.captions[examples.people].to(device), self.spread.to(device)

    def _rows(self, zoo: int, *, held_out: bool) -> np.ndarray:
        return self.public.rows(zoo, held_out=held_out, last_only=not self.settings.step_embedding)

    def _sampled(self, rows: list[np.ndarray], rng: np.random.Generator, most: int) -> Iterator[Examples]:
        """Examples of about `most` different adapters, from all zoos in proportion."""
        total = sum(len(r) for r in rows)
        for zoo, mine in enumerate(rows):
            share = min(len(mine), -(-most * len(mine) // total))
            chosen = np.sort(rng.choice(mine, share, replace=False))
            for start in range(0, share, self.settings.batch):
                part = chosen[start : start + self.settings.batch]
                yield self.public.examples(zoo, part, self.settings.knowledge)

    def _statistics(self) -> ProbeStatistics:
        statistics = ProbeStatistics(self.public.shapes)
        for examples in self._sampled(self.rows, np.random.default_rng([self.settings.seed, 3]), _STATISTICS):
            statistics.add(examples.read)
        return statistics

    @torch.no_grad()
    def _codes(self, encoder: Encoder, examples: Examples) -> Float[Tensor, "adapters tokens dim"]:
        device, settings = self.accelerator.device, self.settings
        told = examples.steps * (settings.told_steps == 1)  # an encoder that was always told the step knows no other files
        return encoder.z(examples.read.to(device), told.to(device), seed=settings.seed).cpu()

    def _agree(self) -> None:
        """Write the settings and who is held out, or check that they are those of the training that was begun here."""
        file = self.folder / "settings.json"
        facts = {**asdict(self.settings), **self.facts, "zoos": [zoo.digest for zoo in self.public.zoos]}
        if self.warm_start is not None:
            facts["warm_start"] = self.warm_start.sha256
        mine = json.dumps(facts, indent=1)
        if file.exists() and file.read_text("utf-8") != mine:
            raise UsageError(f"{self.folder} holds a training of other settings or zoos: give another folder, or delete it")
        write_text(file, mine)
        split = self.public.split
        kept = self.folder / "split.json"
        if kept.exists() and read_split(kept) != split:
            raise UsageError(
                "this training has held out other people",
                path=kept,
                remedy="give the same people, or another folder for the training",
            )
        write_split(split, kept)

    def _log(self, of: str, figures: Mapping[str, float]) -> None:
        self.accelerator.log({f"{of}/{name}": value for name, value in figures.items()}, step=self.step)

    def _keep_best(self, loss: float) -> None:
        if loss < self.best or not self.settings.early_stopping:
            self.best, self.waited = loss, 0
            if self.accelerator.is_main_process:
                with replacing(self.folder / "best.pt") as partial:
                    torch.save(self.accelerator.unwrap_model(self.encoder).state_dict(), partial)
        else:
            self.waited += 1

    def _checkpoint(self) -> None:
        partial, done = self.folder / "checkpoint.partial", self.folder / "checkpoint"
        if self.accelerator.is_main_process:
            shutil.rmtree(partial, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        with told_if_full(self.folder):
            self.accelerator.save_state(str(partial))
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            write_text(partial / "progress.json", json.dumps({"step": self.step, "best": self.best, "waited": self.waited}))
            shutil.rmtree(done, ignore_errors=True)
            partial.replace(done)
        self.accelerator.wait_for_everyone()

    def _resume(self) -> None:
        done = self.folder / "checkpoint"
        if done.exists():
            self.accelerator.load_state(str(done))
            progress = json.loads((done / "progress.json").read_text("utf-8"))
            self.step, self.best, self.waited = progress["step"], progress["best"], progress["waited"]


def is_main_process() -> bool:
    """Whether this process is the one of a data-parallel training that writes and prints."""
    return PartialState().is_main_process


def _rate(optimiser: torch.optim.Optimizer, settings: TrainSettings) -> torch.optim.lr_scheduler.LRScheduler:
    warmup, scheduler = settings.warmup, torch.optim.lr_scheduler
    rising = scheduler.LinearLR(optimiser, start_factor=1 / max(1, warmup), total_iters=warmup)
    after: torch.optim.lr_scheduler.LRScheduler
    if settings.rate_schedule == "cosine":
        after = scheduler.CosineAnnealingLR(optimiser, max(1, settings.steps - warmup))
    else:
        after = scheduler.ConstantLR(optimiser, factor=1.0)
    return scheduler.SequentialLR(optimiser, [rising, after], [warmup])
