"""Reports. In: the results of an audit, as plain data. Out: HTML, JSON, Markdown, pictures.

Reading order: `results` (what an audit found), `words` (what the numbers are called), then one file a writer.
"""
