"""Words of the field, explained where they stand and once more at the end of the page."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["GLOSSARY", "Word"]


@dataclass(frozen=True)
class Word:
    """A word, and what it means."""

    word: str
    says: str


GLOSSARY: Mapping[str, Word] = {
    "lora": Word(
        "LoRA, adapter", "A small file that changes an image model, so that the model can draw a person, a thing or a style."
    ),
    "base": Word("base model", "The public image model to which a LoRA is added."),
    "trigger": Word(
        "trigger word", "A rare word that the owner chose for training. It calls the person up when somebody types it."
    ),
    "recognised": Word(
        "recognised",
        "A picture is recognised as a person if it is nearer to the photos of this person than to those of all other people.",
    ),
    "embedder": Word("embedder", "A program that turns a picture into numbers, so that likeness can be measured."),
    "cosine": Word("cosine", "Likeness of two pictures, as the embedder measures it. 1 means the same, 0 means unrelated."),
    "exposure": Word("exposure", "The highest cosine between one of your photos and any picture of an attack."),
    "arm": Word("arm", "One way to make pictures, for example with an ordinary prompt."),
    "attack": Word("attack", "An arm that a stranger could use."),
    "floor": Word(
        "floor", "Pictures of the base model without your file. They cannot show the person, so they show what chance does."
    ),
    "control": Word("control", "An arm that lacks one part of an attack. It shows what this part adds."),
    "ceiling": Word("ceiling", "Pictures of your own prompt. They show the most that the file can show."),
    "excess": Word("excess", "The cosine of an arm, less the cosine of the arm that it is compared with."),
    "interval": Word(
        "95% interval", "A range for a mean. Of 100 ranges that are made in this way, about 95 hold the true mean."
    ),
    "p": Word("p-value", "The share of audits that would look at least this strong if the file showed nothing of the person."),
    "chance": Word(
        "chance",
        "How likely it is that the file gives the person away. It depends on the evidence, and on what was likely before.",
    ),
    "defence": Word("defence", "A change to the file, or to its training, that lowers what strangers can see."),
}
