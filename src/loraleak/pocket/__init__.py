"""Building pocket, the embedded base, with its embedder, controls and demo, from nothing, and measuring it."""
