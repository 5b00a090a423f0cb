"""The library's part of the licence bench: issuing, opening and judging many licences, status lists of a million.

:func:`measure` and :func:`rows` are collected by ``scripts/bench gateway``. The limit is the number of bare ECDSA P-256
verifications a second on all cores, over the same signed bytes, by the fastest library at hand (``ring``): measured by
``native/examples/licence_bench.rs`` in rounds before and after every figure that is compared with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from ledger.licences import batch, binding, credential, identifier, issuing, statustoken, templates
from ledger.licences.judging import Terms
from ledger.licences.status import StatusList
from ledger.licences.statustoken import ListKey, VerifiedStatusList
from ledger.licences.suites import Signer, es256_signer
from ledger.licences.trust import Accreditation, IssuerTrust, Proven
from scripts.benches.bar_table import Row, least, most, plain
from scripts.benches.log_native import example

Figures = dict[str, Any]
#: Told what is being measured and how far it is: (text, done, total).
Progress = Callable[[str, int, int], None]

NOW_S = 1_795_320_000
BODY, TYPE, URI = "11430000006122244L", "11100000000013338W011", "https://licences.example.gov.cn/licence/status/1"
AUDIENCE, NONCE = "https://counter.example.gov.cn", "n-0S6_WzA2Mj"
#: What the holder shows: three disclosures.
SHOWN = ("CZZT", "ZZBS", "KZ_ZJCX")
ENTRIES = 1_000_000
#: Presentations in one native call of the bench: what a gateway's stream gathers when it is busy.
CALL = 2_000

# An invented person with the number of the standard's own example.
_ROW = {
    "ZZBH": "NO20260001",
    "CZZT": "张三丰",
    "CZZTDMLXDM": "111",
    "CZZTDM": "11010519491231002X",
    "ZZYXQQSRQ": "2026-01-01",
    "ZZYXQJZRQ": "2031-12-31",
    "KZ_XB": "男",
    "KZ_CSRQ": "1949-12-31",
    "KZ_GJ": "中国",
    "KZ_ZZ": "北京市朝阳区某路2号",
    "KZ_ZJCX": "C1",
    "KZ_CCLZRQ": "2001-05-20",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured: licences, how many rounds each, how many of them with key binding."""

    licences: int
    rounds: int
    bound: int


QUICK = Sizes(licences=2_000, rounds=3, bound=500)
FULL = Sizes(licences=20_000, rounds=7, bound=5_000)


def measure(quick: bool, progress: Progress) -> Figures:
    """Everything; seconds and counts as measured, rates and shares made of them."""
    sizes = QUICK if quick else FULL
    issuer, holder = _signer("issuer"), _signer("holder")
    figures: Figures = {"licences": sizes.licences, "entries": ENTRIES}
    progress("licences issued", 0, 4)
    issued, figures["issue"] = _issue(sizes, issuer, holder)
    shown = [issuing.present(text, [(name,) for name in SHOWN]) for text in issued]
    figures["bytes"] = sum(map(len, shown)) / len(shown)
    progress("status list of a million", 1, 4)
    listed, figures["status"] = _status(issuer)
    progress("presentations opened and judged, beside the P-256 limit", 2, 4)
    figures |= _batches(sizes, shown, issuer, listed)
    progress("presentations with key binding judged", 3, 4)
    bound = [
        binding.bind(text, signer=holder, audience=AUDIENCE, nonce=NONCE, issued_at=NOW_S)
        for text in shown[: sizes.bound]
    ]
    figures["bound"] = _rate(len(bound), [_judged(bound, issuer, listed, required=True)])
    progress("licences", 4, 4)
    return figures


def rows(figures: Figures) -> list[Row]:
    """The rows of the bar table."""
    return list(_rows(figures))


def _rows(figures: Figures) -> Iterator[Row]:
    limit = figures["limit"]["per_second"]
    note = f"limit {limit:,.0f}/s"
    yield plain(
        "P-256 limit, verifications/s on all cores", f"{limit:,.0f} (ring, {figures['limit']['threads']} threads)"
    )
    yield least(
        "batch opened in the native call, share of the limit",
        figures["native"]["share"],
        0.8,
        "{:.0%}",
        f"{figures['native']['per_second']:,.0f}/s, {note}",
    )
    yield plain(
        "the same from Python's side of the call",
        f"{figures['door']['share']:.0%} ({figures['door']['per_second']:,.0f}/s)",
    )
    yield least(
        "batch with the verdict, share of the limit",
        figures["judged"]["share"],
        0.5,
        "{:.0%}",
        f"{figures['judged']['per_second']:,.0f}/s, {note}",
    )
    yield plain("batch with key binding and verdict, licences/s", f"{figures['bound']['per_second']:,.0f}")
    yield least("issued, licences/s, one process", figures["issue"]["per_second"], 2_000, "{:,.0f}")
    status = figures["status"]
    note = f"token of {status['token_bytes'] / 1e3:,.0f} kB"
    yield most("status list of 10^6 made and signed", status["make_s"], 1, "{:.3f} s", note)
    yield most("status list of 10^6 verified and read", status["read_s"] * 1e3, 50, "{:.1f} ms")


def _issue(sizes: Sizes, issuer: Signer, holder: Signer) -> tuple[list[str], Figures]:
    """From a clerk's values to the licence as the holder gets it."""
    form = templates.TEMPLATES["driving-licence"]
    values = templates.check(form, _ROW)
    texts = []
    began = time.perf_counter()
    for number in range(sizes.licences):
        claims = credential.licence_claims(
            form,
            values,
            identity=identifier.make(TYPE, BODY, f"{number:012d}"),
            issuer_name="湖南省某厅",
            issued_at=NOW_S - 86_400,
            status=credential.StatusPlace(uri=URI, index=number),
            holder_spki=holder.spki,
        )
        salts = (os.urandom(16) for _ in range(issuing.salts_needed(claims)))
        texts.append(issuing.issue(claims, typ=credential.TYP, signer=issuer, salts=salts))
    return texts, _rate(sizes.licences, [time.perf_counter() - began])


def _status(issuer: Signer) -> tuple[VerifiedStatusList, Figures]:
    """A list where about one in a hundred places is revoked, spread as random places are."""
    values = hashlib.shake_256(b"licence bench").digest(ENTRIES).translate(bytes(byte < 3 for byte in range(256)))
    makes, reads = [], []
    for _ in range(5):
        began = time.perf_counter()
        made = StatusList.of_values(values)
        token = statustoken.make(issuer, made, issuer=BODY, uri=URI, version=1, iat=NOW_S, ttl=300, exp=NOW_S + 86_400)
        makes.append(time.perf_counter() - began)
        began = time.perf_counter()
        found = statustoken.verify(
            token, uri=URI, issuer=BODY, key_of=lambda _: ListKey(issuer=BODY, spki=issuer.spki), now_s=NOW_S
        )
        value = statustoken.status_of(found, uri=URI, issuer=BODY, index=ENTRIES - 1)
        reads.append(time.perf_counter() - began)
        if value != values[-1]:
            raise SystemExit("bench licences: the status list read is not the one made")
    clean = statustoken.verify(
        statustoken.make(
            issuer, StatusList.empty(ENTRIES), issuer=BODY, uri=URI, version=2, iat=NOW_S, ttl=300, exp=NOW_S + 86_400
        ),
        uri=URI,
        issuer=BODY,
        key_of=lambda _: ListKey(issuer=BODY, spki=issuer.spki),
    )
    return clean, {"make_s": min(makes), "read_s": min(reads), "token_bytes": len(token)}


def _batches(sizes: Sizes, shown: Sequence[str], issuer: Signer, listed: VerifiedStatusList) -> Figures:
    """Limit, native call and verdict in turns, so that all of them see the same machine."""
    limits: list[float] = []
    native: list[float] = []
    door: list[float] = []
    judged: list[float] = []
    threads = 0
    with tempfile.NamedTemporaryFile("w", encoding="ascii", suffix=".txt") as file:
        file.write("\n".join([f"{issuer.kid} {issuer.spki.hex()}", *shown, ""]))
        file.flush()
        for _ in range(sizes.rounds):
            round_ = _helper(Path(file.name))
            threads = round_["threads"]
            limits += [item["limit_s"] for item in round_["rounds"]]
            native += [item["open_s"] for item in round_["rounds"]]
            door.append(_opened(shown, issuer))
            judged.append(_judged(shown, issuer, listed))
    count = len(shown)
    limit = _rate(count, limits)
    figures: Figures = {"limit": limit | {"threads": threads}}
    for name, seconds in (("native", native), ("door", door), ("judged", judged)):
        rate = _rate(count, seconds)
        figures[name] = rate | {"share": rate["per_second"] / limit["per_second"]}
    return figures


def _helper(file: Path) -> Figures:
    with file.open("rb") as given:
        ran = subprocess.run([str(example("licence_bench")), "2"], stdin=given, check=True, capture_output=True)
    found: Figures = json.loads(ran.stdout)
    return found


def _opened(shown: Sequence[str], issuer: Signer) -> float:
    """Seconds of the native calls alone, as Python makes them."""
    keys = batch.known_keys({issuer.kid: issuer.spki})
    began = time.perf_counter()
    for at in range(0, len(shown), CALL):
        piece = shown[at : at + CALL]
        done = batch.begin(piece, keys).result()
        if any(done.refusal(place) for place in (0, len(piece) - 1)):
            raise SystemExit("bench licences: a good licence was refused")
    return time.perf_counter() - began


def _judged(shown: Sequence[str], issuer: Signer, listed: VerifiedStatusList, *, required: bool = False) -> float:
    """Seconds of the whole verdicts."""
    day = 86_400_000
    trust = IssuerTrust(
        issuer=BODY,
        spki=issuer.spki,
        key_from_ms=NOW_S * 1_000 - 300 * day,
        accreditations=(Accreditation(from_ms=NOW_S * 1_000 - 300 * day, until_ms=None, by=TYPE[:18]),),
        view_height=42,
        view_time_ms=NOW_S * 1_000,
        proven=Proven.CHAIN_STATE,
    )
    terms = Terms(
        now_ms=NOW_S * 1_000,
        audience=AUDIENCE if required else None,
        nonce=NONCE if required else None,
        require_binding=required,
    )
    keys = batch.known_keys({issuer.kid: issuer.spki})
    began = time.perf_counter()
    verdicts = batch.judge_batch(shown, terms=terms, trust=lambda *_: trust, status=lambda _: listed, keys=keys)
    codes = {verdict.code for verdict in verdicts}
    seconds = time.perf_counter() - began
    if codes != {"valid"}:
        raise SystemExit(f"bench licences: good licences were judged {sorted(codes)}")
    return seconds


def _rate(count: int, seconds: Sequence[float]) -> Figures:
    """The best round: what is measured beside others' work is not slower for being measured."""
    return {"seconds": list(seconds), "per_second": count / min(seconds)}


def _signer(name: str) -> Signer:
    secret = int.from_bytes(hashlib.sha256(f"licence bench {name}".encode()).digest(), "big") >> 1
    return es256_signer(ec.derive_private_key(secret, ec.SECP256R1()))
