"""The page: drop a file and photos, see what the file tells, audit it, read the report, take a clean copy."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# What computes is imported where it is needed, so that the page is there at once.
import gradio as gr

from loraleak.assets import DEMO
from loraleak.auditing import AuditSettings
from loraleak.base_settings import AUDIT_STEPS
from loraleak.errors import LoraleakError
from loraleak.kits import bases_with_kits
from loraleak.untrusted import printable
from loraleak.web import shown
from loraleak.web.inspected import Told, cleaned, fault, inspected, one_line
from loraleak.web.running import Cancelled, Done, Going, Job, Made, Running
from loraleak.web.visits import Visits

__all__ = ["CSS", "page_of", "theme"]

MAX_PHOTOS = 100
_MORE_IMAGES = (".heic", ".heif", ".hif", ".avif", ".jfif")
"""Suffixes of photos that some systems do not know as images."""
_REPORT_FILES = ("report.html", "report.json", "model-card.md")

_SHOW_REPORT = "() => document.querySelector('iframe.report')?.scrollIntoView({behavior: 'smooth'})"

CSS = """
.gradio-container { max-width: 1120px !important; margin: 0 auto !important; }
.report { width: 100%; height: 85vh; border: 1px solid var(--border-color-primary); border-radius: 12px; background: #fff; }
#going a, #cleaned a { margin: 0; padding: 0; }
.going label { display: block; margin-bottom: 6px; }
.going progress { width: 100%; height: 18px; appearance: none; border: 0; border-radius: 9px; overflow: hidden; background: #c9d2e3; }
.going progress::-webkit-progress-bar { background: #c9d2e3; }
.going progress::-webkit-progress-value { background: #2f52c8; }
.going progress::-moz-progress-bar { background: #2f52c8; }
#going { min-height: 64px; }
#going:not(:has(.going, .fault)) .wrap.minimal { height: 64px !important; overflow: visible !important; font-size: 16px; }
.dark { --color-accent: #9db4ff; --link-text-color: #9db4ff; }
.dark .download-link { color: #9db4ff !important; }
.fault { border-left: 5px solid #b3261e; padding: 8px 14px; }
#photos .file-preview-holder { max-height: 210px; overflow-y: auto; }
#photos button[aria-label="common.upload"] { display: none; }
.so-far { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(440px, 100%), 1fr)); gap: 0 24px; }
.so-far > p { grid-column: 1 / -1; }
.so-far figure { display: flex; flex-wrap: wrap; gap: 8px; margin: 0 0 14px; }
.so-far figcaption { flex-basis: 100%; }
.so-far img { width: 96px; height: 96px; object-fit: contain; border-radius: 8px; background: var(--border-color-primary); }
.two-files { overflow-x: auto; }
.two-files table { border-collapse: collapse; width: 100%; min-width: 640px; table-layout: fixed; }
.two-files th:first-child { width: 26%; }
.two-files :is(th, td) { text-align: left; vertical-align: top; padding: 6px 12px 6px 8px; overflow-wrap: anywhere; }
.two-files tr { border-top: 1px solid var(--border-color-primary); }
.two-files .differs th { border-left: 4px solid #2f52c8; }
.dark .two-files .differs th { border-left-color: #9db4ff; }
.inspected dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; }
.inspected li { margin: 4px 0; overflow-wrap: anywhere; }
"""

_INTRO = """# See what your LoRA gives away

Drop the LoRA file and the photos that it was trained on. {where}
"""
_HERE = "Both stay on this machine. They are deleted when you close this tab."
_ELSEWHERE = "Both go to the machine that serves this page. They are deleted when you close this tab."


def theme() -> gr.themes.Base:
    """Fonts of the visitor's own system, and colours that stand out from their ground."""
    plain = gr.themes.Default(
        primary_hue="blue", neutral_hue="slate", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    grey = "*neutral_600"
    return plain.set(
        color_accent="*primary_700",
        block_info_text_color=grey,
        body_text_color_subdued=grey,
        input_placeholder_color=grey,
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
    )


def page_of(visits: Visits, bases: tuple[str, ...], *, local: bool) -> gr.Blocks:
    """The page. `local` says that only this machine reaches it; then a visitor may name any base."""
    with gr.Blocks(title="loraleak", analytics_enabled=False, delete_cache=(3600, 24 * 3600)) as page:
        gr.Markdown(_INTRO.format(where=_HERE if local else _ELSEWHERE))
        with gr.Tab("Audit"):
            _audit_tab(visits, bases, local=local)
        with gr.Tab("Compare"):
            _compare_tab(visits)

        def leave(request: gr.Request) -> None:
            visits.leave(_key(request))

        page.unload(leave)
    return page


def _audit_tab(visits: Visits, bases: tuple[str, ...], *, local: bool) -> None:
    with gr.Row():
        with gr.Column():
            file = gr.File(label="LoRA file", file_types=[".safetensors"], height=110, elem_id="lora")
            photos = gr.File(
                label="Photos that it was trained on",
                file_count="multiple",
                file_types=["image", *_MORE_IMAGES],
                elem_id="photos",
            )
            base = gr.Dropdown(
                _choices(bases, local=local),
                value=bases[0],
                label="Base model",
                info="`pocket`, a diffusers folder, a hub id, or a checkpoint file." if local else None,
                allow_custom_value=local,
                elem_id="base",
            )
            prompt = gr.Textbox(label="Your own prompt with the trigger word (optional)", elem_id="prompt")
            with gr.Accordion("More settings", open=False):
                images = gr.Slider(2, 32, value=8, step=1, label="Pictures of each arm", elem_id="images")
                steps = gr.Slider(2, 100, value=AUDIT_STEPS, step=1, label="Sampler steps", elem_id="steps")
                defences = gr.Checkbox(label="Measure what defences do to this file, which takes longer", elem_id="defences")
            with gr.Row():
                start = gr.Button("Start the audit", variant="primary", elem_id="start")
                stop = gr.Button("Cancel", elem_id="stop")
            going = gr.HTML(elem_id="going")
            example = gr.Button("Take the example", elem_id="example")
        with gr.Column():
            gr.Markdown("## What the file itself tells")
            told = gr.HTML(elem_id="told")
            scrub = gr.Button("Make a clean copy", elem_id="scrub")
            copied = gr.HTML(elem_id="cleaned")
    so_far = gr.HTML(elem_id="so-far")
    report = gr.HTML(elem_id="report")

    def inspect(adapter: str | None, request: gr.Request) -> str:
        visits.of(_key(request), [adapter])
        if adapter is None:
            return shown.NOTHING
        from loraleak.inspection import inspect_adapter

        try:
            it = inspect_adapter(adapter)
        except LoraleakError as error:
            return fault(one_line(error))
        return inspected(Told(it.format, it.families, it.ranks, len(it.modules), it.findings, it.remarks))

    def keep(uploads: list[str] | None, request: gr.Request) -> None:
        visits.of(_key(request), uploads or [])

    def make_clean(adapter: str | None, request: gr.Request) -> str:
        if adapter is None:
            return fault("Drop a LoRA file first.")
        from loraleak.adapters import scrub_header

        source = Path(adapter)
        out = visits.of(_key(request), [adapter]).room("clean") / f"{source.stem}-clean.safetensors"
        try:
            done = scrub_header(source, out)
        except LoraleakError as error:
            return fault(one_line(error))
        says = cleaned(len(done.removed), len(done.kept), done.remarks)
        return f'<p role="status">Download {shown.links([out])}. {says}</p>'

    def audit(
        adapter: str | None,
        uploads: list[str] | None,
        base: str,
        prompt: str,
        images: float,
        steps: float,
        defences: bool,
        request: gr.Request,
    ) -> Iterator[tuple[Any, Any, str]]:
        visit = visits.of(_key(request), [adapter, *(uploads or [])])
        try:
            settings = AuditSettings(
                base=base, prompt=prompt.strip() or None, images=int(images), steps=int(steps), defences=defences
            )
            job = _job(visit.room("photos"), visit.room("report"), adapter, uploads or [], settings)
            if not local and base not in bases:
                raise LoraleakError("this server does not offer that base")
        except LoraleakError as error:
            yield fault(one_line(error)), shown.NOTHING, shown.NOTHING
            return
        visit.running = Running(job)
        made: list[Made] = []
        for event in visit.running.events():
            if isinstance(event, Made):
                made.append(event)
                yield gr.skip(), shown.pictures(made), shown.NOTHING
            elif isinstance(event, Done):
                written = [job.out / name for name in _REPORT_FILES]
                report = shown.frame(written[0].read_text("utf-8"), "The report")
                yield shown.progress(event, written), shown.NOTHING, report
            else:
                yield shown.progress(event), gr.skip() if isinstance(event, Going) else shown.NOTHING, shown.NOTHING

    def cancel(request: gr.Request) -> tuple[str, str]:
        running = visits.of(_key(request)).running
        if running is not None:
            running.cancel()
        return shown.progress(Cancelled()), shown.NOTHING

    def take_example() -> tuple[str, list[str], str, str]:
        examples = sorted(map(str, (DEMO / "photos").iterdir()))
        return str(DEMO / "adapter.safetensors"), examples, "pocket", (DEMO / "prompt.txt").read_text("utf-8").strip()

    private: dict[str, Any] = {"api_visibility": "private"}
    file.change(inspect, file, told, **private)
    photos.change(keep, photos, None, show_progress="hidden", **private)
    scrub.click(make_clean, file, copied, **private)
    audited = start.click(
        audit,
        [file, photos, base, prompt, images, steps, defences],
        [going, so_far, report],
        concurrency_limit=1,
        concurrency_id="audit",
        trigger_mode="once",
        show_progress="minimal",
        show_progress_on=[going],
        **private,
    )
    audited.then(None, None, None, js=_SHOW_REPORT, **private)
    stop.click(cancel, None, [going, so_far], cancels=[audited], queue=False, show_progress="hidden", **private)
    example.click(take_example, None, [file, photos, base, prompt], **private)


def _compare_tab(visits: Visits) -> None:
    with gr.Row():
        before = gr.File(label="First: a LoRA file or a report.json", file_types=[".safetensors", ".json"], elem_id="before")
        after = gr.File(label="Second: one of the same kind", file_types=[".safetensors", ".json"], elem_id="after")
    both = gr.Button("Compare", variant="primary", elem_id="compare")
    compared = gr.HTML(elem_id="compared")

    def show(first: str | None, second: str | None, request: gr.Request) -> str:
        visits.of(_key(request), [first, second])
        if first is None or second is None:
            return fault("Drop two LoRA files or two files report.json first.")
        files = Path(first), Path(second)
        try:
            match sorted(file.suffix.lower() for file in files):
                case [".json", ".json"]:
                    from loraleak.reporting import compare, read_report

                    comparison = compare(*(read_report(file) for file in files))
                    return shown.frame(comparison.to_html(), "Two reports side by side")
                case [".safetensors", ".safetensors"]:
                    from loraleak.web.two_files import side_by_side

                    return side_by_side(*files)
                case _:
                    return fault("Drop two files of the same kind: two LoRA files, or two files report.json.")
        except LoraleakError as error:
            return fault(one_line(error))

    both.click(show, [before, after], compared, api_visibility="private")


def _job(photos: Path, out: Path, adapter: str | None, uploads: list[str], settings: AuditSettings) -> Job:
    """Copy the photos into one folder, those of the same name under names of their own.

    Raises: LoraleakError, if something is missing or out of bounds.
    """
    if adapter is None or not uploads:
        raise LoraleakError("drop a LoRA file and the photos that it was trained on first")
    if len(uploads) > MAX_PHOTOS:
        raise LoraleakError(f"{len(uploads)} photos are too many: give at most {MAX_PHOTOS}")
    for i, upload in enumerate(uploads):
        name = Path(upload).name
        shutil.copyfile(upload, photos / (f"{i + 1:02d}-{name}" if (photos / name).exists() else name))
    return Job(Path(adapter), photos, out, settings)


def _choices(bases: tuple[str, ...], *, local: bool) -> list[tuple[str, str]]:
    """Words and names of the bases to choose from: those that were given, and on this machine those whose kits are installed."""
    kits = bases_with_kits() if local else ()
    names = dict.fromkeys((*bases, *kits))
    return [(f"{printable(name, 80)}{' (kit installed)' if name in kits else ''}", name) for name in names]


def _key(request: gr.Request) -> str:
    return str(request.session_hash)
