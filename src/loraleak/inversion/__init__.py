"""Weight autoencoders: read who is in an adapter. In: a zoo of public people's adapters. Out: an attack that turns an adapter into z.

`z` is a condition `[tokens, dim]`, in the place of a prompt's states; the victim's own model decodes it. Reading order: `weights`
(adapters side by side), `posterior` and `steps` (what encoders share), `invariant` and `published` (two encoders),
`weight_autoencoder` (one of them with what is known of z), `stored` (its file), `public` (people to learn from), `objective` (what
is learned), `learning` (how), `replay`, `online` and `algorithm2` (from which examples), `universal` (one z for everybody), `train`.
Names load on first use.
"""

from typing import TYPE_CHECKING

from loraleak.lazy import lazy

if TYPE_CHECKING:
    from loraleak.inversion.invariant import InvariantEncoder as InvariantEncoder
    from loraleak.inversion.invariant import InvariantShape as InvariantShape
    from loraleak.inversion.invariant import ProbeStatistics as ProbeStatistics
    from loraleak.inversion.public import PublicPeople as PublicPeople
    from loraleak.inversion.public import read_public_people as read_public_people
    from loraleak.inversion.stored import StoredAttack as StoredAttack
    from loraleak.inversion.stored import load_attack as load_attack
    from loraleak.inversion.stored import read_attack as read_attack
    from loraleak.inversion.train import train_attack as train_attack
    from loraleak.inversion.train_settings import Algorithm2 as Algorithm2
    from loraleak.inversion.train_settings import Knowledge as Knowledge
    from loraleak.inversion.train_settings import TrainingMode as TrainingMode
    from loraleak.inversion.train_settings import TrainSettings as TrainSettings
    from loraleak.inversion.weight_autoencoder import WeightAutoencoder as WeightAutoencoder
    from loraleak.inversion.weights import since_start as since_start
    from loraleak.inversion.weights import stack_adapters as stack_adapters

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "invariant": ["InvariantEncoder", "InvariantShape", "ProbeStatistics"],
        "public": ["PublicPeople", "read_public_people"],
        "stored": ["StoredAttack", "load_attack", "read_attack"],
        "train": ["train_attack"],
        "train_settings": ["Algorithm2", "Knowledge", "TrainSettings", "TrainingMode"],
        "weight_autoencoder": ["WeightAutoencoder"],
        "weights": ["since_start", "stack_adapters"],
    },
)
