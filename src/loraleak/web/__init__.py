"""A page in the browser for one file: inspect it, audit it, read the report, take a clean copy. Nothing imports this room.

Reading order: `running` (an audit in a process of its own), `visits` (who is there, and which files are theirs), `shown` (results as
HTML), `page` (the page), `serve` (the server). It needs the extra `loraleak[ui]`.
"""

from loraleak.web.serve import Served, Serving, serve

__all__ = ["Served", "Serving", "serve"]
