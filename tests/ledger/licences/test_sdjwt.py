"""SD-JWT: the examples of RFC 9901, and what is issued is opened again, whatever of it is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidInputError, LedgerError
from ledger.licences import b64, binding, issuing, jws, sdjwt, strictjson
from ledger.licences.issuing import Hidden
from tests.ledger.licences.claim_strategies import credentials, plain
from tests.ledger.licences.licence_keys import HOLDER, ISSUER, STRANGER, salts

TYP = "dc+sd-jwt"


def issue(claims: dict[str, Any], decoys: int = 0) -> str:
    return issuing.issue(claims, typ=TYP, signer=ISSUER, salts=salts(), decoys=decoys)


def opened(text: str) -> Any:
    return sdjwt.verify(sdjwt.parse(text), ISSUER.spki, typ=TYP)


@pytest.fixture(scope="session")
def rfc(vectors: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((vectors / "sd-jwt-rfc9901-examples" / "examples.json").read_text("utf-8"))
    return found


@pytest.mark.parametrize("place", range(8))
def test_the_examples_of_the_rfc(rfc: dict[str, Any], place: int) -> None:
    example = rfc["examples"][place]
    parsed = sdjwt.parse(example["token"])
    found = sdjwt.verify(
        parsed, binding.holder_key({"jwk": rfc["keys"]["issuer"]}), typ=example["issuer_header"]["typ"]
    )
    assert found.claims == example["processed_payload"]
    assert {item.text for item in found.disclosures} == {item["disclosure"] for item in example["disclosures"]}
    if "kb_payload" in example:
        expected = example["kb_payload"]
        bound = binding.verify(
            parsed,
            binding.holder_key({"jwk": rfc["keys"]["holder"]}),
            now_s=expected["iat"] + 30,
            audience=expected["aud"],
            nonce=expected["nonce"],
        )
        assert bound.issued_at == expected["iat"]


def test_there_are_eight_examples(rfc: dict[str, Any]) -> None:
    assert len(rfc["examples"]) == 8


def test_what_is_hidden_stays_hidden() -> None:
    text = issue({"iss": "x", "a": Hidden("secret"), "list": [Hidden("one"), "two"]}, decoys=2)
    signed = text.split("~")[0]
    payload = b64.decode(signed.split(".")[1])
    assert b"secret" not in payload
    assert b"one" not in payload
    shown = opened(issuing.present(text, []))
    assert shown.claims == {"iss": "x", "list": ["two"]}
    assert shown.hidden == 4


def test_the_whole_licence_is_opened() -> None:
    found = opened(issue({"iss": "x", "a": Hidden({"b": Hidden(1), "c": 2}), "list": [Hidden("one"), "two"]}))
    assert found.claims == {"iss": "x", "a": {"b": 1, "c": 2}, "list": ["one", "two"]}
    assert found.hidden == 0
    assert [item.path for item in found.disclosures] == [("list", 0), ("a",), ("a", "b")]


def test_the_same_salts_make_the_same_licence() -> None:
    claims = {"iss": "x", "a": Hidden(1)}
    assert issue(claims) == issue(claims)
    assert issuing.salts_needed({"a": Hidden({"b": Hidden(1)}), "c": [Hidden(1), (Hidden(2),)]}) == 4


@pytest.mark.parametrize(
    ("choice", "shown"),
    [
        (("a",), {"a": {"b": 1, "c": [1, 2], "d": 4}}),
        (("a", "b"), {"a": {"b": 1, "c": [2], "d": 4}}),
        (("a", "c", 0), {"a": {"c": [1, 2], "d": 4}}),
        (("a", "c", None), {"a": {"c": [1, 2], "d": 4}}),
        (("a", "d"), {"a": {"c": [2], "d": 4}}),
        (("open",), {}),
    ],
)
def test_choosing_by_path(choice: tuple[str | int | None, ...], shown: dict[str, Any]) -> None:
    text = issue({"open": True, "a": Hidden({"b": Hidden(1), "c": [Hidden(1), 2], "d": 4})})
    assert opened(issuing.present(text, [choice])).claims == {"open": True, **shown}


@pytest.mark.parametrize("choice", [(), ("z",), ("a", "z"), ("a", "c", 2), ("a", "c", "x"), ("open", None), (0,)])
def test_a_path_to_nothing(choice: tuple[str | int | None, ...]) -> None:
    text = issue({"open": True, "a": Hidden({"c": [Hidden(1), 2]})})
    with pytest.raises(InvalidInputError) as caught:
        issuing.present(text, [choice])
    assert caught.value.code == "licence.path"


@pytest.mark.parametrize(
    ("code", "claims", "given_salts"),
    [
        ("licence.salts", {"a": Hidden(1), "b": Hidden(2)}, [b"0" * 16]),
        ("licence.salt-short", {"a": Hidden(1)}, [b"0" * 15]),
        ("licence.salt-repeated", {"a": Hidden(1), "b": Hidden(2)}, [b"0" * 16] * 2),
        ("licence.reserved-name", {"_sd": []}, []),
        ("licence.reserved-name", {"a": {"...": "x"}}, []),
        ("licence.size", {"a": "x" * 60_000}, []),
        ("licence.size", {"a": [Hidden(place) for place in range(257)]}, [place.to_bytes(16) for place in range(257)]),
        ("json.float", {"a": 1.5}, []),
    ],
)
def test_what_is_not_issued(code: str, claims: dict[str, Any], given_salts: list[bytes]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        issuing.issue(claims, typ=TYP, signer=ISSUER, salts=given_salts)
    assert caught.value.code == code


def test_a_bound_presentation_is_not_changed() -> None:
    text = issue({"a": Hidden(1)})
    bound = binding.bind(text, signer=HOLDER, audience="v", nonce="n", issued_at=1)
    for change in (
        lambda: issuing.present(bound, [("a",)]),
        lambda: binding.bind(bound, signer=HOLDER, audience="v", nonce="n", issued_at=1),
    ):
        with pytest.raises(InvalidInputError) as caught:
            change()
        assert caught.value.code == "licence.bound-already"


def shown(value: Any, chosen: set[tuple[str | int, ...]], path: tuple[str | int, ...] = ()) -> Any:
    """What a verifier must see of claims of which the hidden values at ``chosen`` paths are shown: a second, plain
    reading of the rules."""
    if isinstance(value, Hidden):
        return shown(value.value, chosen, path)
    if isinstance(value, dict):
        return {
            name: shown(item, chosen, (*path, name))
            for name, item in value.items()
            if not isinstance(item, Hidden) or (*path, name) in chosen
        }
    if isinstance(value, list):
        return [
            shown(item, chosen, (*path, place))
            for place, item in enumerate(value)
            if not isinstance(item, Hidden) or (*path, place) in chosen
        ]
    return value


@given(credentials, st.data(), st.integers(0, 3))
def test_every_subset_is_opened_as_it_was_chosen(claims: dict[str, Any], data: st.DataObject, decoys: int) -> None:
    text = issue(claims, decoys)
    whole = opened(text)
    assert whole.claims == plain(claims)
    assert whole.hidden == decoys
    picked = data.draw(st.lists(st.sampled_from(whole.disclosures), unique=True) if whole.disclosures else st.just([]))
    wanted = {parent for item in picked for parent in (*item.parents, item.text)}
    kept = [item for item in whole.disclosures if item.text in wanted]
    part = "~".join([text.split("~")[0], *(item.text for item in kept), ""])
    assert opened(part).claims == shown(claims, {item.path for item in kept})
    presented = issuing.present(text, [item.path for item in picked])
    inside = {
        item.path
        for item in whole.disclosures
        if item.text in wanted or any(item.path[: len(pick.path)] == pick.path for pick in picked)
    }
    assert opened(presented).claims == shown(claims, inside)


@given(credentials)
def test_another_key_is_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(LedgerError) as caught:
        sdjwt.verify(sdjwt.parse(issue(claims)), STRANGER.spki, typ=TYP)
    assert caught.value.code == "licence.signature"


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_no_text_breaks_the_reader(text: str) -> None:
    with pytest.raises(InvalidInputError):
        sdjwt.parse(text)


def refusal(action: Callable[[], Any]) -> str:
    """The code an action is refused with, "" where it is not."""
    try:
        action()
    except LedgerError as error:
        return error.code
    return ""


traps = st.recursive(
    st.text(max_size=3) | st.integers(-9, 9) | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["_sd", "...", "_sd_alg", "a"]), inner),
    max_leaves=10,
)


@given(traps, st.lists(st.binary(min_size=1, max_size=20), max_size=3))
def test_no_signed_payload_breaks_the_opening(value: Any, disclosures: list[bytes]) -> None:
    signed = jws.make({"kid": ISSUER.kid, "typ": TYP}, {"a": value}, ISSUER)
    text = "~".join([signed, *(b64.encode(item) for item in disclosures), ""])
    code = refusal(lambda: opened(text))
    assert code.startswith("licence.") if code else not {"_sd", "...", "_sd_alg"} & set(names_in(opened(text).claims))


def names_in(value: Any) -> list[str]:
    """Every name of every object in a value."""
    if isinstance(value, dict):
        return [*value, *(name for item in value.values() for name in names_in(item))]
    return [name for item in value for name in names_in(item)] if isinstance(value, list) else []


@given(st.binary() | st.text().map(str.encode))
def test_no_bytes_break_the_reader_of_json(data: bytes) -> None:
    assert refusal(lambda: strictjson.read(data)).partition("-")[0] in ("", "licence.json")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b'{"a":1e400}', "licence.json-number"),
        (b'{"a":-Infinity}', "licence.json-number"),
        (b'{"a":9007199254740992}', "licence.json-number"),
        (b'{"a":1' + b"0" * 5_000 + b"}", "licence.json-number"),
        (b'["\\ud800"]', "licence.json-text"),
        (b'{"\\udc00":1}', "licence.json-text"),
        (b'{"a":{"b":1,"\\u0062":2}}', "licence.json-duplicate"),
        (b"[" * 17 + b"]" * 17, "licence.json-depth"),
        (b"[" * 60_000, "licence.json-depth"),
        (b'{"a":' * 17 + b"1" + b"}" * 17, "licence.json-depth"),
        (b'"' + b'\\"' * 30_000 + b"[" * 20, "licence.json"),
        (b"\xef\xbb\xbf{}", "licence.json"),
        (b"[1] 2", "licence.json"),
        (b"", "licence.json"),
    ],
)
def test_json_with_two_readings_or_none(data: bytes, code: str) -> None:
    assert refusal(lambda: strictjson.read(data)) == code


@pytest.mark.parametrize("data", [b'["\\ud83d\\ude00"]', b'["[[[[[[[[[[[[[[[[[[[["]', b" [1.5, -0, 9007199254740991] "])
def test_json_that_everybody_reads_alike(data: bytes) -> None:
    assert strictjson.read(data) == json.loads(data)


def test_disclosures_in_disclosures_nest_no_deeper_than_the_rest() -> None:
    for wrap in (lambda inner: {"a": Hidden(inner)}, lambda inner: [Hidden(inner)]):
        claims: Any = 1
        for _ in range(16):
            claims = wrap(claims)
        assert opened(issue({"x": claims if isinstance(claims, list) else claims["a"]})).hidden == 0
        assert refusal(lambda deep=claims: opened(issue({"x": [deep]}))) == "licence.json-depth"


def test_every_element_of_an_array_can_be_chosen() -> None:
    text = issue({"list": [{"a": Hidden(1)}, {"a": Hidden(2), "b": Hidden(3)}], "open": [[1], [2]]})
    assert opened(issuing.present(text, [("list", None, "a")])).claims["list"] == [{"a": 1}, {"a": 2}]
    assert opened(issuing.present(text, [("open", None, 0), ("open", 1)])).claims["list"] == [{}, {}]
