"""The review as data: files that hold what the records hold, and say what they mean."""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
import json
import re
import tempfile
from collections import Counter
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import jq
import jsonschema
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pybtex.database import parse_string
from pybtex.richtext import Text
from pydantic import ValidationError
from sphinx.application import Sphinx

from ktreview import COLUMNS, load_review
from ktreview.analysis import dictionary
from ktreview.cli import main
from ktreview.corpus import frames, records
from ktreview.corpus.review import Review
from ktreview.publish import export
from ktreview.show.tables import corpus as tables

FILES = {
    "papers.csv", "claims.csv", "numbers.csv", "results.csv", "verdicts.csv", "labs.csv", "lab_runs.csv",
    "dictionary.csv", "review.json", "review.schema.json", "review.jsonld", "references.bib",
}  # fmt: skip
HOSTILE = [
    "<script>alert(1)</script>", '"quoted", and \'so\'', "\u202egnp.exe", "one\ntwo\r\nthree\rfour",
    '=HYPERLINK("http://example.org")', "+1", "-1", "@SUM(A1)", "NA", "null", "NaN", "  spaced  ", "",
    "\\%", "</script>", "\u2028", "𝔘 é ı", "a;b", "\t", "{claim}`x`",
]  # fmt: skip
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(HOSTILE)


@pytest.fixture(scope="module")
def folder(review, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "data"
    export.export(review, str(folder))  # a path may be text
    return folder


def load(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text(encoding="utf-8"))


def cells(folder: Path, name: str) -> list[list[str]]:
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def nodes(folder: Path, kind: str) -> dict[str, dict[str, Any]]:
    graph = load(folder, "review.jsonld")["@graph"]
    return {node["@id"]: node for node in graph if node["@type"] == kind}


def facts(properties: list[dict[str, Any]]) -> dict[str, Any]:
    return {item["name"]: item["value"] for item in properties}


@functools.cache
def two_papers() -> Review:
    """Return a small review. Hypothesis prints arguments, so it is none."""
    review = load_review()
    keys = ["panda", "exssnet"]
    frames = {name: review.frame(name) for name in ("claims", "numbers", "results")}
    return dataclasses.replace(
        review,
        records={key: review.records[key] for key in keys},
        papers=review.papers[review.papers["key"].isin(keys)],
        verdicts=review.verdicts[:0],
        **{name: frame[frame["paper"].isin(keys)] for name, frame in frames.items()},
    )


# Files.


def test_downloads_hold_the_frames(review, tmp_path):
    written = export.export(review, tmp_path / "data")
    assert {path.name for path in written} == FILES
    for name in COLUMNS:
        text = (tmp_path / "data" / f"{name}.csv").read_text(encoding="utf-8")
        frame = pd.read_csv(io.StringIO(text), dtype={"arxiv": str, "date": str}, keep_default_na=False)
        assert list(frame.columns) == list(review.frame(name).columns)
        assert len(frame) == len(review.frame(name))
    papers = pd.read_csv(tmp_path / "data" / "papers.csv", dtype=str, keep_default_na=False)
    assert list(papers["arxiv"]) == list(review.papers["arxiv"])
    whole = load(tmp_path / "data", "review.json")
    assert [claim["quote"] for claim in whole["claims"]] == list(review.claims["quote"])
    assert whole["digest"] == review.digest()
    before = {path: path.stat().st_mtime_ns for path in written}
    export.export(review, tmp_path / "data")
    assert {path: path.stat().st_mtime_ns for path in written} == before


def test_the_command_writes_the_same_bytes(folder, tmp_path, capsys):
    assert main(["export", str(tmp_path)]) == 0
    assert {Path(line).name for line in capsys.readouterr().out.splitlines()} == FILES
    for name in FILES:
        written = (tmp_path / name).read_bytes()
        assert written == (folder / name).read_bytes()
        assert b"\r" not in written
        assert written.endswith(b"\n")
        assert not written.startswith(b"\xef\xbb\xbf")


@settings(max_examples=settings.default.max_examples // 4)
@example(["lone\rreturn"] * 4, 0.1)
@given(st.lists(texts, min_size=4, max_size=4), st.floats(allow_nan=False, allow_infinity=False))
def test_whatever_is_written_comes_back_as_it_was(words, number):
    review = two_papers()
    texts = dict(zip(["metric", "quote", "abstract", "title"], words, strict=True))
    claims = review.claims.assign(metric=texts["metric"], quote=texts["quote"], value=number)
    papers = review.papers.assign(abstract=texts["abstract"], title=texts["title"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export.export(dataclasses.replace(review, claims=claims, papers=papers), folder)
        whole = load(folder, "review.json")
        for frame, fields in (("claims", ["metric", "quote"]), ("papers", ["abstract", "title"])):
            rows = pd.DataFrame(cells(folder, f"{frame}.csv")[1:], columns=COLUMNS[frame])
            for field in fields:
                assert set(rows[field]) == {texts[field]}
                assert {row[field] for row in whole[frame]} == {texts[field]}
        rows = pd.DataFrame(cells(folder, "claims.csv")[1:], columns=COLUMNS["claims"])
        assert set(rows["value"].astype(float)) == {number}
        assert {row["value"] for row in whole["claims"]} == {number}
        for claim in nodes(folder, "Claim").values():
            assert claim.get("text", "") == texts["quote"]
            assert claim["about"].get("name", "") == texts["metric"]
        for article in nodes(folder, "ScholarlyArticle").values():
            assert article.get("abstract", "") == texts["abstract"]
            assert article.get("name", "") == texts["title"]


# The dictionary.


def test_the_dictionary_has_every_frame_and_every_column_in_order():
    described = dictionary.as_frame().query("column != ''").groupby("frame", sort=False)["column"].agg(tuple)
    assert list(described.items()) == list(COLUMNS.items())
    assert set(map(dictionary.meaning, COLUMNS)) <= set(dictionary.as_frame()["meaning"])


def closed(annotation: Any) -> list[str]:
    """List the words of a closed vocabulary, optional or not; none for any other type."""
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    return [word for part in get_args(annotation) if part is not NoneType for word in closed(part)]


MODELS = {
    "papers": [records.Paper],
    "claims": [records.QuantitativeClaim, records.QualitativeClaim],
    "numbers": [records.Number],
    "results": [records.Result],
    "verdicts": [records.Verdict],
}
#: What is computed or joined has a vocabulary of its own.
COMPUTED = {
    ("claims", "resolved_basis"): [*get_args(records.Basis), "unresolved"],
    ("claims", "finding"): list(get_args(records.Finding)),
    ("claims", "strength"): closed(records.Verdict.model_fields["strength"].annotation),
}


@pytest.mark.parametrize("name", MODELS)
def test_vocabularies_are_those_of_the_records(name):
    found = {}
    for column in COLUMNS[name]:
        words: list[str] = []
        for model in MODELS[name]:
            if column in model.model_fields and column not in ("claims", "numbers", "results", "verdicts"):
                words += [word for word in closed(model.model_fields[column].annotation) if word not in words]
        found[column] = COMPUTED.get((name, column), words)
    assert {field: list(column.vocabulary) for field, column in frames.columns(name).items()} == found


def test_the_data_are_as_the_dictionary_says(review):
    for name in COLUMNS:
        data = review.frame(name)
        for column, said in frames.columns(name).items():
            empty = data[column].isna() | (data[column].astype(object) == "")
            assert said.empty or not empty.any(), f"{name}.{column} is empty somewhere"
            kinds = {type(value).__name__.rstrip("_") for value in data[column][~empty].tolist()}
            assert kinds <= {said.type.__name__}, f"{name}.{column} is no {said.type}"


@pytest.mark.parametrize("name", [name for name in COLUMNS if name != "lab_runs"])
def test_every_row_is_one_of_its_model_and_the_model_refuses_others(review, name):
    model = frames.ROWS[name]
    as_read = [
        {field: export._plain(value) if field == "hedged" else value for field, value in dict(row).items()}
        for row in frames.rows(review.frame(name), model)
    ]
    for row in as_read:
        model.model_validate(row, strict=True)
    for column, value in (("colour", "red"), (next(iter(as_read[0])), 1.5)):
        with pytest.raises(ValidationError):
            model.model_validate(as_read[0] | {column: value}, strict=True)


def test_the_dictionary_warns_of_formulas_and_tells_what_empty_means(folder):
    head, *rows = cells(folder, "dictionary.csv")
    assert head == "frame column type unit vocabulary meaning empty".split()
    table = pd.DataFrame(rows, columns=head)
    assert "formula" in table["meaning"][0]
    assert "formula" in load(folder, "review.schema.json")["description"]
    columns = table[table["column"] != ""]
    assert list(zip(columns["frame"], columns["column"], strict=True)) == [
        (name, column) for name, names in COLUMNS.items() for column in names
    ]
    assert (columns[["type", "meaning", "empty"]] != "").all(axis=None)
    assert (
        columns.set_index(["frame", "column"]).loc[("claims", "value"), "empty"] == "a claim without a number"
    )


@pytest.mark.parametrize("name", COLUMNS)
def test_pages_show_the_dictionary(review, name):
    shown = tables.BY_NAME[f"dictionary-{name}"](review)
    assert tuple(shown.data["column"]) == COLUMNS[name]
    assert f'id="table-dictionary-{name}"' in shown.html()
    assert len(tables.BY_NAME["dictionary"](review).data) == sum(map(len, COLUMNS.values()))


# JSON and its schema.


def test_the_json_fits_its_schema(folder):
    whole = load(folder, "review.json")
    schema = load(folder, whole["schema"])
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(whole, schema, cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("frame", "column", "value"),
    [
        ("claims", "basis", "guessed"),
        ("claims", "quote", ""),
        ("claims", "value", "8%"),
        ("claims", "start", 1.5),
        ("claims", "hedged", "no"),
        ("results", "confidence", ""),
        ("papers", "n", None),
        ("papers", "colour", "red"),
    ],
)
def test_the_schema_refuses_what_the_dictionary_does_not_allow(folder, frame, column, value):
    whole = load(folder, "review.json")
    whole[frame][0][column] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(whole, load(folder, "review.schema.json"), cls=jsonschema.Draft202012Validator)


def test_a_column_that_is_missing_does_not_fit_the_schema(folder):
    whole = load(folder, "review.json")
    del whole["verdicts"][0]["why"]
    with pytest.raises(jsonschema.ValidationError, match="'why' is a required property"):
        jsonschema.validate(whole, load(folder, "review.schema.json"))


# The bibliography.


def as_shown(latex: str) -> str:
    """Read LaTeX as sphinxcontrib-bibtex does."""
    return str(Text.from_latex(latex))


def name_shown(person: Any) -> str:
    parts = (
        person.first_names
        + person.middle_names
        + person.prelast_names
        + person.last_names
        + person.lineage_names
    )
    return as_shown(" ".join(parts))


def entry(**fields: Any) -> Any:
    """Return the entry of a paper with these fields, read as BibTeX."""
    given = {"title": "A title", "kind": "method", "theme": "one", "authors": ["Ada Bee"], "date": "2024-01"}
    paper = records.Paper(**(given | {"mechanism": "M.", "limits": "L."} | fields))
    none = pd.DataFrame()
    text = export.bibliography(Review({}, {"it": paper}, papers=none, claims=none, numbers=none))
    entries = parse_string(text, "bibtex").entries
    assert list(entries) == ["it"]
    return entries["it"]


def test_the_bibliography_has_one_entry_a_paper_with_its_authors(review):
    entries = parse_string(export.bibliography(review), "bibtex").entries
    assert list(entries) == list(review.records)
    assert len({key.casefold() for key in entries}) == len(review.records)
    for key, record in review.records.items():
        assert [name_shown(person) for person in entries[key].persons["author"]] == record.authors
        assert as_shown(entries[key].fields["title"]) == record.title
        assert as_shown(entries[key].fields.get("howpublished", "")) == (record.venue or "")


@pytest.mark.parametrize(
    ("author", "last", "von", "first"),
    [
        ("Çağatay Yıldız", "Yıldız", "", "Çağatay"),
        ("José A. R. Fonollosa", "Fonollosa", "", "José A. R."),
        ("Olivier Hénaff", "Hénaff", "", "Olivier"),
        ("Sören Auer", "Auer", "", "Sören"),
        ("Jennifer D'Souza", "D'Souza", "", "Jennifer"),
        ("Casimiro Pio Carrino", "Carrino", "", "Casimiro Pio"),
        ("Laurens van der Maaten", "Maaten", "van der", "Laurens"),
        ("Yoav de la Rosa", "Rosa", "de la", "Yoav"),
        ("Ziad Al-Halah", "Al-Halah", "", "Ziad"),
        ("OpenAI", "OpenAI", "", ""),
        ("Research and Development Team", "{Research and Development Team}", "", ""),
        ("Johnson & Johnson AI, Inc.", r"{Johnson \& Johnson AI, Inc.}", "", ""),
        ("others", "{others}", "", ""),
    ],
)
def test_names_keep_accents_and_particles(author, last, von, first):
    (person,) = entry(authors=[author]).persons["author"]
    assert " ".join(person.last_names) == last
    assert " ".join(person.prelast_names) == von
    assert " ".join(person.first_names + person.middle_names) == first
    assert name_shown(person) == author


WORDS = st.lists(
    st.text(
        st.characters(categories=["Lu", "Ll", "Lo"], include_characters="-.'&%#_"), min_size=1, max_size=8
    ),
    min_size=1,
    max_size=4,
).map(" ".join)


@settings(deadline=None)
@given(
    st.lists(
        WORDS | st.sampled_from(["Ada and Bob", "others", "A, B, C, D", "@misc"]), min_size=1, max_size=4
    )
)
def test_any_list_of_names_comes_back_in_order(authors):
    people = entry(authors=authors).persons["author"]
    assert [name_shown(person) for person in people] == authors


def unescaped(latex: str) -> str:
    r"""Undo the escapes, by the reference manual of LaTeX and not by the code under test."""
    named = {
        "textbraceleft": "{",
        "textbraceright": "}",
        "textbackslash": "\\",
        "textasciitilde": "~",
        "^": "^",
    }
    pattern = r"\\(textbraceleft|textbraceright|textbackslash|textasciitilde|\^)\{\}|\\([&%$#_])|\{\}"
    return re.sub(pattern, lambda match: named[match[1]] if match[1] else match[2] or "", latex)


LINES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"], include_characters=" "), min_size=1).map(
    lambda text: " ".join(text.split()) or "x"
)


@settings(deadline=None)
@given(
    LINES
    | st.sampled_from(["{", "}}{", "100% & #1_x", "$k$NN", "a -- b --- c", "``q''", "\\", "\\{", 'say "x"'])
)
def test_any_venue_survives_bibtex(venue):
    latex = entry(venue=venue).fields["howpublished"]
    assert unescaped(latex) == venue
    assert latex.count("{") == latex.count("}")
    # Nothing that LaTeX acts on stands free: comments, maths, tables, parameters, super- and subscripts.
    assert not re.search(r"(?<!\\)[%$&#_]|(?<!\\)\^|~", latex)


@pytest.mark.parametrize(
    "title",
    ["A & B", "100% sure", "snake_case", "No. #1", 'Say "hello"', "It's", "a < b > c", "F1 -- or --- F2", "``x''",
     "A ~ B", "C:\\dir", "Émile ß ı ğ", "<b>bold</b>", "@misc(x,)", "What?`", "=1+1"],
)  # fmt: skip
def test_titles_are_shown_as_they_are(title):
    assert as_shown(entry(title=title).fields["title"]) == title


def test_escapes_of_the_dump_are_resolved_and_braces_and_dollars_are_named():
    fields = entry(title=r"8\% of {X} for $5 \& more").fields
    assert fields["title"] == r"{8\% of \textbraceleft{}X\textbraceright{} for \$5 \& more}"


@pytest.mark.filterwarnings("default")  # Sphinx and its extensions warn of their own future
@pytest.mark.slow
def test_the_book_s_citations_show_authors_and_titles_as_they_are(review, tmp_path):
    hard = {"hard-1": "A & B: 100% of #1_x, <b>", "hard-2": 'Say "hello" -- it\'s ``x``'}
    extra = {key: review.records["panda"].model_copy(update={"title": title}) for key, title in hard.items()}
    whole = dataclasses.replace(review, records=review.records | extra)
    source = tmp_path / "source"
    source.mkdir()
    (source / "all.bib").write_text(export.bibliography(whole), encoding="utf-8")
    (source / "index.rst").write_text("A\n=\n\n.. bibliography::\n   :all:\n", encoding="utf-8")
    (source / "conf.py").write_text(
        "extensions = ['sphinxcontrib.bibtex']\nbibtex_bibfiles = ['all.bib']\nsmartquotes = False\n"
    )
    told = io.StringIO()
    Sphinx(source, source, tmp_path / "html", tmp_path / "trees", "html", status=None, warning=told).build()
    assert told.getvalue() == ""
    soup = BeautifulSoup((tmp_path / "html" / "index.html").read_text("utf-8"), "html.parser")
    shown = [entry.get_text().replace("\xa0", " ") for entry in soup.select("div.citation")]
    assert len(shown) == len(whole.records)
    for record in review.records.values():
        (line,) = [line for line in shown if record.title in line]
        assert all(author in line for author in record.authors)
        assert (record.venue or "") in line
    for title in hard.values():
        assert sum(title in line for line in shown) == 1


# Linked data.


def test_the_graph_has_every_paper_claim_result_and_verdict(review, folder):
    articles, claims = nodes(folder, "ScholarlyArticle"), nodes(folder, "Claim")
    assert list(articles) == [f"papers/{key}.html" for key in review.records]
    assert list(claims) == [f"papers/{row.paper}.html#claim-{row.id}" for row in review.claims.itertuples()]
    assert list(nodes(folder, "Observation")) == [
        f"papers/{key}.html#result-{result.id}"
        for key, paper in review.records.items()
        for result in paper.results
    ]
    verdicts = nodes(folder, "ClaimReview")
    assert list(verdicts) == [
        f"papers/{row.paper}.html#verdict-{row.claim}" for row in review.verdicts.itertuples()
    ]
    assert Counter(node["reviewRating"]["alternateName"] for node in verdicts.values()) == Counter(
        review.verdicts["finding"]
    )


def test_every_link_inside_the_graph_leads_to_a_node(folder):
    graph = load(folder, "review.jsonld")["@graph"]
    names = [node["@id"] for node in graph]
    assert len(names) == len(set(names))

    def links(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["@id"]] if set(value) == {"@id"} else []
            return own + [link for part in value.values() for link in links(part)]
        return [link for part in value for link in links(part)] if isinstance(value, list) else []

    assert set(links(graph)) <= set(names)


def test_no_context_is_fetched(folder):
    context = load(folder, "review.jsonld")["@context"]
    assert context["@vocab"] == "https://schema.org/"
    assert all(isinstance(value, dict) for name, value in context.items() if not name.startswith("@"))


def test_a_paper_in_the_graph(folder, review):
    paper = nodes(folder, "ScholarlyArticle")["papers/panda.html"]
    assert [author["name"] for author in paper["author"]] == review.records["panda"].authors
    assert paper["datePublished"] == "2022-08-22"
    assert paper["identifier"] == {"@type": "PropertyValue", "propertyID": "arXiv", "value": "2208.10160"}
    assert paper["url"] == "https://arxiv.org/abs/2208.10160"
    assert paper["isPartOf"]["name"] == "IEEE TKDE 2024"
    assert paper["about"] == [{"@id": "themes/knowledge-distillation.html"}]
    assert paper["mentions"] == [{"@id": "themes/transfer-and-adaptation.html"}]
    themes = nodes(folder, "DefinedTerm")
    assert themes["themes/knowledge-distillation.html"]["name"] == "Knowledge distillation"


def test_a_claim_a_result_and_a_verdict_in_the_graph(folder):
    claims = nodes(folder, "Claim")
    claim = claims["papers/panda.html#claim-panda-3"]
    assert claim["text"] == "up to 24.1%"
    assert claim["appearance"] == [{"@id": "papers/panda.html"}]
    measured = claim["about"]
    assert (measured["name"], measured["maxValue"], measured["unitText"]) == ("score", 24.1, "percent")
    assert "value" not in measured
    told = facts(measured["valueReference"])
    assert (told["basis"], told["resolved_basis"], told["bound"]) == ("unstated", "absolute", "up-to")
    assert claims["papers/panda.html#claim-panda-2"]["about"]["value"] == 2.3
    words = claims["papers/panda.html#claim-panda-1"]["about"]
    assert facts(words["valueReference"])["hedged"] is False
    assert not {"value", "minValue", "maxValue"} & set(words)
    result = nodes(folder, "Observation")["papers/panda.html#result-bert-large-conll03"]
    assert (result["value"], result["unitText"]) == (78, "points")
    assert result["measurementTechnique"] == "9 target tasks, average"
    baseline = result["valueReference"][0]
    assert (baseline["name"], baseline["value"]) == ("vanilla prompt transfer", 53.9)
    assert facts(result["valueReference"][1:])["gain_points"] == 24.1
    assert result["citation"]["description"] == "appendix Tables 1-5, row BERT-large, source CoNLL03"
    verdict = nodes(folder, "ClaimReview")["papers/panda.html#verdict-panda-3"]
    assert verdict["itemReviewed"] == [{"@id": "papers/panda.html#claim-panda-3"}]
    assert verdict["reviewRating"]["alternateName"] == "confirmed"
    assert {"@id": "papers/panda.html#result-bert-large-conll03"} in verdict["isBasedOn"]


@pytest.mark.parametrize(
    ("bound", "value", "high", "said"),
    [
        ("exact", 8.0, None, {"value": 8.0}),
        ("approx", 8.0, None, {"value": 8.0}),
        ("at-least", 8.0, None, {"minValue": 8.0}),
        ("at-most", 8.0, None, {"maxValue": 8.0}),
        ("up-to", 8.0, 8.0, {"maxValue": 8.0}),
        ("exact", 8.0, 9.0, {"minValue": 8.0, "maxValue": 9.0}),
        ("exact", 0.0, None, {"value": 0.0}),
    ],
)
def test_a_bound_is_a_limit_in_the_graph(mini, tmp_path, bound, value, high, said):
    claims = mini.claims[mini.claims["id"] == "lantern-2"].copy()
    claims["bound"], claims["value"], claims["value_high"] = (
        bound,
        value,
        float("nan") if high is None else high,
    )
    export.export(dataclasses.replace(mini, claims=claims, verdicts=mini.verdicts[:0]), tmp_path)
    (claim,) = nodes(tmp_path, "Claim").values()
    assert {name: fact for name, fact in claim["about"].items() if name.lower().endswith("value")} == said


# The page.


def page() -> str:
    """The sources of the page of data, one cell below the other."""
    path = Path(__file__).parents[3] / "book" / "data.ipynb"
    return "\n".join("".join(cell["source"]) for cell in json.loads(path.read_text("utf-8"))["cells"])


def test_the_page_offers_every_file_and_shows_every_frame():
    assert set(re.findall(r'href="\.\./_static/data/([^"]+)" download', page())) == FILES
    assert re.findall(r'show\.dictionary\(review, "(\w+)"\)', page()) == list(COLUMNS)


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", page(), re.DOTALL))
def test_the_examples_in_python_run(folder, monkeypatch, code, capsys):
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - the page's own examples
    if "gains" in names:
        assert "ICLR" in capsys.readouterr().out
        assert set(names["gains"]["kind_x"]) == {"gain"}


def test_the_example_in_jq_lists_what_is_not_confirmed(folder, review):
    (program,) = re.findall(r"```sh\njq -r '(.*?)' review.json\n```", page(), re.DOTALL)
    out = jq.compile(program).input_text((folder / "review.json").read_text(encoding="utf-8")).all()
    open_ones = review.verdicts.loc[review.verdicts["finding"] != "confirmed", "claim"]
    assert [line.split("\t")[0] for line in out] == list(open_ones)
