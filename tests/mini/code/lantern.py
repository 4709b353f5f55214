"""Stands for the module of a lab: pages show the functions that a lab names, and nothing runs here."""


def turn(angle: float, wind: float) -> float:
    """Turn the panes, of one number each: radians and radians a second."""
    return angle + wind if wind > 0 and angle < 3 else angle  # "quoted" & <b>marked</b>


def unseen() -> None:
    """Is in no declaration."""
