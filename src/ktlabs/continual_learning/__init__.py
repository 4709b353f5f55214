"""Labs of the chapter on continual learning."""
