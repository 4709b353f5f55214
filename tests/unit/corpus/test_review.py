"""The frames' contract, and one readable error for every kind of fault."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from ktreview import COLUMNS, ReviewError, load_review, read_review
from ktreview.corpus import outcomes
from ktreview.corpus.frames import ClaimRow, frame_of, rows
from ktreview.corpus.outcomes import gains
from ktreview.corpus.records import Result

CONTRACT = {
    "papers": "key, n, title, system, kind, theme, also, arxiv, authors, date, venue, code, abstract",
    "claims": "id, paper, theme, type, kind, quote, start, end, value, value_high, unit, basis, "
    "resolved_basis, bound, metric, benchmark, baseline, better, claim_type, hedged, baseline_named, "
    "finding, strength",
    "numbers": "paper, text, start, end, role, claim",
    "results": "paper, theme, benchmark, setting, metric, better, baseline, baseline_value, method, "
    "method_value, unit, gain_points, gain_relative, locator, source, confidence",
    "verdicts": "paper, claim, finding, basis, strength, why",
    "labs": "lab, paper, theme, question, claim, metric, better, baseline, method, control, n, "
    "baseline_mean, method_mean, effect, low, high, p, dz, wins, rep_effect, rep_low, rep_high, "
    "verdict, seconds",
    "lab_runs": "lab, paper, regime, arm, seed, metric, value",
}


def test_frames_have_the_columns_that_others_rely_on(mini):
    assert set(COLUMNS) == set(CONTRACT)
    for name, columns in CONTRACT.items():
        assert ", ".join(mini.frame(name).columns) == columns


def test_papers_are_in_the_order_of_the_dumps_whatever_their_files_are_called(mini):
    assert list(mini.papers["key"]) == ["lantern", "marsh", "echo", "hostile", "moor", "echo-keeper", "ferry"]
    assert list(mini.papers["n"]) == list(range(1, 8))
    assert list(mini.records) == list(mini.papers["key"])


def test_claims_are_in_reading_order_with_the_ids_of_their_records(mini):
    ferry = mini.claims[mini.claims["paper"] == "ferry"]
    assert list(ferry["id"]) == [
        f"ferry-{slug}" for slug in "relative absolute beacon fog haze level".split()
    ]
    abstract = mini.papers.set_index("key").loc["ferry", "abstract"]
    assert [abstract[row.start : row.end] for row in ferry.itertuples()] == list(ferry["quote"])
    assert ferry["start"].is_monotonic_increasing


def test_ids_stay_where_a_claim_comes_in_before_them(edit_mini, mini):
    def insert(record):
        fields = {"type": "qualitative", "claim_type": "other", "hedged": False, "better": "higher"}
        record["claims"].append({"id": "ferry-learn", "quote": "A small lamp can learn"} | fields)

    changed = load_review(edit_mini("papers/ferry", insert))
    before = dict(zip(mini.claims["id"], mini.claims["quote"], strict=True))
    after = dict(zip(changed.claims["id"], changed.claims["quote"], strict=True))
    assert after == before | {"ferry-learn": "A small lamp can learn"}
    assert changed.claims["id"].tolist().index("ferry-learn") < changed.claims["id"].tolist().index(
        "ferry-fog"
    )


def test_every_number_has_its_role_and_those_of_claims_their_claim(mini):
    marsh = mini.numbers[mini.numbers["paper"] == "marsh"]
    assert list(zip(marsh["text"], marsh["role"], marsh["claim"], strict=True)) == [
        ("40", "level", "marsh-late"),
        ("60", "level", "marsh-late"),
        ("5.5", "level", "marsh-delay"),
        ("1", "enumeration", ""),
        ("nine", "scale", ""),
        ("2", "enumeration", ""),
        ("3", "enumeration", ""),
        ("300", "scale", ""),
        ("2", "statistic", ""),
        ("three", "statistic", ""),
    ]


def test_a_claim_s_row_holds_what_its_record_says(mini):
    row = mini.claims.set_index("id").loc["ferry-beacon"]
    said = {
        "paper": "ferry", "theme": "lantern-making", "type": "quantitative", "kind": "gain", "value": 3.0,
        "value_high": 5.0, "unit": "percent", "basis": "unstated", "resolved_basis": "unresolved", "bound": "exact",
        "metric": "", "benchmark": "", "baseline": "Beacon-2", "better": "higher", "claim_type": "",
    }  # fmt: skip
    assert {name: row[name] for name in said} == said
    assert pd.isna(row["hedged"])
    words = mini.claims.set_index("id").loc["marsh-longer"]
    assert (words["claim_type"], words["hedged"], words["kind"], words["unit"]) == (
        "negative-finding",
        True,
        "",
        "",
    )
    assert mini.baseline_named["ferry-beacon"]
    assert not mini.baseline_named["ferry-relative"]


def test_a_paper_s_row_holds_what_dump_and_record_say(mini):
    papers = mini.papers.set_index("key")
    assert papers.loc["echo-keeper", ["theme", "also", "system", "arxiv", "venue", "code"]].tolist() == [
        "echo-keeping", "tide-reading; lantern-making", "", "", "", "",
    ]  # fmt: skip
    assert papers.loc["ferry", "authors"] == "Ole Flamme; Ida Wick"
    assert papers.loc["lantern", "code"] == "https://example.org/lantern"
    assert "\n\nLANTERN is the first" in papers.loc["lantern", "abstract"]


def test_a_lab_s_row_holds_its_headline(mini):
    row = mini.labs.set_index("lab").loc["lantern"]
    assert (row["paper"], row["claim"], row["control"], row["verdict"]) == (
        "lantern", "lantern-2", "still panes", "supports",
    )  # fmt: skip
    runs = mini.lab_runs[(mini.lab_runs["lab"] == "lantern") & (mini.lab_runs["regime"] == "mist")]
    means = runs[(runs["metric"] == "brightness") & (runs["seed"] < 100)].groupby("arm")["value"].mean()
    assert row["baseline_mean"] == pytest.approx(means["plain lamp"])
    assert row["method_mean"] == pytest.approx(means["turning panes"])
    assert row["effect"] == pytest.approx(means["turning panes"] - means["plain lamp"])
    later = runs[(runs["metric"] == "brightness") & (runs["seed"] >= 200)].groupby("arm")["value"].mean()
    assert row["rep_effect"] == pytest.approx(later["turning panes"] - later["plain lamp"])
    assert row["low"] <= row["effect"] <= row["high"]
    assert row["rep_low"] <= row["rep_effect"] <= row["rep_high"]
    _, decides, replication, _ = mini.compared("lantern")[0]
    assert (row["low"], row["high"], row["p"]) == (decides.low, decides.high, decides.p)
    assert (row["rep_low"], row["rep_high"]) == (replication.low, replication.high)
    assert row["seconds"] == 2.75
    assert "seconds" not in set(mini.lab_runs["metric"])


def test_comparisons_of_a_lab_are_computed_once(mini, monkeypatch):
    first = mini.compared("lantern")
    monkeypatch.setattr(outcomes, "contrast", None)
    assert mini.compared("lantern") is first
    assert [compared.question for compared, *_ in first] == [
        compared.question for compared in mini.declared["lantern"].comparisons()
    ]


def test_an_unknown_frame_is_refused(mini):
    with pytest.raises(KeyError, match="there is no frame 'colours'; the frames are papers, claims"):
        mini.frame("colours")


def claim(place, field, value):
    return lambda record: record["claims"][place].update({field: value})


def overlapping(record):
    record["claims"][1]["quote"] = "4.2% over Beacon-2, and by up to 31.5% in mist"


def claimed_twice(record):
    record["claims"].append(record["claims"][0] | {"id": "lantern-again"})


def verdict(place, field, value):
    return lambda record: record["verdicts"][place].update({field: value})


@pytest.mark.parametrize(
    ("key", "change", "field", "message"),
    [
        ("lantern", lambda r: r.update(theme="magic"), "theme", "'magic' is not a theme. Choose one of lantern-making, tide"),
        ("lantern", lambda r: r.update(also=["magic"]), "also[0]", "'magic' is not a theme"),
        ("lantern", lambda r: r.update(also=["lantern-making"]), "", "also repeats the theme 'lantern-making': remove it there"),
        ("lantern", lambda r: r.update(also=["tide-reading"] * 2), "", "also names a theme twice: remove one"),
        ("lantern", lambda r: r.update(kind="paper"), "kind", "'paper' is not one of 'method', 'benchmark'"),
        ("lantern", lambda r: r.update(colour="red"), "colour", "is not a field of a record. Fields here are title,"),
        ("lantern", lambda r: r.pop("authors"), "authors", "is missing. Add it."),
        ("lantern", lambda r: r.update(arxiv=2301.0001), "arxiv", "2301.0001 was read as a number. Put it in quotes."),
        ("lantern", lambda r: r.update(arxiv="2012.10160"), "", "date 2023-01-02 does not fit arXiv id 2012.10160"),
        ("lantern", lambda r: r.update(arxiv="2206.00002", date="2022-06-01"), "arxiv", "2206.00002 is the id of"),
        ("lantern", lambda r: r.update(title="No such paper"), "title", "'No such paper' is not in any dump."),
        ("lantern", lambda r: r.update(mechanism="two  spaces"), "mechanism", "has stray white space"),
        ("lantern", lambda r: r["code"].update({"url": "https://x.org/{here}"}), "code.url", "is no clean web address"),
        ("echo", lambda r: r["code"].update({"from": "abstract"}), "code.url", "is not in the abstract. Correct it"),
        ("lantern", lambda r: r["claims"][1].pop("id"), "claims[1].id", "is missing. Add it."),
        ("lantern", claim(1, "id", "lantern-3"), "", "claims: 'lantern-3' is given twice; keep one"),
        ("lantern", claim(1, "id", "tiger-2"), "claims[1].id", "'tiger-2' is no id of a claim here. Write the paper's key, a hy"),
        ("lantern", claim(1, "id", "lantern-2_b"), "claims[1].id", "does not have the form"),
        ("echo", claim(0, "id", "echo-keeper-notebook"), "claims[0].id", "'echo-keeper-notebook' is a claim of papers/echo-keeper"),
        ("lantern", claim(0, "quote", "improves brightness by 2.3%"), "claims[0].quote", "'improves brightness by 2.3%' is not in the abstract (it agrees up to 'roves brightness by ')."),
        ("lantern", claim(0, "quote", "lamp"), "claims[0].quote", "'lamp' occurs more than once in the abstract."),
        ("lantern", claim(0, "value", 3.2), "claims[0].value", "no number of the quote is 3.2. Correct the value"),
        ("lantern", claim(0, "value", 2), "claims[0].value", "no number of the quote is 2."),  # the 2 of Beacon-2 is a name
        ("lantern", lambda r: r["claims"][0].update(unit="points", basis="absolute"), "claims[0].unit", "the abstract has % after '4.2': unit is percent."),
        ("lantern", claim(2, "unit", "percent"), "claims[2].unit", "the abstract has no % after '8'"),
        ("lantern", claim(0, "metric", "accuracy"), "claims[0].metric", "'accuracy' is not in the abstract."),
        ("lantern", claim(0, "benchmark", "Harbour-10; Open Sea"), "claims[0].benchmark", "'Open Sea' is not in the abstract."),
        ("lantern", claim(0, "bound", "up-to"), "claims[0]", "an up-to claim has value_high equal to value"),
        ("lantern", claim(0, "value_high", 1.0), "claims[0]", "value_high must exceed value in a range"),
        ("lantern", claim(0, "value", "4.2"), "claims[0].value", "Input should be a valid number"),
        ("lantern", claim(0, "baseline_named", 1), "claims[0].baseline_named", "Input should be a valid boolean"),
        ("lantern", claim(0, "basis", "guessed"), "claims[0].basis", "'guessed' is not one of 'absolute', 'relative'"),
        ("lantern", claim(2, "basis", "unstated"), "claims[2]", "only a percentage leaves its basis open: say absolute or"),
        ("lantern", claim(3, "basis", "absolute"), "claims[3]", "a factor is relative: set basis to relative"),
        ("echo", claim(1, "basis", "relative"), "claims[1]", "only a gain can be relative: basis of a level or size is"),
        ("ferry", claim(3, "baseline_named", True), "claims[3]", "baseline_named is true but baseline is empty: quote the"),
        ("lantern", overlapping, "claims[1].quote", "overlaps the quote of claims[0]"),
        ("lantern", claimed_twice, "claims[5].value", "the number '4.2' is claimed by claims[0] already"),
        ("lantern", lambda r: r["numbers"].pop(), "numbers", "the number 'twice' in"),
        ("lantern", lambda r: r["numbers"].append(r["numbers"][0]), "numbers[2].quote", "the number '12' has an entry already"),
        ("lantern", lambda r: r["numbers"].append({"quote": "up to 31.5%", "role": "scale"}), "numbers[2].quote", "settles nothing: its numbers are stated by a claim"),
        ("lantern", lambda r: r["numbers"].append({"quote": "loses light", "role": "scale"}), "numbers[2].quote", "settles nothing: it holds no number"),
        ("lantern", lambda r: r["numbers"][0].update(role="size"), "numbers[0].role", "'size' is not one of 'gain'"),
        ("lantern", claim(4, "claim_type", "novelty"), "claims[4].claim_type", "'novelty' is not one of 'state-of-the-art'"),
        ("lantern", claim(4, "value", 3), "claims[4].value", "is not a field of a record. Fields here are id,"),
        ("lantern", claim(4, "type", "other"), "claims[4]", "has an unknown type. Write `type: quantitative` or"),
        ("lantern", lambda r: r["claims"][4].pop("type"), "claims[4]", "has no type. Add `type: quantitative` or"),
        ("lantern", verdict(0, "claim", "better"), "verdicts[0].claim", "'better' is no claim's quote. Copy the quote exactly."),
        ("lantern", verdict(0, "results", ["nothing"]), "verdicts[0].results", "there is no result 'nothing'. Name ids of results."),
        ("lantern", verdict(0, "results", []), "verdicts[0]", "no result is named: a verdict rests on results"),
        ("lantern", verdict(0, "strength", None), "verdicts[0]", "strength is shown or consistent, and left out"),
        ("lantern", verdict(2, "strength", "shown"), "verdicts[2]", "strength is shown or consistent, and left out"),
        ("lantern", verdict(2, "basis", "relative"), "verdicts[2].basis", "'relative' does not fit the claim, whose basis is absolute."),
        ("lantern", lambda r: r["verdicts"].append(r["verdicts"][0]), "", "verdicts: 'improves brightness by 4.2% over Beacon-2' is given twice; keep one"),
        ("lantern", lambda r: r["results"].append(r["results"][0]), "", "results: 'all-nights' is given twice; keep one"),
        ("lantern", lambda r: r["results"][0].pop("method_value"), "results[0]", "method_value is missing: add it, or say in flag"),
        ("lantern", lambda r: r["results"][0].pop("baseline"), "results[0]", "baseline_value has no baseline: name what it is"),
        ("lantern", lambda r: r["results"][0].update(confidence="sure"), "results[0].confidence", "'sure' is not one of 'high'"),
        ("lantern", lambda r: r["claims"].pop(1), "numbers", "the number '31.5' in"),
    ],
)  # fmt: skip
def test_each_fault_names_file_field_and_remedy(edit_mini, key, change, field, message):
    folder = edit_mini(f"papers/{key}", change)
    _, faults = read_review(folder)
    told = [fault for fault in faults if fault.file == f"papers/{key}.yaml" and fault.field.startswith(field)]
    assert any(message in fault.message for fault in told), [str(fault) for fault in faults]
    assert all("\n" not in fault.message for fault in told)
    with pytest.raises(ReviewError, match=rf"papers/{key}.yaml"):
        load_review(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: [", "line 2: is not well-formed YAML"),
        ("title: a\ntitle: b\n", "line 2: is not well-formed YAML (the field 'title' is given twice)"),
        ("- a\n- b\n", "holds no fields. Write `field: value` lines."),
        ("", "holds no fields"),
    ],
)
def test_a_malformed_record_is_named(mini_data, text, message):
    (mini_data / "papers" / "moor.yaml").write_text(text)
    _, faults = read_review(mini_data)
    assert any(message in str(fault) for fault in faults), [str(fault) for fault in faults]
    assert any(
        "'A Survey of Moonlight'" in fault.message and "has no record" in fault.message for fault in faults
    )


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        (lambda d: d.update(paper="nobody"), "paper", "'nobody' is no record. Name a file of papers/."),
        (lambda d: d.update(claim="better"), "claim", "'better' is no claim's quote in papers/lantern.yaml"),
        (lambda d: d.update(method="magic"), "", "'magic' is not among the arms: describe it there"),
        (lambda d: d.update(control="magic"), "", "'magic' is not among the arms"),
        (lambda d: d.pop("control"), "", "name a control arm, or say in no_control why there is none"),
        (lambda d: d.update(no_control="why not"), "", "name a control arm, or say in no_control"),
        (lambda d: d.update(regime="calm"), "", "'calm' is not among the regimes"),
        (lambda d: d.update(method=d["baseline"]), "", "a comparison has one arm twice"),
        (lambda d: d.update(better="up"), "better", "'up' is not one of 'higher' or 'lower'"),
        (lambda d: d["also"][0].pop("name"), "", "a comparison of also has no name: give it a slug"),
        (lambda d: d["also"][1].update(name="oil"), "", "also: the name 'oil' is given twice; keep one"),
        (lambda d: d["also"][0].update(name="No penalty"), "also[0].name", "does not have the form"),
        (lambda d: d["also"][0].update(colour="red"), "also[0].colour", "Fields here are name, question, regime, metric,"),
        (lambda d: d.pop("shows_not"), "shows_not", "is missing. Add it."),
    ],
)  # fmt: skip
def test_each_fault_of_a_lab_names_file_field_and_remedy(edit_mini, change, field, message):
    _, faults = read_review(edit_mini("labs/lantern", change))
    told = [fault for fault in faults if fault.file == "labs/lantern.yaml" and fault.field == field]
    assert any(message in fault.message for fault in told), [str(fault) for fault in faults]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "regime,arm\nmain,x\n",
            "has other columns than regime, arm, seed, metric, value. Run `ktreview lab run",
        ),
        (
            "regime,arm,seed,metric,value\nmist,plain lamp,0,brightness,1\n",
            "lacks brightness of plain lamp in the regime mist for some seeds",
        ),
        ("", "can't be read"),
    ],
)
def test_measurements_that_don_t_fit_are_named(mini_data, text, message):
    (mini_data / "labs" / "lantern.csv").write_text(text)
    _, faults = read_review(mini_data)
    assert [fault.file for fault in faults] == ["labs/lantern.csv"]
    assert message in faults[0].message
    assert "ktreview lab run lantern --save" in faults[0].message


def test_one_missing_seed_of_the_replication_is_named(mini_data):
    path = mini_data / "labs" / "lantern.csv"
    kept = [
        line for line in path.read_text("utf-8").splitlines() if not line.startswith("mist,still panes,207,")
    ]
    path.write_text("\n".join(kept) + "\n", encoding="utf-8")
    _, faults = read_review(mini_data)
    assert [fault.message.partition(" for some")[0] for fault in faults] == [
        "lacks brightness of still panes in the regime mist"
    ]


def test_measurements_of_no_lab_are_named(mini_data):
    (mini_data / "labs" / "nosuch.csv").write_text("regime,arm,seed,metric,value\n")
    _, faults = read_review(mini_data)
    assert [str(fault) for fault in faults] == [
        "labs/nosuch.csv: belongs to no lab. Declare it in a .yaml file beside it, or remove the file."
    ]


def test_a_lab_that_has_not_run_is_declared_and_in_no_frame(mini):
    assert "marsh" in mini.declared
    assert "marsh" not in set(mini.labs["lab"]) | set(mini.lab_runs["lab"])


def test_labs_are_in_the_order_of_their_papers(mini):
    assert list(mini.declared) == ["lantern", "marsh", "echo", "ferry"]


def test_a_changed_measurement_changes_the_digests_that_rest_on_it(mini_data, mini):
    path = mini_data / "labs" / "lantern.csv"
    text = path.read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if ",brightness," in line)
    path.write_text(text.replace(line, f"{line.rpartition(',')[0]},0.123", 1), encoding="utf-8")
    changed = load_review(mini_data)
    assert changed.digest() != mini.digest()
    assert changed.digest("lantern-making") != mini.digest("lantern-making")
    assert changed.digest("tide-reading") != mini.digest("tide-reading")  # its secondary theme
    assert changed.digest("cloud-naming") == mini.digest("cloud-naming")


def test_two_records_of_one_paper_are_named(mini_data):
    text = (mini_data / "papers" / "ferry.yaml").read_text("utf-8")
    (mini_data / "papers" / "ferry-2.yaml").write_text(text.replace("id: ferry-", "id: ferry-2-"), "utf-8")
    _, faults = read_review(mini_data)
    assert [str(fault) for fault in faults] == [
        "papers/ferry.yaml, title: papers/ferry-2.yaml has this title already. Remove one of the two."
    ]


def test_a_file_name_that_is_no_key_is_named(mini_data):
    (mini_data / "papers" / "moor.yaml").rename(mini_data / "papers" / "Moor_1.yaml")
    _, faults = read_review(mini_data)
    assert faults[0].message == "'Moor_1' is no key. Name the file in small letters, digits and hyphens."


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("themes.yaml", "a: b", "themes.yaml: is not a list."),
        ("themes.yaml", "- {key: a, title: A}", "themes.yaml, [0].question: is missing. Add it."),
        (
            "themes.yaml",
            "- {key: a, title: A, question: q}\n- {key: a, title: B, question: q}",
            "themes.yaml, [1].key: 'a' is given twice. Keep one.",
        ),
        ("daily-papers/later.txt", "nothing here", "daily-papers/later.txt: line 1: the title"),
        ("daily-papers/first.txt", "nothing here", "daily-papers/first.txt: line 1: the title"),
    ],
)
def test_broken_themes_and_dumps_are_named(mini_data, file, text, message):
    (mini_data / file).write_text(text)
    _, faults = read_review(mini_data)
    assert any(str(fault).startswith(message) for fault in faults), [str(fault) for fault in faults]


def test_a_dump_that_is_no_text_is_named(mini_data):
    (mini_data / "daily-papers" / "later.txt").write_bytes(b"\xff\xfe\x00")
    _, faults = read_review(mini_data)
    assert str(faults[0]).startswith("daily-papers/later.txt: is not UTF-8 text (")


def test_a_paper_of_two_dumps_is_one_and_its_abstract_may_not_differ(mini_data, mini):
    assert list(mini.papers["title"].str.startswith("LANTERN")).count(True) == 1
    path = mini_data / "daily-papers" / "later.txt"
    path.write_text(path.read_text("utf-8").replace("12 panes", "13 panes"), encoding="utf-8")
    _, faults = read_review(mini_data)
    (fault,) = faults
    assert str(fault) == (
        "daily-papers/later.txt, line 9: 'LANTERN: A Lamp That Outshines Itself' stands in an earlier dump with "
        "another abstract."
    )


def test_a_paper_without_a_record_is_named_with_its_line(mini_data):
    (mini_data / "papers" / "ferry.yaml").unlink()
    (mini_data / "labs" / "ferry.yaml").unlink()
    (mini_data / "labs" / "ferry.csv").unlink()
    _, faults = read_review(mini_data)
    assert [fault.message for fault in faults] == [
        "'FERRY: Carrying Light Across' (line 5 of the dump) has no record. Write one file papers/<key>.yaml."
    ]


def test_all_faults_are_told_at_once(mini_data, edit_mini):
    edit_mini("papers/lantern", lambda record: record.update(theme="magic"))
    edit_mini("papers/ferry", lambda record: record.update(kind="paper"))
    with pytest.raises(ReviewError) as caught:
        load_review(mini_data)
    assert {fault.file for fault in caught.value.faults} == {"papers/lantern.yaml", "papers/ferry.yaml"}
    assert str(caught.value).startswith("2 faults in the records\n")


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["claims"][0].update(bound="approx"),
        lambda record: record["numbers"][0].update(role="other"),
        lambda record: record.update(limits="Something else to be careful about."),
        lambda record: record.update(venue="Elsewhere 2020"),
        lambda record: record["results"][0].update(flag="read off a figure"),
    ],
)
def test_any_change_of_a_record_changes_the_digests_that_rest_on_it(mini, edit_mini, change):
    changed = load_review(edit_mini("papers/lantern", change))
    assert changed.digest() != mini.digest()
    for theme in mini.themes:
        touched = theme in (mini.records["lantern"].theme, *mini.records["lantern"].also)
        assert (changed.digest(theme) != mini.digest(theme)) == touched


def test_another_order_of_the_papers_changes_the_digests(mini, mini_data):
    dumps = mini_data / "daily-papers"
    (dumps / "first.txt").rename(dumps / "zz-first.txt")
    changed = load_review(mini_data)
    assert list(changed.papers["key"])[:2] == ["ferry", "lantern"]
    assert changed.digest() != mini.digest()
    assert changed.digest("lantern-making") != mini.digest("lantern-making")


def test_a_changed_theme_changes_every_digest(mini, mini_data):
    path = mini_data / "themes.yaml"
    path.write_text(path.read_text("utf-8").replace("stays of a sound", "is left of it"), encoding="utf-8")
    changed = load_review(mini_data)
    assert all(changed.digest(theme) != mini.digest(theme) for theme in (None, *mini.themes))


def test_unquoted_dates_and_yaml_words_stay_text(mini_data):
    path = mini_data / "papers" / "ferry.yaml"
    path.write_text(path.read_text("utf-8").replace('"2023-08-01"', "2023-08-01"), encoding="utf-8")
    assert load_review(mini_data).records["ferry"].date == "2023-08-01"


def test_gains_are_computed_in_their_own_unit(mini):
    results = mini.results.set_index(["paper", "benchmark", "metric"])
    points = ["gain_points", "gain_relative"]
    assert results.loc[("ferry", "Harbour-10", "brightness"), points].tolist() == pytest.approx([2.4, 4.0])
    late = results.loc[("marsh", "harbours of the east", "share of late tables")]
    assert late["gain_relative"] == pytest.approx(10)  # less is better, and 0.05 is a tenth of 0.5
    assert math.isnan(late["gain_points"])  # a difference of ratios is no number of points
    below_zero = results.loc[("echo", "EchoBench", "clearness")]
    assert below_zero["gain_points"] == pytest.approx(3.5)
    assert math.isnan(below_zero["gain_relative"])
    alone = mini.results[mini.results["baseline_value"].isna()]
    assert len(alone)
    assert alone[points].isna().all(axis=None)


def test_a_scale_without_a_zero_has_no_percentages(mini):
    results = mini.results.set_index(["paper", "metric"])
    trust, rank = results.loc[("marsh", "trust")], results.loc[("marsh", "rank")]
    assert trust["gain_points"] == -80
    assert math.isnan(trust["gain_relative"])
    assert math.isnan(rank["gain_points"])
    assert math.isnan(rank["gain_relative"])


def test_lower_is_better_turns_the_sign():
    fields = {"id": "a", "benchmark": "b", "metric": "m", "baseline": "x", "method": "y", "unit": "percent"}
    fields |= {
        "locator": "l",
        "source": "s",
        "confidence": "high",
        "baseline_value": 20.0,
        "method_value": 15.0,
    }
    assert gains(Result(better="lower", **fields)) == (5.0, 25.0)
    assert gains(Result(better="higher", **fields)) == (-5.0, -25.0)
    assert gains(Result(better="neutral", **fields)) == (None, None)


def test_what_a_verdict_settles_is_derived_and_the_abstract_s_basis_stays(mini):
    claims = mini.claims.set_index("id")[["basis", "resolved_basis"]]
    assert claims.loc["lantern-1"].tolist() == ["unstated", "relative"]
    assert claims.loc["lantern-2"].tolist() == ["unstated", "absolute"]
    assert claims.loc["lantern-3"].tolist() == ["absolute", "absolute"]
    assert claims.loc["ferry-beacon"].tolist() == ["unstated", "unresolved"]
    assert claims.loc["ferry-fog"].tolist() == ["unstated", "unstated"]
    assert claims.loc["echo-record"].tolist() == ["", ""]


def test_a_claim_carries_its_verdict_and_whether_its_baseline_is_named(mini):
    claims = mini.claims.set_index("id")
    verdicts = mini.verdicts.set_index("claim")
    for claim in claims.index:
        verdict = mini.verdict_of(claim)
        assert (verdict is not None) == (claim in verdicts.index)
        assert claims.loc[claim, "finding"] == (verdict.finding if verdict else "")
        assert claims.loc[claim, "strength"] == (verdict.strength or "" if verdict else "")
        assert [result.id for result in mini.results_of(claim)] == (verdict.results if verdict else [])
    assert claims.loc["ferry-beacon", ["finding", "strength"]].tolist() == ["confirmed", "consistent"]
    assert [result.method_value for result in mini.results_of("ferry-beacon")] == [62.4]
    assert mini.baseline_named == claims["baseline_named"].to_dict()
    assert mini.baseline_named["ferry-beacon"]
    assert not mini.baseline_named["ferry-relative"]


def test_a_review_says_in_a_line_what_it_holds(mini):
    assert repr(mini) == (
        "<Review: 4 themes, 7 papers, 26 claims, 42 numbers, 11 results, 7 verdicts, 3 labs, 256 lab runs>"
    )
    assert "<th>lab_runs</th><td>256</td>" in mini._repr_html_()


def test_frames_without_rows_keep_their_columns_and_types(mini):
    for name in COLUMNS:
        empty, full = frame_of(name, []), mini.frame(name)
        assert list(empty.columns) == list(full.columns)
        for column in full.columns[full.dtypes.map(lambda kind: kind.kind in "bif")]:
            assert empty[column].dtype == full[column].dtype, f"{name}.{column}"


def test_typed_rows_are_the_frame_s_rows(mini):
    typed = list(rows(mini.claims.assign(more=1), ClaimRow))
    assert [(row.id, row.value, row.finding) for row in typed if row.type == "quantitative"] == list(
        mini.claims.query("type == 'quantitative'")[["id", "value", "finding"]].itertuples(
            index=False, name=None
        )
    )
    assert not hasattr(typed[0], "more")
