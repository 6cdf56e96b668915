"""The verdict on every statement of the sources is the one that its digits give."""

import dataclasses

import pytest

from llmcost import catalog, claims

CLAIMS = claims.load()


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_recorded_verdict_is_the_derived_one(claim):
    ours = claims.evaluate(claim) if claim.formula else None
    assert claim.verdict == claims.derive(claim), f"printed {claim.printed} {claim.unit}, we get {ours}"


@pytest.mark.parametrize("printed, ours, want", [
    ("1.3", 1.342, "exact"), ("1.3", 1.3499, "exact"), ("1.3", 1.36, "coarse"), ("100", 101.9, "rounding"),
    ("100", 110, "coarse"), ("100", 120, "wrong"), ("100", 80, "wrong"), ("1e3", 1400, "exact"), ("0", 0, "exact"),
    ("5", 0, "wrong"),
])
def test_verdict(printed, ours, want):
    assert claims.verdict(printed, ours) == want


@pytest.mark.parametrize("changes, message", [
    ({"why": None}, "has no why"), ({"verdict": "hmm"}, "it is one of exact"), ({"unit": "furlong"}, "unit 'furlong'"),
    ({"printed": "about 3"}, "write the digits alone"), ({"formula": None}, "both the printed digits and the formula"),
    ({"verdict": "wrong"}, "does not say what is right"), ({"colour": "red"}, "has colour"),
], ids=str)
def test_an_incomplete_claim_is_refused(changes, message, monkeypatch):
    good = {"id": "x", "place": "p", "chapter": "kv_cache", "statement": "s", "verdict": "exact", "why": "w", "printed": "1",
            "unit": "", "formula": "attention.kv_elements", "given": {}}
    table = {key: value for key, value in {**good, **changes}.items() if value is not None}
    monkeypatch.setattr(catalog, "claim_files", lambda: ["000"])
    monkeypatch.setattr(catalog, "read_claims", lambda name: [table])
    with pytest.raises(claims.ClaimError, match=message):
        claims.load()


def test_a_claim_about_an_unknown_formula_is_refused():
    claim = claims.Claim(id="x", source="000", place="", chapter="", statement="", verdict="exact", why="", printed="1",
                         formula="attention.magic")
    with pytest.raises(claims.ClaimError, match="attention.magic"):
        claims.evaluate(claim)


def test_a_gpu_computes_in_bf16_unless_a_peak_is_given():
    claim = claims.Claim(id="x", source="004", place="", chapter="", statement="", verdict="exact", why="", printed="295.2",
                         unit="FLOP/byte", formula="roofline.ridge_point", given={"gpu": "h100_sxm"})
    in_fp8 = dataclasses.replace(claim, given={"gpu": "h100_sxm", "peak_flops": catalog.GPUS["h100_sxm"].peak_flops_fp8})
    assert claims.derive(claim) == "exact"
    assert claims.evaluate(in_fp8) == pytest.approx(590.7, abs=0.1)


def test_what_is_not_given_is_assumed():
    claim = claims.Claim(id="x", source="001", place="", chapter="", statement="", verdict="exact", why="", printed="3", unit="us",
                         formula="collectives.all_reduce_seconds", given={"gpu": "h100_sxm", "n_gpus": 4, "message_bytes": 16384})
    one_more = dataclasses.replace(claim, given={**claim.given, "one_shot_hops": catalog.ASSUMED.one_shot_hops + 1})
    assert claims.evaluate(one_more) - claims.evaluate(claim) == pytest.approx(catalog.GPUS["h100_sxm"].hop_seconds / 1e-6)
