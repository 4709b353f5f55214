"""Labs compute in double precision on one thread; so do their tests."""

import pytest

from ktlabs.bench import runner as lab


@pytest.fixture(autouse=True)
def _as_in_a_lab():
    with lab.settings():
        yield
