"""Read a dump of abstracts; `ktreview.corpus.daily_papers` under its published name."""

from ktreview.corpus.daily_papers import DumpError, Entry, parse

__all__ = ["DumpError", "Entry", "parse"]
