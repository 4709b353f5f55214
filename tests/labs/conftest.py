"""Labs compute in double precision on one thread; so do their tests."""

import contextlib
import os

import pytest

from ktreview.labs import lab


@pytest.fixture(autouse=True)
def _as_in_a_lab():
    with lab.settings():
        yield


@pytest.fixture(scope="session")
def packaged():
    """Skip, aloud, what needs a package that is not installed; in CI, where all are, fail instead."""

    @contextlib.contextmanager
    def there():
        try:
            yield
        except lab.MissingError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(str(error))

    return there
