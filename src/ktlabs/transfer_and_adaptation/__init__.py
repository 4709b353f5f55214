"""Labs of papers on transfer and adaptation."""
