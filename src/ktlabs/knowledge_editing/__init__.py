"""Labs of the papers on knowledge editing."""
