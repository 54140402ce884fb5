"""Benches: the line from people to scores over many victims."""
