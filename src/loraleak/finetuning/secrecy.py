"""Seeds that nobody can guess. Noise hides private images only from people who cannot draw it again."""

from secrets import randbits

__all__ = ["is_secret", "secret_seed"]

_MIN_SECRET = 1 << 112
"""The least security strength of NIST SP 800-57. Seeds that people type are shorter. Zoos' have 62 bits of a public seed."""


def secret_seed() -> int:
    """A seed of 128 bits, 127 of them from the system's source of secrets. Use it for one fine-tuning, and forget it."""
    return 1 << 127 | randbits(127)


def is_secret(seed: int) -> bool:
    """Whether the seed is long enough that nobody can guess it. The number itself does not tell how it was drawn."""
    return seed >= _MIN_SECRET
