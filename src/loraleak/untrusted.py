"""Text that comes from files and their names, made fit to be printed or written."""

__all__ = ["encodable", "printable"]


def printable(text: str, limit: int = 120) -> str:
    """Text fit for a terminal: control and format characters escaped, cut in the middle to about `limit` characters."""
    if len(text) > limit:
        text = f"{text[: limit * 2 // 3]}…{text[-(limit // 4) :]}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def encodable(name: str) -> str:
    """A file's name as text that can be written: bytes of it that are not UTF-8 become question marks."""
    return name.encode("utf-8", "replace").decode()
