"""The guarantee of differential privacy for a fine-tuned adapter, as fields. Its words are made of them."""

from dataclasses import asdict, dataclass
from typing import Any

from loraleak.finetuning import is_secret

__all__ = ["NO_PROMISE", "Guarantee", "why_none"]


@dataclass(frozen=True)
class Guarantee:
    """A mechanism, the facts of its noise, and the epsilon that follows or the reason why none is stated."""

    mechanism: str | None = None
    """Mechanism that adds noise; None where nothing does."""
    unit: str | None = "image"
    """Unit that an epsilon protects: one private image. All of a person's images are a group of units."""
    neighbouring: str | None = "add or remove"
    """Relation of neighbours, which differ by one unit that is there or not."""
    noise_multiplier: float | None = None
    """Standard deviation of the noise, divided by the most that one image can change."""
    sampling_rate: float | None = None
    """Share of private images that a step looks at, on average."""
    steps: int | None = None
    """Number of times that private images are looked at."""
    accountant: str | None = None
    """Accountant that computes epsilon; None where none is stated."""
    epsilon_image: float | None = None
    """Epsilon of one private image; None where none can be stated."""
    epsilon_person: float | None = None
    """Epsilon of all private images together, by group privacy; None where none can be stated."""
    delta: float | None = None
    """Delta of both epsilons; None where none can be stated."""
    why_none: str | None = None
    """Reason why no epsilon is stated; None where one is."""

    @property
    def stated(self) -> bool:
        """Whether there is an epsilon."""
        return self.epsilon_image is not None

    @property
    def says(self) -> str:
        """The guarantee in plain words."""
        if self.epsilon_image is None:
            return f"{'noise, ' if self.noise_multiplier else ''}no guarantee: {self.why_none}"
        return (
            f"differential privacy at delta {self.delta:g}, against whoever sees every step but not the seed: epsilon "
            f"{self.epsilon_image:.3g} for one private image, {self.epsilon_person:.3g} for the person, who is all of them"
        )

    def as_json(self) -> dict[str, Any]:
        """All fields, and the words."""
        return {**asdict(self), "says": self.says}


NO_PROMISE = Guarantee(unit=None, neighbouring=None, why_none="it makes known attacks harder, and promises nothing of others")


def why_none(noise_multiplier: float, seed: int) -> str | None:
    """Reason why noise of this seed promises nothing; None where it promises something."""
    if not noise_multiplier:
        return "no noise is added"
    if not is_secret(seed):
        return "the seed is not secret, and whoever knows it can draw the same noise and take it off"
    return None
