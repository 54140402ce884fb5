"""What differential privacy promises of a fine-tuned adapter, as fields; the words are made of them."""

from dataclasses import asdict, dataclass
from typing import Any

from loraleak.finetuning import is_secret

__all__ = ["NO_PROMISE", "Guarantee", "why_none"]


@dataclass(frozen=True)
class Guarantee:
    """A mechanism, what is known of its noise, and the epsilon that follows, or why none is stated."""

    mechanism: str | None = None
    """What adds noise; None where nothing does."""
    unit: str | None = "image"
    """What an epsilon protects: one private image. All of a person's images are a group of them."""
    neighbouring: str | None = "add or remove"
    """Neighbours differ by one unit that is there or not."""
    noise_multiplier: float | None = None
    """The noise's standard deviation, divided by the most that one image can change."""
    sampling_rate: float | None = None
    """The share of private images that a step looks at, on average."""
    steps: int | None = None
    """How often private images are looked at."""
    accountant: str | None = None
    """What computes epsilon; None where none is stated."""
    epsilon_image: float | None = None
    """Of one private image; None where no epsilon can be stated."""
    epsilon_person: float | None = None
    """Of all private images together, by group privacy; None where no epsilon can be stated."""
    delta: float | None = None
    """Of both; None where no epsilon can be stated."""
    why_none: str | None = None
    """Why no epsilon is stated; None where one is."""

    @property
    def stated(self) -> bool:
        """Whether there is an epsilon."""
        return self.epsilon_image is not None

    @property
    def says(self) -> str:
        """Plain words."""
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
    """Why noise of this seed promises nothing; None where it promises something."""
    if not noise_multiplier:
        return "no noise is added"
    if not is_secret(seed):
        return "the seed is not secret, and whoever knows it can draw the same noise and take it off"
    return None
