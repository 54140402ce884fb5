"""What a file's own header gives away, in words that its owner understands."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, get_args

from loraleak.adapters.public import LOCAL_PATH, is_public
from loraleak.findings import Finding, Group, Severity
from loraleak.untrusted import printable

__all__ = ["header_findings", "tensor_findings", "trigger_words"]

_MAX_LENGTH = 400
_MAX_FINDINGS = 200
_MAX_FOLDERS = 6
_MAX_TAGS = 10
_SENTENCE = 40
_EMPTY = {"", "none", "null", "{}", "[]", '""'}
_TRIGGER = re.compile(r"(<(?P<token>.+)>|bundle_emb\.(?P<name>.+?)\.(string_to_(param|token)\..*|clip_.+|\w+))", re.DOTALL)
"""cloneofsimo's and bundled embeddings: their tensors are called after the trigger word."""
_PATHS_ONLY = {"adapter_config.json", "lora_adapter_metadata"}

_Says = Callable[[str], str]


def header_findings(metadata: Mapping[str, str]) -> tuple[Finding, ...]:
    """One finding for each field that gives something away, the worst first; text is cut, and its control characters escaped."""
    found = [finding for field, value in metadata.items() if (finding := _safely(field, value))]
    order = get_args(Severity)
    found.sort(key=lambda finding: (order.index(finding.severity), finding.field))
    if len(found) > _MAX_FINDINGS:
        rest = len(found) - _MAX_FINDINGS
        return (*found[:_MAX_FINDINGS], Finding("…", "medium", f"And {rest} more fields that are not listed here.", "other"))
    return tuple(found)


def tensor_findings(names: Iterable[str]) -> tuple[Finding, ...]:
    """One finding for each trigger word that stands in the names of tensors themselves."""
    triggers = trigger_words(names)
    return tuple(
        Finding(
            printable(trigger),
            "high",
            _sentence(f"Carries the embedding of a trigger word, {_quote(trigger, 80)}, by its name"),
            "people",
        )
        for trigger in triggers[:_MAX_FINDINGS]
    )


def trigger_words(names: Iterable[str]) -> list[str]:
    """Trigger words that stand in the names of tensors, as they stand there; hostile until escaped."""
    matches = (match for name in names if (match := _TRIGGER.fullmatch(name)))
    return sorted({f"<{match['token']}>" if match["token"] else match["name"] for match in matches})


def _safely(field: str, value: str) -> Finding | None:
    try:
        return _finding(field, value)
    except (RecursionError, OverflowError, ValueError):
        # JSON may hold numbers and depths that Python reads but neither converts nor prints
        says = _sentence(f"Is malformed: {_quote(value)}")
        if field in _FIELDS:
            severity, group, _ = _FIELDS[field]
            return Finding(field, severity, says, group)
        return Finding(printable(field), "high", says)


def _finding(field: str, value: str) -> Finding | None:
    if is_public(field, value) or value.strip().lower() in _EMPTY:
        return None
    if field in _PATHS_ONLY:
        return _local_paths(field, value)
    if field in _FIELDS:
        severity, group, says = _FIELDS[field]
        return Finding(field, severity, _sentence(says(value)), group)
    name = printable(field)
    if value == "<embed>":
        return Finding(name, "high", _sentence(f"Names a trigger word: {_quote(field, 80)}"), "people")
    paths = [text for text in _texts(_parsed(value)) or [value] if LOCAL_PATH.match(text)]
    if paths:
        return Finding(
            name, "medium", _sentence(f"Names local paths: {_listed([_quote(p, 120) for p in paths], _MAX_FOLDERS)}"), "paths"
        )
    subject, group = _subject(field)
    return Finding(name, "medium", _sentence(f"{subject}: {_quote(value)}"), group)


def _subject(field: str) -> tuple[str, Group]:
    if "seed" in field.split("_"):
        return "Tells a seed", "seeds"
    if field.startswith("ss_"):
        return "Tells a setting of the training", "software"
    if field.startswith(("modelspec.", "ot_")):
        return "Tells what made the file, and how", "software"
    return "Holds a field that we do not know", "other"


def _sentence(text: str) -> str:
    return printable(text, _MAX_LENGTH * 2) + "."


def _quote(text: object, limit: int = _MAX_LENGTH) -> str:
    return f"“{printable(str(text), limit)}”"


def _parsed(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _listed(parts: list[str], most: int) -> str:
    more = f" and {len(parts) - most} more" if len(parts) > most else ""
    return ", ".join(parts[:most]) + more


def _folders(subject: str) -> _Says:
    def says(value: str) -> str:
        table = _parsed(value)
        if not isinstance(table, dict):
            return f"{subject}: {_quote(value)}"
        parts = [f"{_quote(name, 80)}{_counts(facts)}" for name, facts in table.items()]
        return f"{subject}: {_listed(parts, _MAX_FOLDERS)}"

    return says


def _counts(facts: Any) -> str:
    if not isinstance(facts, dict):
        return ""
    images, repeats = facts.get("img_count"), facts.get("n_repeats", facts.get("num_repeats"))
    parts = [f"{count} {word}" for count, word in ((images, "images"), (repeats, "repeats")) if isinstance(count, int)]
    return f" ({', '.join(parts)})" if parts else ""


def _captions(value: str) -> str:
    table = _parsed(value)
    if not isinstance(table, dict) or not all(isinstance(tags, dict) for tags in table.values()):
        return f"Quotes the training captions: {_quote(value)}"
    parts = [f"in {_quote(folder, 60)}: {_tags(tags)}" for folder, tags in table.items()]
    return f"Quotes the training captions, {_listed(parts, 3)}"


def _tags(tags: Mapping[str, Any]) -> str:
    """Whole sentences first, as they say most, then what stands in most captions."""

    def weight(item: tuple[str, Any]) -> tuple[bool, float]:
        text, count = item
        return len(text.strip()) > _SENTENCE, float(count) if isinstance(count, int | float) else 0.0

    ordered = sorted(tags.items(), key=weight, reverse=True)
    return _listed([f"{_quote(text.strip(), 100)} ({printable(str(count), 12)})" for text, count in ordered], _MAX_TAGS)


def _datasets(value: str) -> str:
    sets = _parsed(value)
    subsets = [
        subset
        for entry in (sets if isinstance(sets, list) else [])
        if isinstance(entry, dict) and isinstance(entry.get("subsets"), list)
        for subset in entry["subsets"]
        if isinstance(subset, dict)
    ]
    if not subsets:
        return f"Describes the training folders: {_quote(value)}"
    parts = []
    for subset in subsets:
        words = [f"{word} {_quote(subset[key], 60)}" for key, word in _SUBSET_WORDS.items() if subset.get(key)]
        parts.append(
            f"{_quote(subset.get('image_dir') or '?', 100)}{_counts(subset)}{' with ' if words else ''}{', '.join(words)}"
        )
    return f"Describes the training folders: {_listed(parts, _MAX_FOLDERS)}"


_SUBSET_WORDS = {"class_tokens": "class tokens", "caption_prefix": "caption prefix", "caption_suffix": "caption suffix"}


def _buckets(value: str) -> str:
    table = _parsed(value)
    buckets = table.get("buckets") if isinstance(table, dict) else None
    entries = buckets.values() if isinstance(buckets, dict) else ()
    counts = [b["count"] for b in entries if isinstance(b, dict) and type(b.get("count")) is int]
    if not counts:
        return f"Counts the training images by shape: {_quote(value)}"
    return f"Counts the training images by shape, repeats included: {sum(counts)} in {len(counts)} shapes"


def _thumbnail(value: str) -> str:
    body = value.rpartition(",")[2]
    try:
        data = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return f"Should hold a picture, but is no base64: {_quote(value, 80)}"
    starts = {b"\x89PNG": "PNG ", b"\xff\xd8\xff": "JPEG ", b"RIFF": "WebP ", b"GIF8": "GIF "}
    kind = next((name for start, name in starts.items() if data.startswith(start)), "")
    return f"Holds a {kind}picture of {len(data):,} bytes, often one of the training images or close to one: look at it"


def _plain(subject: str) -> _Says:
    return lambda value: f"{subject}: {_quote(value)}"


def _time(subject: str) -> _Says:
    def says(value: str) -> str:
        try:
            return f"{subject}: {datetime.fromtimestamp(float(value), UTC):%Y-%m-%d %H:%M:%S} UTC"
        except (ValueError, OverflowError, OSError):
            return f"{subject}: {_quote(value, 80)}"

    return says


def _local_paths(field: str, value: str) -> Finding | None:
    paths = [text for text in _texts(_parsed(value)) if LOCAL_PATH.match(text)]
    if not paths:
        return None
    says = f"Names local paths: {_listed([_quote(p, 120) for p in paths], _MAX_FOLDERS)}"
    return Finding(field, "medium", _sentence(says), "paths")


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else []


_FIELDS: Mapping[str, tuple[Severity, Group, _Says]] = {
    "ss_tag_frequency": ("critical", "captions", _captions),
    "ss_datasets": ("critical", "people", _datasets),
    "ss_dataset_dirs": ("critical", "people", _folders("Names the training folders")),
    "ss_reg_dataset_dirs": ("critical", "people", _folders("Names the folders of the class images")),
    "modelspec.thumbnail": ("critical", "people", _thumbnail),
    "ss_output_name": ("high", "people", _plain("Says what its maker called the file")),
    "ss_training_comment": ("high", "people", _plain("Says, in its maker's words")),
    "modelspec.title": ("high", "people", _plain("Says its title")),
    "modelspec.author": ("high", "people", _plain("Names its author")),
    "modelspec.description": ("high", "people", _plain("Says, in its maker's words")),
    "modelspec.tags": ("high", "captions", _plain("Says its tags")),
    "modelspec.trigger_phrase": ("high", "people", _plain("Says the trigger that calls up what was trained")),
    "ss_num_train_images": ("high", "counts", _plain("Counts the training images, repeats included")),
    "ss_num_batches_per_epoch": ("high", "counts", _plain("Tells the size of the training set by its batches an epoch")),
    "ss_steps": ("high", "counts", _plain("Tells the size of the training set by its steps")),
    "ss_epoch": ("high", "counts", _plain("Tells how many times the training set was gone through")),
    "ss_bucket_info": ("high", "counts", _buckets),
    "ss_training_started_at": ("medium", "times", _time("Says when training started")),
    "ss_training_finished_at": ("medium", "times", _time("Says when training ended")),
    "modelspec.date": ("medium", "times", _plain("Says when it was made")),
    "ss_session_id": ("medium", "links", _plain("Links the file to others of the same training run")),
    "sshs_model_hash": ("medium", "links", _plain("Links the file to copies of it elsewhere")),
    "sshs_legacy_hash": ("medium", "links", _plain("Links the file to copies of it elsewhere")),
    "ss_sd_model_name": ("medium", "paths", _plain("Names the base model's file, maybe with its folder")),
    "ss_vae_name": ("medium", "paths", _plain("Names the autoencoder's file, maybe with its folder")),
    "ss_seed": ("medium", "seeds", _plain("Tells the seed, from which the start of training may be rebuilt")),
    "ss_network_args": ("medium", "software", _plain("Tells the training recipe")),
    "ss_optimizer": ("medium", "software", _plain("Tells the training recipe")),
    "ss_sd_scripts_commit_hash": ("medium", "software", _plain("Tells the version of the training scripts")),
    "ss_num_reg_images": ("high", "counts", _plain("Counts the class images, repeats included")),
    "ss_max_train_steps": ("high", "counts", _plain("Tells the size of the training set by its steps")),
    "ss_num_epochs": ("high", "counts", _plain("Tells how many times the training set was gone through")),
    "ss_total_batch_size": ("high", "counts", _plain("Tells the size of the training set by its batches")),
    "ss_sd_model_hash": ("medium", "links", _plain("Tells the base model by its hash")),
    "ss_new_sd_model_hash": ("medium", "links", _plain("Tells the base model by its hash")),
    "training_info": ("high", "counts", _plain("Tells the size of the training set by its steps")),
    "name": ("high", "people", _plain("Says what its maker called it")),
    "software": ("medium", "software", _plain("Tells what made the file")),
    "ot_config": ("critical", "people", _plain("Holds the whole configuration of the training, with its folders and prompts")),
}
