"""Largest p-values of the verdict's levels."""

__all__ = ["HIGH", "REVIEW"]

HIGH = 0.01
"""Largest p of the level `high`."""

REVIEW = 0.05
"""Largest p of the level `review`. A positive control and a known leak must reach it too."""
