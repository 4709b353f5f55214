"""Stands for the module of a lab."""


def sleep(amount: float) -> float:
    """Return the amount, one number, as it came."""
    return amount
