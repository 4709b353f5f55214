"""The frames' contract, and one readable error for every kind of fault."""

from __future__ import annotations

import math
import re
import time

import pytest
import yaml

from ktreview import COLUMNS, ReviewError, load_review, read_review
from ktreview.corpus.outcomes import gains
from ktreview.corpus.records import Result
from ktreview.corpus.wording import plain

CONTRACT = {
    "papers": "key, n, title, system, kind, theme, also, arxiv, authors, date, venue, code, abstract",
    "claims": "id, paper, theme, type, kind, quote, start, end, value, value_high, unit, basis, "
    "resolved_basis, bound, metric, benchmark, baseline, better, claim_type, hedged",
    "numbers": "paper, text, start, end, role, claim",
    "results": "paper, theme, benchmark, setting, metric, better, baseline, baseline_value, method, "
    "method_value, unit, gain_points, gain_relative, locator, source, confidence",
    "verdicts": "paper, claim, finding, basis, strength, why",
    "labs": "lab, paper, theme, question, claim, metric, better, baseline, method, control, n, "
    "baseline_mean, method_mean, effect, low, high, p, dz, wins, rep_effect, rep_low, rep_high, "
    "verdict, seconds",
    "lab_runs": "lab, paper, regime, arm, seed, metric, value",
}


def test_frames_have_the_columns_that_others_rely_on(review):
    assert set(COLUMNS) == set(CONTRACT)
    for name, columns in CONTRACT.items():
        assert ", ".join(review.frame(name).columns) == columns


def test_all_papers_are_recorded_in_the_order_of_the_dump(review):
    assert len(review.papers) == 72
    assert list(review.papers["n"]) == list(range(1, 73))
    assert review.papers["key"].is_unique
    assert set(review.papers["theme"]) == set(review.themes)


def test_every_quote_stands_where_its_offsets_say_and_no_two_overlap(review):
    abstracts = review.papers.set_index("key")["abstract"]
    for paper, claims in review.claims.groupby("paper"):
        last = 0
        for row in claims.itertuples():
            assert abstracts[paper][row.start : row.end] == row.quote
            assert abstracts[paper].count(row.quote) == 1
            assert row.start >= last
            last = row.end
        assert claims["id"].str.startswith(f"{paper}-").all()
    assert review.claims["id"].is_unique


def test_every_digit_of_every_abstract_is_in_the_ledger_once(review):
    numbers = review.numbers
    assert numbers["role"].notna().all()
    for row in review.papers.itertuples():
        mine = numbers[numbers["paper"] == row.key]
        assert all(row.abstract[n.start : n.end] == n.text for n in mine.itertuples())
        held = [place for n in mine.itertuples() for place in range(n.start, n.end)]
        assert len(held) == len(set(held))
        assert {match.start() for match in re.finditer(r"\d", row.abstract)} <= set(held)


def test_each_claim_has_its_number_in_the_ledger(review):
    stated = review.numbers[review.numbers["claim"] != ""]
    numeric = review.claims[review.claims["type"] == "quantitative"]
    assert set(stated["claim"]) == set(numeric["id"])
    kinds = numeric.set_index("id")["kind"]
    assert all(kinds[row.claim] == row.role for row in stated.itertuples())


def test_claims_agree_with_the_abstract_around_them(review):
    abstracts = review.papers.set_index("key")["abstract"]
    for row in review.claims.itertuples():
        assert ("%" in plain(row.quote)) or row.unit != "percent", row.id
        for words in (row.metric, row.benchmark, row.baseline):
            assert all(part in abstracts[row.paper] for part in words.split("; ")), row.id


def test_loading_takes_well_under_a_second(review):
    times = []
    for _ in range(3):  # the shortest: other work on the machine only ever adds
        start = time.process_time()
        again = load_review()
        times.append(time.process_time() - start)
    assert min(times) < 0.8
    assert again.digest() == review.digest()


def claim(place, field, value):
    return lambda record: record["claims"][place].update({field: value})


def overlapping(record):
    record["claims"][2]["quote"] = "2.3% average score (up to 24.1%"


def claimed_twice(record):
    record["claims"].append(record["claims"][1] | {"id": "panda-again"})


def verdict(place, field, value):
    return lambda record: record["verdicts"][place].update({field: value})


@pytest.mark.parametrize(
    ("key", "change", "field", "message"),
    [
        ("panda", lambda r: r.update(theme="magic"), "theme", "'magic' is not a theme. Choose one of knowledge-d"),
        ("panda", lambda r: r.update(also=["magic"]), "also[0]", "'magic' is not a theme"),
        ("panda", lambda r: r.update(kind="paper"), "kind", "'paper' is not one of 'method', 'benchmark'"),
        ("panda", lambda r: r.update(colour="red"), "colour", "is not a field of a record. Fields here are title,"),
        ("panda", lambda r: r.pop("authors"), "authors", "is missing. Add it."),
        ("panda", lambda r: r.update(arxiv=2208.1016), "arxiv", "2208.1016 was read as a number. Put it in quotes."),
        ("panda", lambda r: r.update(arxiv="2012.10160"), "", "date 2022-08-22 does not fit arXiv id 2012.10160"),
        ("panda", lambda r: r.update(arxiv="2506.00783", date="2025-06-01"), "arxiv", "2506.00783 is the id of"),
        ("panda", lambda r: r.update(title="No such paper"), "title", "'No such paper' is not in any dump."),
        ("panda", lambda r: r.update(mechanism="two  spaces"), "mechanism", "has stray white space"),
        ("panda", lambda r: r["code"].update({"url": "https://x.org/{here}"}), "code.url", "is no clean web address"),
        ("panda", lambda r: r["code"].update({"from": "abstract"}), "code.url", "is not in the abstract. Correct it"),
        ("panda", lambda r: r["claims"][1].pop("id"), "claims[1].id", "is missing. Add it."),
        ("panda", claim(1, "id", "panda-3"), "", "claims: 'panda-3' is given twice; keep one"),
        ("panda", claim(1, "id", "tiger-2"), "claims[1].id", "'tiger-2' is no id of a claim here. Write the paper's key, a hy"),
        ("panda", claim(1, "id", "panda-2_b"), "claims[1].id", "does not have the form"),
        ("vitpose", claim(0, "id", "vitpose-plus-1"), "claims[0].id", "'vitpose-plus-1' is a claim of papers/vitpose-plus"),
        ("panda", claim(1, "quote", "improves by 2.3%"), "claims[1].quote", "'improves by 2.3%' is not in the abstract"),
        ("panda", claim(1, "quote", "the"), "claims[1].quote", "'the' occurs more than once in the abstract."),
        ("panda", claim(1, "value", 3.2), "claims[1].value", "no number of the quote is 3.2. Correct the value"),
        ("panda", lambda r: r["claims"][1].update(unit="points", basis="absolute"), "claims[1].unit", "the abstract has % after '2.3': unit is percent."),
        ("vega", claim(0, "unit", "percent"), "claims[0].unit", "the abstract has no % after '4'"),
        ("panda", claim(1, "metric", "accuracy"), "claims[1].metric", "'accuracy' is not in the abstract."),
        ("panda", claim(1, "bound", "up-to"), "claims[1]", "an up-to claim has value_high equal to value"),
        ("panda", claim(1, "value_high", 1.0), "claims[1]", "value_high must exceed value in a range"),
        ("panda", claim(1, "basis", "guessed"), "claims[1].basis", "'guessed' is not one of 'absolute', 'relative'"),
        ("panda", overlapping, "claims[2].quote", "overlaps the quote of claims[1]"),
        ("panda", claimed_twice, "claims[4].value", "the number '2.3' is claimed by claims[1] already"),
        ("panda", lambda r: r["numbers"].pop(), "numbers", "the number '5' in"),
        ("panda", lambda r: r["numbers"].append(r["numbers"][0]), "numbers[5].quote", "has an entry already"),
        ("panda", lambda r: r["numbers"].append({"quote": "up to 24.1%", "role": "scale"}), "numbers[5].quote", "settles nothing: its numbers are stated by a claim"),
        ("panda", lambda r: r["numbers"].append({"quote": "Prompt-tuning", "role": "scale"}), "numbers[5].quote", "settles nothing: it holds no number"),
        ("panda", lambda r: r["numbers"][0].update(role="size"), "numbers[0].role", "'size' is not one of 'gain'"),
        ("panda", claim(0, "claim_type", "novelty"), "claims[0].claim_type", "'novelty' is not one of 'state-of-the-art'"),
        ("panda", claim(0, "value", 3), "claims[0].value", "is not a field of a record. Fields here are id,"),
        ("panda", claim(0, "type", "other"), "claims[0]", "has an unknown type. Write `type: quantitative` or"),
        ("panda", lambda r: r["claims"][0].pop("type"), "claims[0]", "has no type. Add `type: quantitative` or"),
        ("panda", verdict(0, "claim", "better"), "verdicts[0].claim", "'better' is no claim's quote. Copy the quote exactly."),
        ("panda", verdict(0, "results", ["nothing"]), "verdicts[0].results", "there is no result 'nothing'. Name ids of results."),
        ("panda", verdict(0, "results", []), "verdicts[0]", "no result is named: a verdict rests on results"),
        ("panda", verdict(0, "strength", None), "verdicts[0]", "strength is shown or consistent, and left out"),
        ("neurocomparatives", lambda r: r.update(verdicts=[{"claim": "10X larger", "finding": "unresolved", "basis": "absolute", "why": "x"}]), "verdicts[0].basis", "'absolute' does not fit the claim, whose basis is relative."),
        ("panda", lambda r: r["results"].append(r["results"][0]), "", "is given twice; keep one"),
        ("kg-traces", lambda r: r["results"][0].pop("method_value"), "results[0]", "method_value is missing: add it, or say in flag"),
        ("panda", lambda r: r["results"][0].pop("baseline"), "results[0]", "baseline_value has no baseline: name what it is"),
        ("panda", lambda r: r["results"][0].update(confidence="sure"), "results[0].confidence", "'sure' is not one of 'high'"),
        ("panda", lambda r: r["claims"].pop(2), "numbers", "the number '24.1' in"),
    ],
)  # fmt: skip
def test_each_fault_names_file_field_and_remedy(edit, key, change, field, message):
    _, faults = read_review(edit(key, change))
    told = [fault for fault in faults if fault.file == f"papers/{key}.yaml" and fault.field.startswith(field)]
    assert any(message in fault.message for fault in told), [str(fault) for fault in faults]
    assert all("\n" not in fault.message for fault in told)
    with pytest.raises(ReviewError, match=rf"papers/{key}.yaml"):
        load_review(edit(key, lambda _: None))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: [", "line 2: is not well-formed YAML"),
        ("title: a\ntitle: b\n", "line 2: is not well-formed YAML (the field 'title' is given twice)"),
        ("- a\n- b\n", "holds no fields. Write `field: value` lines."),
        ("", "holds no fields"),
    ],
)
def test_a_malformed_record_is_named(data, text, message):
    (data / "papers" / "panda.yaml").write_text(text)
    _, faults = read_review(data)
    assert any(message in str(fault) for fault in faults), [str(fault) for fault in faults]
    assert any(
        "'PANDA: Prompt Transfer" in fault.message and "has no record" in fault.message for fault in faults
    )


def lab_file(data, change):
    path = data / "labs" / "fantastic-gains.yaml"
    declared = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(declared)
    path.write_text(yaml.safe_dump(declared, allow_unicode=True), encoding="utf-8")
    return data


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        (lambda d: d.update(paper="nobody"), "paper", "'nobody' is no record. Name a file of papers/."),
        (lambda d: d.update(claim="better"), "claim", "'better' is no claim's quote in papers/fantastic-gains.yaml"),
        (lambda d: d.update(method="magic"), "", "'magic' is not among the arms: describe it there"),
        (lambda d: d.update(control="magic"), "", "'magic' is not among the arms"),
        (lambda d: d.pop("control"), "", "name a control arm, or say in no_control why there is none"),
        (lambda d: d.update(no_control="why not"), "", "name a control arm, or say in no_control"),
        (lambda d: d.update(regime="calm"), "", "'calm' is not among the regimes"),
        (lambda d: d.update(method=d["baseline"]), "", "a comparison has one arm twice"),
        (lambda d: d.update(better="up"), "better", "'up' is not one of 'higher' or 'lower'"),
        (lambda d: d["also"][0].pop("name"), "", "a comparison of also has no name: give it a slug"),
        (lambda d: d["also"][1].update(name="control"), "", "also: the name 'control' is given twice; keep one"),
        (lambda d: d["also"][0].update(name="No penalty"), "also[0].name", "does not have the form"),
        (lambda d: d["also"][0].update(colour="red"), "also[0].colour", "Fields here are name, question, regime, metric,"),
        (lambda d: d.pop("shows_not"), "shows_not", "is missing. Add it."),
    ],
)  # fmt: skip
def test_each_fault_of_a_lab_names_file_field_and_remedy(data, change, field, message):
    _, faults = read_review(lab_file(data, change))
    told = [fault for fault in faults if fault.file == "labs/fantastic-gains.yaml" and fault.field == field]
    assert any(message in fault.message for fault in told), [str(fault) for fault in faults]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "regime,arm\nmain,x\n",
            "has other columns than regime, arm, seed, metric, value. Run `ktreview lab run",
        ),
        (
            "regime,arm,seed,metric,value\nweaker,KL everywhere,0,accuracy,1\n",
            "lacks accuracy of KL everywhere in the",
        ),
        ("", "can't be read"),
    ],
)
def test_measurements_that_don_t_fit_are_named(data, text, message):
    (data / "labs" / "fantastic-gains.csv").write_text(text)
    _, faults = read_review(data)
    assert [fault.file for fault in faults] == ["labs/fantastic-gains.csv"]
    assert message in faults[0].message
    assert "ktreview lab run fantastic-gains --save" in faults[0].message


def test_measurements_of_no_lab_are_named(data):
    (data / "labs" / "nosuch.csv").write_text("regime,arm,seed,metric,value\n")
    _, faults = read_review(data)
    assert [str(fault) for fault in faults] == [
        "labs/nosuch.csv: belongs to no lab. Declare it in a .yaml file beside it, or remove the file."
    ]


def test_a_lab_that_has_not_run_is_declared_and_in_no_frame(data, review):
    (data / "labs" / "fantastic-gains.csv").unlink()
    found = load_review(data)
    assert list(found.declared) == list(review.declared)
    assert "fantastic-gains" not in set(found.labs["lab"])


def test_a_changed_measurement_changes_the_digests_that_rest_on_it(data, review):
    path = data / "labs" / "fantastic-gains.csv"
    text = path.read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if ",accuracy," in line)
    path.write_text(text.replace(line, f"{line.rpartition(',')[0]},0.123", 1), encoding="utf-8")
    changed = load_review(data)
    assert changed.digest() != review.digest()
    assert changed.digest("knowledge-distillation") != review.digest("knowledge-distillation")
    assert changed.digest("knowledge-editing") == review.digest("knowledge-editing")


def test_two_records_of_one_paper_are_named(data):
    text = (data / "papers" / "panda.yaml").read_text("utf-8")
    (data / "papers" / "panda-2.yaml").write_text(text.replace("id: panda-", "id: panda-2-"), "utf-8")
    _, faults = read_review(data)
    assert [str(fault) for fault in faults] == [
        "papers/panda.yaml, title: papers/panda-2.yaml has this title already. Remove one of the two."
    ]


def test_a_file_name_that_is_no_key_is_named(data):
    (data / "papers" / "cakt.yaml").rename(data / "papers" / "Cakt_1.yaml")
    _, faults = read_review(data)
    assert faults[0].message == "'Cakt_1' is no key. Name the file in small letters, digits and hyphens."


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("themes.yaml", "a: b", "themes.yaml: is not a list."),
        ("themes.yaml", "- {key: a, title: A}", "themes.yaml, [0].question: is missing. Add it."),
        ("daily-papers/daily-papers.txt", "nothing here", "daily-papers/daily-papers.txt: line 1: the title"),
    ],
)
def test_broken_themes_and_dumps_are_named(data, file, text, message):
    (data / file).write_text(text)
    review, faults = read_review(data)
    assert review is None
    assert any(str(fault).startswith(message) for fault in faults), [str(fault) for fault in faults]


def test_all_faults_are_told_at_once(data, edit):
    edit("panda", lambda record: record.update(theme="magic"))
    edit("cuber", lambda record: record.update(kind="paper"))
    with pytest.raises(ReviewError) as caught:
        load_review(data)
    assert {fault.file for fault in caught.value.faults} == {"papers/panda.yaml", "papers/cuber.yaml"}
    assert str(caught.value).startswith("2 faults in the records\n")


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["claims"][1].update(bound="approx"),
        lambda record: record["numbers"][0].update(role="other"),
        lambda record: record.update(limits="Something else to be careful about."),
        lambda record: record.update(venue="Elsewhere 2020"),
    ],
)
def test_any_change_of_a_record_changes_the_digests_that_rest_on_it(review, edit, change):
    changed = load_review(edit("panda", change))
    assert changed.digest() != review.digest()
    for theme in review.themes:
        touched = theme in (review.records["panda"].theme, *review.records["panda"].also)
        assert (changed.digest(theme) != review.digest(theme)) == touched


def test_unquoted_dates_and_yaml_words_stay_text(data):
    path = data / "papers" / "panda.yaml"
    path.write_text(path.read_text().replace('"2022-08-22"', "2022-08-22"))
    assert load_review(data).records["panda"].date == "2022-08-22"


def test_gains_are_computed_in_their_own_unit(review):
    results = review.results.set_index(["paper", "benchmark", "metric"])
    hits = results.loc[("kg-traces", "WebQSP", "Hits@1")]
    assert hits["gain_points"] == pytest.approx(1.4)
    assert hits["gain_relative"] == pytest.approx(100 * 1.4 / 85.7)
    ratios = review.results[review.results["unit"] == "ratio"]
    assert ratios["gain_points"].isna().all()
    changes = review.results[review.results["baseline_value"] <= 0]
    assert len(changes)
    assert changes["gain_relative"].isna().all()
    alone = review.results[review.results["baseline_value"].isna()]
    assert alone[["gain_points", "gain_relative"]].isna().all(axis=None)


def test_a_scale_without_a_zero_has_no_percentages(review):
    results = review.results.set_index(["paper", "metric"])
    elo, rank = results.loc[("openmedlab", "Elo rating")], results.loc[("openmedlab", "average rank")]
    assert elo["gain_points"] == 3
    assert math.isnan(elo["gain_relative"])
    assert math.isnan(rank["gain_points"])
    assert math.isnan(rank["gain_relative"])
    marks = results.loc[("ideation-execution", "overall score")]
    assert marks["gain_points"].notna().all()
    assert marks["gain_relative"].isna().all()


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


def test_what_a_verdict_settles_is_derived_and_the_abstract_s_basis_stays(review):
    claims = review.claims.set_index("id")
    settled = review.verdicts[review.verdicts["basis"] != ""]
    assert len(settled) > 10
    for row in settled.itertuples():
        assert claims.loc[row.claim, "resolved_basis"] == row.basis
        assert claims.loc[row.claim, "basis"] == "unstated"
    rest = claims[~claims.index.isin(settled["claim"])]
    assert (rest["resolved_basis"] == rest["basis"]).all()


def test_a_shown_basis_is_shown_by_the_arithmetic(review):
    """A gain that tables show to be relative (absolute) has its value among their relative (absolute) gains."""
    for key, record in review.records.items():
        for verdict in record.verdicts:
            if verdict.strength != "shown" or verdict.basis not in ("absolute", "relative"):
                continue
            claim = next(claim for claim in record.claims if claim.quote == verdict.claim)
            place = 1 if verdict.basis == "relative" else 0
            found = [gains(result)[place] for result in record.results if result.id in verdict.results]
            digits = len(f"{claim.value:g}".partition(".")[2])
            assert any(
                round(gain, digits) == claim.value or (gain >= claim.value and claim.bound == "at-least")
                for gain in found
            ), (key, found)
