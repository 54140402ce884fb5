"""What a file itself tells, without a base and without photos. In: a path. Out: an `Inspection`, as text, JSON or SARIF.

Weights are read one module at a time, so that memory is bounded by the largest module and not by the file.
"""

from loraleak.inspection.inspect import Gate, Inspection, at_or_above, inspect_adapter

__all__ = ["Gate", "Inspection", "at_or_above", "inspect_adapter"]
