"""What follows from a `Review`."""
