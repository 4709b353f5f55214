"""What labs of several themes share: the runner, networks, losses, data and models."""
