"""The audit. In: an adapter file, its owner's photos, settings. Out: a report, as data, HTML, JSON and Markdown."""
