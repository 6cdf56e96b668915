"""No numeral of the source documents is without a home: each is in a claim that says it, or exempt with a reason."""

import re

import pytest

from llmcost import claims, files, numerals

NUMERALS = numerals.load()
CLAIMS = {claim.id: claim for claim in claims.load()}
NUMERIC = [CLAIMS[i] for i in sorted(numerals.numeric_claims())]


def test_every_source_has_its_numerals():
    assert files.numeral_files() == files.claim_files() == ["000", "001", "002", "003", "004"]
    assert len(NUMERALS) == 1246


@pytest.mark.parametrize("source", files.numeral_files())
def test_a_claim_says_the_numerals_that_it_treats(source):
    silent = [f"line {one.line}: {one.text} in {one.claim}" for one in NUMERALS if one.source == source and one.claim
              and not numerals.says(CLAIMS[one.claim], one.text)]
    assert not silent, "\n".join(silent)


def test_four_of_five_numeric_claims_are_recomputed():
    computed = [claim for claim in NUMERIC if claim.formula]
    assert len(computed) >= 0.8 * len(NUMERIC), f"{len(computed)} of {len(NUMERIC)}"


@pytest.mark.parametrize("text, found", [
    ("1,000 to 2.5", ["1,000", "2.5"]), ("10^12 FLOP", ["10", "12"]), ("10万", ["10"]), ("两张卡", ["两"]), ("万亿", ["万亿"]), ("一个", []), ("H100", ["100"]),
])
def test_numerals_are_listed(text, found):
    assert numerals.listed(text) == [(1, numeral) for numeral in found]


def test_a_text_is_held_against_its_record(monkeypatch):
    monkeypatch.setattr(files, "read_csv", lambda name: [{"line": "1", "numeral": "4", "claim": "", "exempt": "heading"}])
    numerals.compare("000", "4")
    with pytest.raises(numerals.NumeralError, match="has 4 in line 1, the text 5 in line 1"):
        numerals.compare("000", "5")
    with pytest.raises(numerals.NumeralError, match="has 1 numerals, the text 2"):
        numerals.compare("000", "4 and 5")


@pytest.mark.parametrize("changes, message", [
    ({"exempt": ""}, "needs a claim, or a reason"), ({"claim": "000-kv-formula"}, "and not both"), ({"exempt": "boring"}, "it is one of heading"),
    ({"claim": "000-nothing", "exempt": ""}, "data/claims/000.toml does not have"), ({"claim": "001-kv-formula", "exempt": ""}, "data/claims/000.toml does not have"),
], ids=str)
def test_an_incomplete_record_is_refused(changes, message, monkeypatch):
    row = {"line": "1", "numeral": "4", "claim": "", "exempt": "heading", **changes}
    monkeypatch.setattr(files, "read_csv", lambda name: [row])
    with pytest.raises(numerals.NumeralError, match=re.escape(message)):
        numerals.load("000")


def test_what_a_claim_says_is_read_from_its_digits():
    claim = claims.Claim(id="x", source="000", place="", chapter="", statement="It serves 100,000 users.", verdict="exact", why="", printed="1.5")
    assert [numerals.says(claim, numeral) for numeral in ("10", "1.5", "100,000", "99", "两")] == [True, True, True, False, True]
