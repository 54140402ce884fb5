"""The zoo. In: identity folders. Out: a store of many people's adapters, with snapshots along their fine-tuning.

Reading order: `ranges` and `recipes` (what varies from person to person), `plan` (adapters and shards), `places` and `store`
(files), `build` (missing shards), `workers` and `cluster` (processes that build), `capacity` (adapters in a batch), `forecast`
(time and memory), `defend` (a defended copy). Names load on first use. All but `RecipeRanges` need the extra `zoo`.
"""

from typing import TYPE_CHECKING

from loraleak.lazy import lazy

if TYPE_CHECKING:
    from loraleak.zoo.build import ShardBuilder as ShardBuilder
    from loraleak.zoo.build import build_zoo as build_zoo
    from loraleak.zoo.build import recorded_together as recorded_together
    from loraleak.zoo.capacity import adapters_together as adapters_together
    from loraleak.zoo.cluster import ray_tasks as ray_tasks
    from loraleak.zoo.cluster import ray_together as ray_together
    from loraleak.zoo.defend import defend_zoo as defend_zoo
    from loraleak.zoo.forecast import forecast_zoo as forecast_zoo
    from loraleak.zoo.plan import ZooPlan as ZooPlan
    from loraleak.zoo.plan import plan_zoo as plan_zoo
    from loraleak.zoo.ranges import RecipeRanges as RecipeRanges
    from loraleak.zoo.store import Zoo as Zoo
    from loraleak.zoo.workers import Site as Site
    from loraleak.zoo.workers import local_workers as local_workers

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "build": ["ShardBuilder", "build_zoo", "recorded_together"],
        "capacity": ["adapters_together"],
        "cluster": ["ray_tasks", "ray_together"],
        "defend": ["defend_zoo"],
        "forecast": ["forecast_zoo"],
        "plan": ["ZooPlan", "plan_zoo"],
        "ranges": ["RecipeRanges"],
        "store": ["Zoo"],
        "workers": ["Site", "local_workers"],
    },
)
