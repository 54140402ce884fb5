"""What somebody would write in a file's name, header or tensors to run in a browser, or to command a terminal."""

import json
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

__all__ = ["ATTACKER", "CONTROLS", "FORGED", "LONG", "MARKUP", "PAYLOAD", "hostile_lora", "is_plain"]

ATTACKER = "attacker.invalid"
"""A name that no server ever has (RFC 2606)."""
PAYLOAD = "window.pwned=1"
FORGED = "loraleak: nothing found"
"""A line that a file may want to stand in a terminal."""
LONG = '"><b>' * 40_000

MARKUP = (
    f"<script>{PAYLOAD}</script>",
    f"</title></style></textarea></noscript></template></script><script>{PAYLOAD}</script>",
    f'"><img src=x onerror={PAYLOAD}>',
    f"'><svg/onload={PAYLOAD}>",
    f'<svg><script href="data:text/javascript,{PAYLOAD}"></script></svg>',
    f"<svg><animate onbegin={PAYLOAD} attributeName=x dur=1s></svg>",
    f'" onmouseover={PAYLOAD} onfocus={PAYLOAD} autofocus tabindex=0 x="',
    f"' onclick={PAYLOAD} style=position:fixed;inset:0 x='",
    f"x onpointerenter={PAYLOAD} onfocus={PAYLOAD}",
    f"<details open ontoggle={PAYLOAD}><summary>x</summary></details>",
    f'<iframe srcdoc="<script>parent.{PAYLOAD[7:]}</script>"></iframe>',
    f"<iframe src=javascript:parent.{PAYLOAD[7:]}></iframe>",
    f'<object data="data:text/html,<script>{PAYLOAD}</script>"></object>',
    f"<embed src=https://{ATTACKER}/embed>",
    f"<a href=javascript:{PAYLOAD}>look</a>",
    f"<math><a xlink:href=javascript:{PAYLOAD}>look</a></math>",
    f"<form action=javascript:{PAYLOAD}><button autofocus>look</button></form>",
    f"<base href=https://{ATTACKER}/>",
    f'<meta http-equiv=refresh content="600;url=https://{ATTACKER}/meta">',
    f"<link rel=stylesheet href=https://{ATTACKER}/link.css>",
    f"<style>@import 'https://{ATTACKER}/import.css'; *{{background:url(https://{ATTACKER}/style)}}</style>",
    f"}} body{{background:url(https://{ATTACKER}/css)}} *{{",
    f"</style><style>body{{background:url(//{ATTACKER}/broken)}}",
    f'" style="background:url(https://{ATTACKER}/attribute)',
    f"<img src=https://{ATTACKER}/pixel srcset=//{ATTACKER}/set>",
    f"<video poster=https://{ATTACKER}/poster><source src=//{ATTACKER}/film></video>",
    f"<input type=image src=https://{ATTACKER}/input autofocus onfocus={PAYLOAD}>",
    f'<noscript><p title="</noscript><img src=x onerror={PAYLOAD}>">',
    f"<!--><img src=x onerror={PAYLOAD}>-->",
    f"<![CDATA[<script>{PAYLOAD}</script>]]>",
    f"<scr\x00ipt>{PAYLOAD}</scr\u200bipt>",
    f"\uff1cscript\uff1e{PAYLOAD}\uff1c/script\uff1e",
    f"&lt;script&gt;{PAYLOAD}&lt;/script&gt;&#60;script&#62;",
    f"+ADw-script+AD4-{PAYLOAD}+ADw-/script+AD4-",
    f"{{{{ ''.__class__ }}}}{{% raw %}}{{# x #}}${{{PAYLOAD}}}",
    "<script>alert(1)</script>",
    f"javascript:{PAYLOAD}",
    f"data:text/html,<script>{PAYLOAD}</script>",
    f"![x](https://{ATTACKER}/card.png) [x](javascript:{PAYLOAD}) https://{ATTACKER}/bare",
)

CONTROLS = (
    "\x1b[2J\x1b[31m\x1b]0;pwned\x07",
    f"\x1b]8;;https://{ATTACKER}\x1b\\look\x1b]8;;\x1b\\",
    "\x9b31m\x90+q\x9c\x85\x80\x9f",
    "\x00\x07\x08\x7f\x0b\x0c\ufeff\u200b\U000e0041",
    f"a\r\n{FORGED}\n",
    f"a\u2028{FORGED}\u2029",
    "a\u202egnp.exe\u202c\u202a\u202b\u202d\u2066\u2067\u2068\u2069\u200f\u061c",
    "[bold red]anna[/] :warning: [link=https://attacker.invalid]x[/link]",
)


def hostile_lora(path: Path, tensors: dict[str, Tensor], odd: Tensor) -> Path:
    """A sound file of these tensors; all of its texts are attacks, and so are the names of some more tensors."""
    texts = [*MARKUP, *CONTROLS]
    every = json.dumps({text: {text: i} for i, text in enumerate(texts)})
    header = {
        "ss_tag_frequency": every,
        "ss_dataset_dirs": every,
        "ss_datasets": json.dumps([{"subsets": [{"image_dir": text, "class_tokens": text} for text in texts]}]),
        "ss_bucket_info": every,
        "ss_network_args": every,
        "ot_config": "".join(texts),
        "modelspec.title": LONG,
        "modelspec.thumbnail": f"data:image/svg+xml,{texts[3]}",
        **{f"ss_{i}": text for i, text in enumerate(texts)},
        **{text: text for text in texts},
        **{f"<{text}>": "<embed>" for text in texts},
        LONG: LONG,
    }
    names = [name for text in texts for name in (text, f"bundle_emb.{text}.string_to_param.*")]
    save_file({**tensors, **{name: odd.clone() for name in names}}, path, header)
    return path


def is_plain(text: str) -> bool:
    """Whether a terminal shows it as it is: no character that it obeys, and no line that a file has put there."""
    return all(c.isprintable() or c == "\n" for c in text) and FORGED not in text.splitlines()
