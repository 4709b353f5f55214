"""Stands for the module of a lab."""


def carry(amount: float) -> float:
    """Return the amount, one number, as it came."""
    return amount
