"""Labs of the papers on knowledge graphs and language models."""
