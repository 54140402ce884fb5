"""Pocket's tokenizer, CLIP's with merges from every word that a caption can hold."""

import json
from collections.abc import Iterator

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from loraleak.people.styles import BACKGROUNDS, CLOTHES_COLOURS, COLOURS, SKINS, STYLES

__all__ = ["MAX_TOKENS", "build_tokenizer"]

MAX_TOKENS = 32

_START, _END = "<|startoftext|>", "<|endoftext|>"
_FRAME = "a photo of a person with skin background , the and picture portrait"


def build_tokenizer() -> CLIPTokenizer:
    """Build the tokenizer. Every caption word is one token; any other word, such as a trigger, splits into pieces."""
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=100_000,
        min_frequency=1,
        special_tokens=[_START, _END, *alphabet, *(f"{byte}</w>" for byte in alphabet)],
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(sorted(set(_words())), trainer)
    learned = json.loads(tokenizer.to_str())["model"]
    return CLIPTokenizer(
        vocab=learned["vocab"],
        merges=[tuple(pair) for pair in learned["merges"]],
        unk_token=_END,
        bos_token=_START,
        eos_token=_END,
        pad_token=_END,
        model_max_length=MAX_TOKENS,
    )


def _words() -> Iterator[str]:
    yield from _FRAME.split()
    for table in (COLOURS, SKINS, CLOTHES_COLOURS, BACKGROUNDS):
        yield from table
    for style in STYLES.values():
        yield style.word
        for phrases in (style.hair, style.facial_hair, style.glasses, style.expressions, style.clothes):
            for phrase in phrases.values():
                yield from phrase.split()
