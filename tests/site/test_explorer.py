"""The claims explorer in a browser, opened from a folder: what each filter shows, and what the address keeps."""

from __future__ import annotations

import re
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest
from playwright.sync_api import expect

from ktreview.corpus import wording

SHOWN = """() => [...document.querySelectorAll(".kt-explorer tbody tr")]
  .filter((row) => row.checkVisibility())
  .map((row) => row.querySelector("a").dataset.claim)"""
VIEW = "?theme=kg-and-llm&kind=gain&verdict=confirmed"
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def home(site):
    return (site / "book" / "evidence" / "claims.html").as_uri()


@pytest.fixture
def page(browser, home):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.goto(home)
    yield page
    context.close()


@pytest.fixture(scope="module")
def values(review) -> pd.DataFrame:
    """What each claim is found by, from the frames: sets of values, by claim."""
    claims = review.claims.set_index("id", drop=False)
    finding = review.verdicts.set_index("claim")["finding"]

    def several(name):
        return claims[name].map(lambda words: set(wording.plain(words or "not-stated").split("; ")))

    def baseline(claim):
        if not claims["baseline"][claim]:
            return "not-stated"
        return "named" if review.baseline_named[claim] else "not-named"

    single = pd.DataFrame(
        {
            "theme": claims["theme"],
            "type": claims["type"],
            "kind": claims["kind"] + claims["claim_type"],
            "basis": claims["basis"],
            "bound": claims["bound"],
            "baseline": claims["id"].map(baseline),
            "verdict": claims["id"].map(lambda claim: finding.get(claim, "none")),
            "hedged": claims["hedged"].map({True: "yes", False: "no"}).fillna(""),
        }
    ).map(lambda value: {value} - {""})
    return single.assign(metric=several("metric"), benchmark=several("benchmark"))


def fitting(values, **chosen):
    """The claims that fit all filters, in order."""
    fits = [all(value in row[name] for name, value in chosen.items()) for _, row in values.iterrows()]
    return list(values.index[fits])


def control(page, name):
    return page.locator(f".kt-explorer [name={name}]")


def choose(page, name, value):
    control(page, name).select_option(value)
    kept(page, name, value)


def search(page, words):
    control(page, "words").fill(words)
    kept(page, "words", words.strip())


def kept(page, name, value):
    """Wait until the address keeps a filter, which it does after the rows show it."""
    page.wait_for_function(
        "([name, value]) => (new URLSearchParams(location.search).get(name) ?? '') === value",
        arg=[name, value],
    )


def shows(page, claims):
    """Assert that exactly these claims are shown and that the live region says how many."""
    assert page.evaluate(SHOWN) == list(claims)
    expect(page.locator(".kt-explorer [role=status]")).to_have_text(
        re.compile(rf"^{len(claims)} of \d+ claims shown\.")
    )


def options(page, name):
    found = control(page, name).locator("option").evaluate_all("all => all.map((one) => one.value)")
    return [value for value in found if value]


def test_all_claims_are_shown_at_first(page, review):
    shows(page, review.claims["id"])
    assert urlsplit(page.url).query == ""


@pytest.mark.parametrize(
    "name",
    ["theme", "type", "kind", "basis", "bound", "metric", "benchmark", "baseline", "verdict", "hedged"],
)
def test_each_option_of_a_filter_shows_the_claims_that_have_it(page, values, name):
    found = options(page, name)
    assert set(found) == set().union(*values[name])
    for value in found:
        choose(page, name, value)
        shows(page, fitting(values, **{name: value}))


@pytest.mark.parametrize(
    "chosen",
    [
        {"type": "quantitative", "basis": "unstated"},
        {"kind": "gain", "verdict": "confirmed", "theme": "kg-and-llm"},
        {"theme": "continual-learning", "hedged": "yes"},
        {"kind": "gain", "baseline": "not-named", "bound": "up-to"},
        {"metric": "Hits@1", "benchmark": "WebQSP"},
        {"type": "qualitative", "verdict": "overstated"},
    ],
    ids=lambda chosen: " ".join(chosen.values()),
)
def test_filters_together_show_what_fits_all_and_leave_one_by_one(page, values, chosen):
    for name, value in chosen.items():
        choose(page, name, value)
    assert fitting(values, **chosen)
    shows(page, fitting(values, **chosen))
    left = dict(chosen)
    for name in chosen:
        choose(page, name, "")
        del left[name]
        shows(page, fitting(values, **left))


def test_what_cannot_be_shows_nothing_and_says_so(page):
    choose(page, "type", "qualitative")
    choose(page, "kind", "gain")
    shows(page, [])
    expect(page.locator(".kt-explorer [role=status]")).to_contain_text("None fits all filters.")


def test_search_finds_all_words_in_any_order_and_case(page):
    said = {
        row.locator("a").first.get_attribute("data-claim"): row.text_content().lower()
        for row in page.locator(".kt-explorer tbody tr").all()
    }
    for words in ("  TRANSFER knowledge ", "knowledge transfer", "points", "hedged", "8%"):
        search(page, words)
        fits = [claim for claim, text in said.items() if all(w in text for w in words.lower().split())]
        assert 0 < len(fits) < len(said)
        shows(page, fits)


def test_search_finds_a_claim_by_its_exact_words(page, review):
    for claim in review.claims[::40].itertuples():
        search(page, wording.plain(claim.quote))
        assert claim.id in page.evaluate(SHOWN)
        assert len(page.evaluate(SHOWN)) <= 2


def test_search_and_filters_hold_together(page, values):
    search(page, "transfer")
    found = page.evaluate(SHOWN)
    choose(page, "theme", "continual-learning")
    shows(page, [claim for claim in found if claim in fitting(values, theme="continual-learning")])


@pytest.mark.parametrize("query", ["(", "\\", ".*", HOSTILE, "%", "zzz"])
def test_search_takes_words_literally(page, query):
    texts = page.locator(".kt-explorer tbody tr").evaluate_all("all => all.map((row) => row.textContent)")
    search(page, query)
    assert len(page.evaluate(SHOWN)) == sum(query in text.lower() for text in texts)


def test_the_address_restores_the_view_by_reloading_and_in_another_window(page, values, home):
    chosen = {"theme": "kg-and-llm", "kind": "gain"}
    for name, value in chosen.items():
        choose(page, name, value)
    search(page, "4. %")
    found = page.evaluate(SHOWN)
    assert 0 < len(found) < len(fitting(values, **chosen))
    assert parse_qs(urlsplit(page.url).query) == {name: [v] for name, v in chosen.items()} | {
        "words": ["4. %"]
    }
    other = page.context.new_page()
    other.goto(page.url)
    page.reload()
    for window in (page, other):
        shows(window, found)
        for name, value in chosen.items():
            expect(control(window, name)).to_have_value(value)
        expect(control(window, "words")).to_have_value("4. %")
    page.goto(home)
    assert len(page.evaluate(SHOWN)) == len(values)


def test_a_view_adds_no_step_to_the_way_back(page):
    steps = page.evaluate("history.length")
    choose(page, "kind", "gain")
    choose(page, "kind", "level")
    assert page.evaluate("history.length") == steps


def test_going_back_from_a_paper_restores_the_view(page, home, values):
    page.goto(home + VIEW)
    page.goto("about:blank")
    page.go_back()
    shows(page, fitting(values, theme="kg-and-llm", kind="gain", verdict="confirmed"))


def test_an_address_with_what_no_claim_has_does_no_harm(page, home, review):
    shouted = []
    page.on("dialog", lambda dialog: (shouted.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: shouted.append(str(error)))
    page.goto(f"{home}?theme=none-such&kind={HOSTILE}&other=1&__proto__=x#the-claims")
    shows(page, review.claims["id"])
    assert control(page, "theme").evaluate("one => one.selectedOptions[0].text") == "any"
    choose(page, "type", "quantitative")
    assert parse_qs(urlsplit(page.url).query) == {
        "other": ["1"],
        "__proto__": ["x"],
        "type": ["quantitative"],
    }
    assert urlsplit(page.url).fragment == "the-claims"
    page.goto(f"{home}?words={HOSTILE}")
    shows(page, [])
    assert page.locator("img[onerror]").count() == 0
    assert shouted == []


def test_reset_leads_back_to_all(page, home, review):
    page.goto(f"{home}{VIEW}&words=hits#the-claims")
    assert len(page.evaluate(SHOWN)) < len(review.claims)
    page.get_by_role("button", name="Reset all filters").click()
    kept(page, "words", "")
    shows(page, review.claims["id"])
    assert urlsplit(page.url).query == ""
    for one in page.locator(".kt-explorer :is(select, input)").all():
        expect(one).to_have_value("")


def test_everything_works_by_keyboard(page, values, review):
    names = "words theme type kind basis bound metric benchmark baseline verdict hedged".split()
    control(page, "words").focus()
    for name in names:
        assert page.evaluate("document.activeElement.name") == name
        if name == "type":
            page.keyboard.type("with a")
            kept(page, "type", "quantitative")
        if name == "kind":
            page.keyboard.press("ArrowDown")
            kept(page, "kind", "gain")
        page.keyboard.press("Tab")
    found = fitting(values, type="quantitative", kind="gain")
    shows(page, found)
    expect(page.get_by_role("button", name="Reset all filters")).to_be_focused()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.claim") == found[0], "hidden rows are passed over"
    verdict = page.locator(".kt-explorer tr:not([hidden]) summary").first
    verdict.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".kt-explorer details[open]")).to_have_count(1)
    page.get_by_role("button", name="Reset all filters").focus()
    page.keyboard.press("Space")
    kept(page, "kind", "")
    shows(page, review.claims["id"])
    control(page, "words").focus()
    page.evaluate("window.stays = true")
    page.keyboard.type("panda")
    page.keyboard.press("Enter")
    kept(page, "words", "panda")
    assert page.evaluate("window.stays"), "Enter loads no page"
    assert {claim.rpartition("-")[0] for claim in page.evaluate(SHOWN)} >= {"panda"}


def test_a_claim_leads_to_its_words(page):
    link = page.locator(".kt-explorer tbody a").first
    key, target = link.get_attribute("data-paper"), link.get_attribute("href")
    claim = link.get_attribute("data-claim")
    assert target.endswith(f"papers/{key}.html#words-{claim}")
    link.click()
    expect(page.locator(f"#words-{claim}")).to_be_visible()


def test_on_a_phone_rows_are_cards_and_nothing_is_wider_than_the_page(page, values, home):
    page.set_viewport_size({"width": 360, "height": 800})
    for query in ("", VIEW):
        page.goto(home + query)
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        out = page.evaluate(
            """() => [...document.querySelectorAll(".kt-explorer, .kt-explorer *")]
              .filter((box) => box.getBoundingClientRect().right > innerWidth - 15)
              .map((box) => box.outerHTML.slice(0, 80))"""
        )
        assert out == []
    shows(page, fitting(values, theme="kg-and-llm", kind="gain", verdict="confirmed"))
    row = page.locator(".kt-explorer tbody tr:visible").first
    cells = [cell.bounding_box() for cell in row.locator("th, td").all()]
    assert all(above["y"] + above["height"] <= below["y"] + 1 for above, below in pairwise(cells))
    small = page.evaluate(
        """() => [...document.querySelectorAll(".kt-explorer :is(input, select, button, summary)")]
          .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 24).length"""
    )
    assert small == 0


def test_on_a_desk_rows_are_a_table(page):
    cells = [
        cell.bounding_box() for cell in page.locator(".kt-explorer tbody tr").first.locator("th, td").all()
    ]
    assert len({cell["y"] for cell in cells}) == 1


def test_without_scripts_every_claim_is_shown_and_no_dead_control(browser, home, review):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(home + VIEW)
    assert page.locator(".kt-explorer tbody tr:visible").count() == len(review.claims)
    expect(page.locator(".kt-explorer form")).to_be_hidden()
    context.close()


def test_the_script_on_a_page_without_claims_does_nothing(page, site):
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto((site / "book" / "method.html").as_uri() + VIEW)
    assert faults == []
    assert page.url.endswith(VIEW)
