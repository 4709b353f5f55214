"""Addresses are made from the settings, or not at all."""

import dataclasses

import pytest
from bs4 import BeautifulSoup

from ktreview import ReviewError, load_review
from ktreview.corpus.settings import Settings
from ktreview.site import pages

REPOSITORY = "https://github.com/owner/name"


def test_without_a_repository_or_site_there_is_no_address():
    settings = Settings()
    assert settings.edit_address("README.md") == ""
    assert settings.record_address("panda") == ""
    assert settings.issue_address("title", "wrong-quote.yml") == ""
    assert settings.page_address("book/index") == ""


def test_addresses_are_made_from_the_settings():
    settings = Settings(repository=REPOSITORY, site="https://owner.github.io/name", branch="trunk")
    assert settings.record_address("panda") == f"{REPOSITORY}/edit/trunk/src/ktreview/data/papers/panda.yaml"
    assert settings.issue_address() == f"{REPOSITORY}/issues/new"
    assert (
        settings.issue_address("a & b", "f.yml")
        == f"{REPOSITORY}/issues/new?template=f.yml&title=a%20%26%20b"
    )
    assert settings.page_address("book/papers/panda") == "https://owner.github.io/name/book/papers/panda.html"


@pytest.mark.parametrize(
    "address",
    [
        "http://github.com/owner/name",
        "javascript:alert(1)",
        "https://github.com/owner/name/",
        "https://github.com/owner/name\n",
        'https://github.com/owner/name"onclick="x',
        "https://github.com/owner/<b>",
        "https://user:secret@github.com/owner/name",
        "https://github.com/owner/..",
        "https://github.com/owner/name?x#y",
        "https://github.com",
        " https://github.com/owner/name",
    ],
)
def test_a_hostile_or_wrong_address_is_refused(mini_data, address):
    (mini_data / "review.yaml").write_text(f"repository: {address!r}\n".replace("\\n", "\n\n"))
    with pytest.raises(ValueError, match="repository"):
        Settings(repository=address)
    if "\n" not in address:
        with pytest.raises(ReviewError, match=r"review\.yaml, repository"):
            load_review(mini_data)


def test_settings_are_read_from_beside_the_records(mini_data):
    assert load_review(mini_data).settings == Settings()
    (mini_data / "review.yaml").write_text(f"repository: {REPOSITORY}\n")
    assert load_review(mini_data).settings.repository == REPOSITORY
    (mini_data / "review.yaml").write_text("repositry: x\n")
    with pytest.raises(ReviewError, match="repositry"):
        load_review(mini_data)


@pytest.mark.parametrize("branch", ["../x", "a b", "-x", ""])
def test_a_branch_is_a_name(branch):
    with pytest.raises(ValueError, match="branch"):
        Settings(branch=branch)


def test_a_papers_page_offers_to_edit_its_record_only_where_there_is_a_repository(mini):
    key = next(key for key in mini.records if key not in set(mini.labs["paper"]))
    leads = lambda review: {  # noqa: E731
        a["href"]: a.text
        for a in BeautifulSoup(pages.part(review, "related", key), "html.parser").select("p a")
    }
    assert leads(mini) == {}
    known = dataclasses.replace(mini, settings=Settings(repository=REPOSITORY))
    assert leads(known) == {
        known.settings.record_address(key): "Edit this record",
        known.settings.issue_address(f"{key}: ", "wrong-quote.yml"): "report a mistake",
    }
