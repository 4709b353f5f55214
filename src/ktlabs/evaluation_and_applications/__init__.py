"""Labs of the chapter on evaluation and applications."""
