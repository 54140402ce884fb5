"""A finished zoo with a post-hoc defence on every snapshot, for training an attacker who knows the defence."""

import json

import numpy as np

from loraleak.bases import DiffusersBase
from loraleak.defences import PostHoc, spelled
from loraleak.errors import UsageError
from loraleak.files import json_bytes
from loraleak.progress import track
from loraleak.zoo.places import Place, forget_partials, open_place, put
from loraleak.zoo.store import Zoo, read_rows, write_manifest, write_shard

__all__ = ["defend_zoo"]


def defend_zoo(zoo: Zoo, defence: PostHoc, folder: str | Place, base: DiffusersBase | None) -> Zoo:
    """Write a defended copy of `zoo` to `folder`, shard by shard. A stopped run goes on.

    Raises: UsageError, if `folder` holds another zoo, `zoo` is defended already, or the defence needs a base and there is none.
    """
    place = open_place(folder)
    facts = json.loads((zoo.folder / "zoo.json").read_text("utf-8"))
    if facts.get("defence"):
        raise UsageError(f"{zoo.folder} is defended with {facts['defence']} already: give an undefended zoo, and a chain (A+B)")
    facts = {**facts, "defence": spelled(defence)}
    file = place / "zoo.json"
    if file.exists() and json.loads(file.read_text("utf-8")) != facts:
        raise UsageError(f"{place} holds another zoo: give another folder")
    forget_partials(place)
    put(file, json_bytes(facts))
    put(place / "class-images.npy", (zoo.folder / "class-images.npy").read_bytes())
    columns = [
        name for name in zoo.manifest.column_names if name in ("person", "step", "seed", "images", "recipe", "base_sha256")
    ]
    rows = zoo.manifest.select(columns).to_pylist()
    shards = np.array(zoo.manifest["shard"].to_pylist())
    tables = []
    for shard in track(list(np.unique(shards)), "defending the zoo", len(np.unique(shards))):
        if (table := read_rows(place, str(shard))) is None:
            here = np.flatnonzero(shards == shard)
            write_shard(place, str(shard), [(rows[i], defence.apply(zoo.adapter(int(i)), base)) for i in here], zoo.shapes)
            table = read_rows(place, str(shard))
        tables.append(table)
    write_manifest(place, tables)
    return Zoo(place)
