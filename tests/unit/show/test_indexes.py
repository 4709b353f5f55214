"""The indexes: names where they really stand, and numbers compared only where they may be."""

from __future__ import annotations

import dataclasses
import re
from itertools import combinations

import pandas as pd
import pytest
import yaml
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from ktreview.analysis import comparability, names
from ktreview.analysis.comparability import Pairs, comparable, numbers_under
from ktreview.analysis.names import load_index, mentions
from ktreview.corpus.review import DATA, rows
from ktreview.show.tables import indexes
from ktreview.show.tables.indexes import index_page

INDEXES = ["benchmarks", "systems", "metrics"]
HOSTILE = "<script>alert(1)</script> WebQSP \"'&amp; \u202eevil"


def text_of(review, paper, where):
    if where == "abstract":
        return review.papers.set_index("key").loc[paper, "abstract"]
    frame = review.claims if where == "claim" else review.results
    fields = ["metric", "benchmark", "baseline", "quote" if where == "claim" else "method"]
    fields += [] if where == "claim" else ["setting"]
    own = frame[frame["paper"] == paper]
    return "\n\n".join(own[fields].to_numpy().ravel())


def touching(review, index, key, where=None):
    found = mentions(review)
    found = found[(found["index"] == index) & (found["key"] == key)]
    return list(dict.fromkeys(found.loc[found["where"] == where if where else slice(None), "paper"]))


def test_every_mention_really_stands_in_the_text(review):
    for row in rows(mentions(review)):
        text = text_of(review, row.paper, row.where)
        places = [match.start() for match in re.finditer(re.escape(row.alias), text)]
        assert any(
            not re.search(r"\w$", text[:at]) and not re.match(r"\w", text[at + len(row.alias) :])
            for at in places
        ), row
        assert row.alias in load_index()[row.index][row.key].aliases


def test_the_committed_index_has_no_fault(review):
    assert names.check_index(review) == []


def test_mentions_of_some_names_by_hand(review):
    assert touching(review, "benchmarks", "webqsp") == ["kg-traces"]
    assert touching(review, "benchmarks", "ms-coco") == ["vitpose", "vitpose-plus", "torchdistill"]
    assert touching(review, "systems", "supsup") == ["exssnet"]
    assert touching(review, "systems", "t5") == ["kaft", "easyedit"]
    assert touching(review, "systems", "llava-13b", "abstract") == ["comd"]
    assert touching(review, "systems", "rog") == ["kg-traces"]
    assert touching(review, "systems", "rog", "abstract") == []


@pytest.mark.parametrize(
    ("index", "key", "not_in"),
    [
        ("systems", "gpt-4", "csebenchmark"),  # GPT-4o
        ("systems", "gpt-4", "probmed"),  # GPT-4V
        ("systems", "cpa-attack", "gpt-cpa"),  # the accountants' examination
        ("systems", "kgcl-recommender", "kgcl"),  # the change language
        ("metrics", "map", "self-kd-qa"),  # mAP@k, a coefficient
        ("metrics", "factuality", "cook"),  # what a filter asks
        ("benchmarks", "mmlu", "graftllm"),  # MMLU-Pro
        ("benchmarks", "imagenet", "shda"),  # ImageNet-8
    ],
)
def test_a_name_inside_another_and_a_homonym_are_no_mention(review, index, key, not_in):
    assert not_in not in touching(review, index, key)
    assert touching(review, index, key)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("on WebQSP, and", ["webqsp"]),
        ("(WebQSP)", ["webqsp"]),
        ("WebQSP/CWQ", ["webqsp", "cwq"]),
        ("webqsp", []),
        ("MyWebQSP WebQSP2 WebQSP-hard x-WebQSP WebQSP+ WebQSP.1 @WebQSP", []),
        ("the end: WebQSP.", ["webqsp"]),
        ("Split MiniImageNet", ["miniimagenet"]),
        ("MS COCO", ["ms-coco"]),
    ],
)
def test_whole_words_in_their_case_and_the_longest(text, found):
    entries = load_index()["benchmarks"]
    assert [key for key, _ in names.spans(text, entries, "panda")] == found


def test_numbers_under_a_benchmark_by_hand(review):
    found = numbers_under(review, "benchmarks", "webqsp")
    claims = found[found["where"] == "claim"]
    assert dict(zip(claims["id"], claims["value"], strict=True)) == {"kg-traces-2": 1.6, "kg-traces-3": 4.7}
    results = found[found["where"] == "result"]
    assert list(results["value"]) == [87.1, 74.1]
    assert list(results["baseline_value"]) == [85.7, 70.8]
    assert set(results["kind"]) == {"level"}


def test_a_setting_mentions_but_gives_no_number(review):
    assert "kg-traces" in touching(review, "systems", "decaf")
    assert numbers_under(review, "systems", "decaf").empty


def test_a_number_that_a_claim_names_in_its_quote_is_under_the_name(review):
    assert "gpt-cpa-9" in set(numbers_under(review, "systems", "text-davinci-001")["id"])


@pytest.mark.parametrize(("index", "key"), [("benchmarks", "nothing"), ("colours", "webqsp")])
def test_an_unknown_name_is_refused(review, index, key):
    with pytest.raises(ValueError, match=f"there is no '{key}' in the index '{index}'"):
        numbers_under(review, index, key)


ROW = {
    "paper": "a", "where": "result", "id": "1", "kind": "level", "value": 80.0, "value_high": float("nan"), "unit": "percent",
    "bound": "exact", "better": "higher", "benchmark": "CIFAR-100", "metric": "accuracy", "setting": "ResNet-18; best of the table",
    "basis": "absolute", "baseline": "UNO", "baseline_named": True, "baseline_value": 70.0, "method": "M", "settled": False,
}  # fmt: skip


def number(**changes):
    return next(rows(pd.DataFrame([ROW | changes])))


def test_the_same_spelt_otherwise_and_with_other_remarks_may_be_compared():
    other = number(
        benchmark="CIFAR100", value=81.0, setting="ResNet-18; UNO 70.5", baseline="another", paper="b"
    )
    assert comparable(number(), other) == (True, "benchmark, metric, setting, unit and direction agree")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"value": float("nan")}, "the value is not stated for one"),
        ({"kind": "gain"}, "the kind of number differs: gain against level"),
        ({"benchmark": "CIFAR-10", "metric": "F1"}, "the benchmark differs: CIFAR-10 against CIFAR-100"),
        ({"benchmark": ""}, "the benchmark is not stated for one"),
        ({"metric": "F1"}, "the metric differs: F1 against accuracy"),
        ({"setting": ""}, "the setting is not stated for one"),
        ({"setting": "ResNet-18; 5 runs"}, "the setting differs: ResNet-18; 5 runs against ResNet-18; best of the table"),
        ({"unit": "ratio"}, "the unit differs: percent against ratio"),
        ({"better": "lower"}, "the direction differs: higher against lower"),
    ],
)  # fmt: skip
def test_the_first_thing_that_differs_is_the_reason(change, reason):
    assert comparable(number(), number(**change)) == (False, reason)
    assert comparable(number(**change), number()) == (False, reason)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, "benchmark, metric, setting, unit, direction, basis and baseline agree"),
        ({"basis": "relative"}, "the basis differs: absolute against relative"),
        ({"basis": "unstated"}, "the basis is not stated for one"),
        ({"baseline": "RoG"}, "the baseline differs: RoG against UNO"),
        ({"baseline_named": False}, "the baseline is not named for one"),
    ],
)
def test_gains_need_basis_and_baseline_too(change, reason):
    gain = number(kind="gain")
    assert comparable(gain, number(kind="gain", **change)) == (not change, reason)


def test_one_measurement_against_two_baselines_is_no_pair_and_two_methods_are():
    same = [number(id="1"), number(id="2", baseline="RoG", baseline_value=60.0)]
    assert Pairs(same).total == 0
    other = Pairs([*same[:1], number(id="2", method="N")])
    assert (other.total, other.alike, other.across) == (1, 1, 0)


def test_a_basis_that_a_verdict_settled_is_said_to_be(mini, monkeypatch):
    entry = load_index()["benchmarks"]["webqsp"].model_copy(
        update={"name": "Harbour-10", "aliases": ["Harbour-10"]}
    )
    for module in (names, comparability, indexes):
        monkeypatch.setattr(
            module, "load_index", lambda: {"benchmarks": {entry.key: entry}, "systems": {}, "metrics": {}}
        )
    page = BeautifulSoup(index_page(dataclasses.replace(mini), "benchmarks").html(), "html.parser")
    said = {row.a.get("data-claim"): row.select("td")[2].text for row in page.select("tbody tr")}
    assert said["lantern-1"] == "claimed gain, relative to the baseline (settled by results)"
    assert said["ferry-relative"] == "claimed gain, relative to the baseline"


def test_words_alike_are_no_baseline_alike():
    unnamed = number(kind="gain", baseline="existing SOTA", baseline_named=False)
    assert comparable(unnamed, unnamed) == (False, "the baseline is not named for both")


NUMBERS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["gain", "level"]),
        "value": st.sampled_from([1.0, 2.0, float("nan")]),
        "benchmark": st.sampled_from(["", "WebQSP", "web-qsp", "CWQ"]),
        "metric": st.sampled_from(["F1", "f1", ""]),
        "setting": st.sampled_from(["", "zero-shot", "zero-shot; best of 3", "zero-shot; x 1.5", "few-shot"]),
        "unit": st.sampled_from(["percent", "points"]),
        "basis": st.sampled_from(["absolute", "relative", "unstated"]),
        "baseline": st.sampled_from(["", "RoG", "DECAF"]),
        "baseline_named": st.booleans(),
    }
).map(lambda fields: number(**fields))


@given(NUMBERS, NUMBERS, NUMBERS)
def test_comparable_is_symmetric_and_transitive_and_fails_on_itself_only_for_silence(a, b, c):
    assert comparable(a, b) == comparable(b, a)
    if comparable(a, b)[0] and comparable(b, c)[0]:
        assert comparable(a, c)[0]
    ok, reason = comparable(a, a)
    assert ok or "is not stated for both" in reason or "is not named for both" in reason


def test_a_number_claimed_in_an_abstract_is_comparable_with_no_other(review):
    for index in INDEXES:
        for key in load_index()[index]:
            for a, b in combinations(rows(numbers_under(review, index, key)), 2):
                if "claim" in (a.where, b.where):
                    assert not comparable(a, b)[0]


def test_results_that_share_a_setting_may_be_compared(review):
    found = [row for row in rows(numbers_under(review, "benchmarks", "elevater")) if "B/16" in row.setting]
    assert len(found) == 3
    assert all(comparable(a, b)[0] for a, b in combinations(found, 2))
    large = next(
        row for row in rows(numbers_under(review, "benchmarks", "elevater")) if "L/14" in row.setting
    )
    assert all("the setting differs" in comparable(large, row)[1] for row in found)


@pytest.fixture(scope="module", params=INDEXES)
def page(request, review):
    table = index_page(review, request.param)
    return request.param, table, BeautifulSoup(table.html(), "html.parser")


def test_the_page_has_an_anchor_a_name_by_papers_then_name(review, page):
    index, table, soup = page
    sections = soup.select("section")
    assert [section["id"] for section in sections] == [f"{index}-{key}" for key in table.data["key"]]
    assert len({element["id"] for element in soup.select("[id]")}) == len(soup.select("[id]"))
    order = list(zip(-table.data["papers"], table.data["name"].str.casefold(), strict=True))
    assert order == sorted(order)
    found = mentions(review)
    for section, key in zip(sections, table.data["key"], strict=True):
        linked = {link["data-paper"] for link in section.select("p a")}
        assert linked == set(found.loc[(found["index"] == index) & (found["key"] == key), "paper"])
        assert len(section.select("tbody tr")) == len(numbers_under(review, index, key))
    assert {link["href"][1:] for link in soup.select("details > p a")} == {s["id"] for s in sections}


def test_the_page_s_counts_are_those_of_all_pairs(review, page):
    index, table, soup = page
    for row in rows(table.data):
        pairs = [
            (a, b)
            for a, b in combinations(rows(numbers_under(review, index, row.key)), 2)
            if not (comparable(a, b)[0] and (a.paper, a.method, a.value) == (b.paper, b.method, b.value))
        ]
        assert row.pairs == len(pairs)
        section = soup.select_one(f"#{index}-{row.key}")
        against = re.findall(r": (\d+) pair", section.text)
        assert sum(map(int, against)) == len(pairs) - sum(comparable(a, b)[0] for a, b in pairs)
    alike = int(table.data["may be compared"].sum())
    assert f"may be compared: {alike} of {table.data['pairs'].sum()}." in table.title


def test_a_group_is_shown_with_each_of_its_numbers(review):
    soup = BeautifulSoup(index_page(review, "benchmarks").html(), "html.parser")
    said = [row.select("td")[-1].text for row in soup.select("#benchmarks-elevater tbody tr")]
    assert sorted(said) == ["no: setting differs", *["with group 1"] * 3]
    said = [row.select("td")[-1].text for row in soup.select("#benchmarks-webqsp tbody tr")]
    assert said == ["no: metric differs", "no: metric differs", "no: metric differs", "no: metric differs"]


def test_an_unknown_index_is_refused(review):
    with pytest.raises(ValueError, match="there is no index 'colours'"):
        index_page(review, "colours")


@pytest.mark.slow
def test_the_same_bytes_come_out_of_a_review_of_its_own(review):
    copy = dataclasses.replace(review)
    for index in INDEXES:
        assert index_page(copy, index).html() == index_page(review, index).html()


def test_another_review_has_other_mentions_and_the_first_keeps_its_own(review):
    before = len(mentions(review))
    assert mentions(dataclasses.replace(review, results=review.results.iloc[:0]))["where"].ne("result").all()
    assert len(mentions(review)) == before


def test_hostile_words_stay_words(review):
    results, claims = review.results.copy(), review.claims.copy()
    own = results["paper"] == "kg-traces"
    results.loc[own, ["benchmark", "metric", "method", "setting", "baseline"]] = HOSTILE
    claims.loc[claims["id"] == "kg-traces-2", ["metric", "benchmark", "baseline"]] = HOSTILE
    html = index_page(dataclasses.replace(review, results=results, claims=claims), "benchmarks").html()
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 5


def broken(tmp_path, change):
    content = yaml.safe_load((DATA / "index.yaml").read_text(encoding="utf-8"))
    change(content)
    (tmp_path / "index.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return tmp_path


WEBQSP = 12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["metrics"][0]["aliases"].append("flavour"), "index.yaml, metrics, accuracy: 'flavour' stands in no abstract"),
        (lambda c: c["metrics"][0]["aliases"].append("WebQSP"), r"index.yaml, metrics\[0\].aliases\[1\]: 'WebQSP' is an alias in benchmarks\[12\] already"),
        (lambda c: c["metrics"][0].update(homonym_in=["nobody"]), "homonym_in names 'nobody', where no alias stands"),
        (lambda c: c["benchmarks"].append(c["benchmarks"][WEBQSP]), r"benchmarks\[\d+\].key: 'webqsp' is given twice"),
        (lambda c: c["systems"][0].update(aliases=[]), r"index.yaml, systems\[0\].aliases: "),
        (lambda c: c["systems"][0].update(colour="red"), "colour: is not a field of a record"),
        (lambda c: c["systems"].append("GPT-4"), r"systems\[\d+\]: holds no fields"),
        (lambda c: c.update(colours=[]), "does not hold the indexes benchmarks, systems, metrics and no other"),
    ],
)  # fmt: skip
def test_a_fault_of_the_index_is_told_with_its_place(review, tmp_path, change, message):
    faults = [str(fault) for fault in names.check_index(review, broken(tmp_path, change))]
    assert any(re.search(message, fault) for fault in faults), faults


def test_an_alias_that_only_stands_in_longer_names_stands_nowhere(review, tmp_path):
    def change(content):
        content["benchmarks"][WEBQSP]["aliases"].append("Stanford")

    faults = names.check_index(review, broken(tmp_path, change))
    assert [fault.message.split(" stands")[0] for fault in faults] == ["'Stanford'"]


def test_a_missing_index_is_a_fault(review, tmp_path):
    assert "can't be read" in str(names.check_index(review, tmp_path)[0])


def test_hostile_names_stay_words(review, monkeypatch):
    entry = load_index()["metrics"]["f1"].model_copy(update={"name": HOSTILE, "what": HOSTILE})
    index = {"benchmarks": {}, "systems": {}, "metrics": {"f1": entry}}
    for module in (names, comparability, indexes):
        monkeypatch.setattr(module, "load_index", lambda: index)
    html = index_page(dataclasses.replace(review), "metrics").html()
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 5
