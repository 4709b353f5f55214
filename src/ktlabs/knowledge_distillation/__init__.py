"""Labs of the chapter on knowledge distillation."""
