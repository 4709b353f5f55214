"""Where a review lives: its repository and its site, from which every address is made.

Both stand in ``review.yaml``, beside the records, and may be left out; then no address is made.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote, urlencode

from pydantic import AfterValidator, Field

from ktreview.corpus.records import Record

_HOST = r"https://[a-z0-9]+([.-][a-z0-9]+)*\.[a-z]{2,}"
_NAME = r"/[A-Za-z0-9_-][A-Za-z0-9._-]*"


def _branch(name: str) -> str:
    if ".." in name:
        raise ValueError("holds '..'; write the branch's name")
    return name


class Settings(Record):
    """Where a review lives.

    Attributes
    ----------
    repository : str
        The address of its repository, as of a host with GitHub's addresses: ``https://host/owner/name``,
        without a slash at its end; empty if there is none.
    site : str
        The address of the built site, without a slash at its end; empty if there is none.
    branch : str
        The branch that is edited.
    folder : str
        Where the folder of the records is in the repository.
    """

    repository: Annotated[str, Field(pattern=rf"^({_HOST}{_NAME}{_NAME})?\z", max_length=200)] = ""
    site: Annotated[str, Field(pattern=rf"^({_HOST}({_NAME})*)?\z", max_length=200)] = ""
    branch: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*\z"), AfterValidator(_branch)] = "main"
    folder: Annotated[str, Field(pattern=rf"^[A-Za-z0-9_-]+({_NAME})*\z")] = "src/ktreview/data"

    def edit_address(self, path: str) -> str:
        """Return where to edit a file of the repository; empty if no repository is set.

        Examples
        --------
        >>> Settings(repository="https://example.org/o/r").edit_address("book/method.md")
        'https://example.org/o/r/edit/main/book/method.md'
        >>> Settings().edit_address("book/method.md")
        ''
        """
        return self.repository and f"{self.repository}/edit/{self.branch}/{quote(path)}"

    def record_address(self, key: str) -> str:
        """Return where to edit a paper's record; empty if no repository is set."""
        return self.edit_address(f"{self.folder}/papers/{key}.yaml")

    def issue_address(self, title: str = "", form: str = "") -> str:
        """Return where to report something; empty if no repository is set.

        Parameters
        ----------
        title : str, optional
            Of the report.
        form : str, optional
            A file of ``.github/ISSUE_TEMPLATE``.
        """
        asked = {name: value for name, value in (("template", form), ("title", title)) if value}
        query = f"?{urlencode(asked, quote_via=quote)}" if asked else ""
        return self.repository and f"{self.repository}/issues/new{query}"

    def page_address(self, page: str) -> str:
        """Return the address of a page, ``book/papers/panda``; empty if no site is set."""
        return self.site and f"{self.site}/{quote(page)}.html"
