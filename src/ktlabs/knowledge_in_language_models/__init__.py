"""Labs of the chapter on knowledge in language models."""
