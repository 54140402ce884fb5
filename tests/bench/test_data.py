"""The bundle of docs/data.md, without the victims that take training."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

_ROOT = Path(__file__).parents[2]


def test_the_bundle_has_rows_kit_and_adapters_with_their_sums(tmp_path: Path) -> None:
    out = tmp_path / "data"
    command = [sys.executable, str(_ROOT / "benchmarks" / "data.py"), str(out), "--victims", "0"]
    subprocess.run(command, check=True, capture_output=True)
    sums = dict(reversed(line.split("  ")) for line in (out / "SHA256SUMS").read_text("utf-8").splitlines())
    assert {
        "README.md",
        "paper.parquet",
        "kit.safetensors",
        "demo/adapter.safetensors",
        "known-leaks/person-1/photo-1.png",
    } <= set(sums)
    assert all(hashlib.sha256((out / name).read_bytes()).hexdigest() == wanted for name, wanted in sums.items())
    columns = pq.read_schema(out / "paper.parquet").names
    assert columns == pq.read_schema(out / "paper-control.parquet").names
    card = (out / "README.md").read_text("utf-8")
    assert all(f"`{column}`" in card for column in columns)
