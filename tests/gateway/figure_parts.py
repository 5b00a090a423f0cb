"""Hospitals that tell figures to a gateway: signed files, a city in memory, and the gateway's routes behind TLS."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.licences.routes import LicenceRoutes
from gateway.limits import RateLimit
from gateway.medical.collecting import FiguresReader
from gateway.medical.figuresroutes import FiguresRoutes
from gateway.metrics import Metrics
from gateway.page import Page, load_static
from gateway.verifying import Verifier
from gateway.views import ChainMember, LogKeys
from gateway.web import Web
from ledger.connections import PromptConnection
from ledger.errors import LedgerError, NotFoundError
from ledger.keys import Ed25519Signer
from ledger.medical.figuresfile import HospitalFigures, HospitalMonth, ItemWord, sign_figures, steps_digest
from ledger.medical.published import Month, Row
from ledger.medical.reasons import NATIONAL
from ledger.medical.rules import load_rules, starting_rules
from ledger.model import KeyRole, MemberInfo, MemberStatus, Roles
from ledger.webserver import HttpServer
from node.city.roster import demo_uscc
from tests.gateway.licence_samples import known_issuer
from tests.gateway.licence_tabs import _tls

CHAIN = b"\7" * 32
#: 2026-11-23 10:30 in China.
NOW_MS = 1_795_401_000_000
AS_OF_MS = 1_795_363_200_000
NAMES = ("市第一人民医院", "市中心医院", "东城区妇幼保健院", "西城区中医医院")
USCC = tuple(demo_uscc("310000", number) for number in range(501, 501 + len(NAMES)))
SIGNERS = {uscc: Ed25519Signer(KeyRole.RECEIPT, uscc.encode().ljust(32, b"!")) for uscc in USCC}
RULES = load_rules(starting_rules(), units=False)


def row(offered: int | None, recognised: int | None, unrecognised: int | None, retested: int | None = 0) -> Row:
    return Row(offered=offered, recognised=recognised, unrecognised=unrecognised, retested=retested)


def month(
    word: str = "2026-11",
    total: Row | None = None,
    *,
    items: dict[str, Row] | None = None,
    providers: dict[str, Row] | None = None,
    reasons: dict[str, int | None] | None = None,
    asked: dict[str, bytes] | None = None,
    examined: dict[str, bytes] | None = None,
) -> HospitalMonth:
    told = Month(
        month=word, total=total or row(0, 0, 0), items=items or {}, providers=providers or {}, reasons=reasons or {}
    )
    return HospitalMonth(figures=told, asked=asked or {}, examined=examined or {})


def hospital(place: int, *months: HospitalMonth, **changed: Any) -> HospitalFigures:
    """What a hospital tells; items and reasons by the words of the shipped rules."""
    items = {key: item for one in months for key in one.figures.items if (item := RULES.item(key)) is not None}
    values: dict[str, Any] = {
        "chain": CHAIN,
        "hospital": USCC[place],
        "as_of_ms": AS_OF_MS,
        "months": months,
        "items": {
            key: ItemWord(zh=item.zh, en=item.en, specialty=item.specialty, price_cents=item.price_cents)
            for key, item in items.items()
        },
        "reasons": {key: NATIONAL[key] for one in months for key in one.figures.reasons},
    }
    return HospitalFigures(**(values | changed))


def busy_city(*, differing: bool = True) -> tuple[HospitalFigures, ...]:
    """A year of four hospitals, with withheld figures and, if asked for, one pair whose sides differ."""
    items = [item.id for item in RULES.items][:26]
    codes = list(NATIONAL)
    told = []
    for place in range(len(USCC)):
        others = [uscc for uscc in USCC if uscc != USCC[place]]
        made = []
        for number in range(12):
            word = f"2025-{12:02}" if not number else f"2026-{number:02}"
            scale = (place + 2) * (8 + number)
            shares = [max(0, scale - 3 * index) for index in range(len(items))]
            rows = {
                key: row(4 * share + 6, 2 * share + 5, share + 5, share // 2 + 5)
                if share > 2
                else row(None, 0, None, 0)
                for key, share in zip(items, shares, strict=True)
                if share
            }
            whole = row(*(sum(getattr(one, name) or 2 for one in rows.values()) for name in Row.__slots__))
            made.append(
                month(
                    word,
                    whole,
                    items=rows,
                    providers={
                        uscc: row(*((getattr(whole, name) or 0) // 3 for name in Row.__slots__)) for uscc in others
                    },
                    reasons={code: None if index == 5 else 40 + scale - 7 * index for index, code in enumerate(codes)},
                    asked={uscc: steps_digest([USCC[place].encode(), uscc.encode()]) for uscc in others},
                    examined={
                        uscc: steps_digest([USCC[place].encode(), uscc.encode()])
                        if not differing or (place, uscc, number) != (0, USCC[1], 11)
                        else steps_digest([])
                        for uscc in others
                    },
                )
            )
        told.append(hospital(place, *made))
    return tuple(told)


@dataclass(slots=True)
class Nodes:
    """A city in memory. ``told``: what each hospital's node answers, an error it answers with, or an event it waits
    for; ``asked``: the questions."""

    told: dict[str, bytes | LedgerError | threading.Event] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    extra: tuple[ChainMember, ...] = ()
    problem: LedgerError | None = None

    def tell(self, figures: Sequence[HospitalFigures]) -> None:
        for one in figures:
            self.told[one.hospital] = sign_figures(SIGNERS[one.hospital], one)

    @property
    def chain(self) -> Any:
        return self

    @property
    def members(self) -> tuple[Any, ...]:
        found = [member(uscc, name) for uscc, name in zip(USCC, NAMES, strict=True) if uscc in self.told]
        return tuple(_Shown(member) for member in (*found, *self.extra))

    def view(self) -> Any:
        return self

    def ask(self, uscc: str, path: str) -> bytes:
        self.asked.append((uscc, path))
        told = self.told.get(uscc, NotFoundError("http.path", "there is nothing at this path"))
        if isinstance(told, threading.Event):
            assert told.wait(120)
            raise NotFoundError("http.path", "too late")
        if isinstance(told, LedgerError):
            raise told
        return told


@dataclass(frozen=True, slots=True)
class _Shown:
    chain: ChainMember


def member(
    uscc: str, name: str, roles: Roles = Roles.HOSPITAL, status: MemberStatus = MemberStatus.ACTIVE
) -> ChainMember:
    info = MemberInfo(
        uscc=uscc,
        handle=f"h{uscc[-3:].lower()}",
        region="310000",
        roles=roles,
        status=status,
        account=bytes(20),
        generation=1,
        since=0,
        validator=False,
    )
    signer = SIGNERS.get(uscc)
    keys = LogKeys(
        origin=info.origin,
        log=(),
        witnesses=(),
        quorum=0,
        tls=frozenset(),
        receipts=() if signer is None else (b"\2" * 32, signer.public),
    )
    return ChainMember(info=info, name=name, keys=keys, anchor=None)


class FiguresGateway:
    """The gateway's routes behind TLS, over a city in memory."""

    def __init__(self, folder: Path) -> None:
        self.nodes = Nodes()
        self.now_ms = NOW_MS
        metrics, static = Metrics(), load_static()

        def limit() -> RateLimit:
            return RateLimit(1000.0, 10_000, time.monotonic)

        desk, issuers = known_issuer().desk(metrics)
        self.reader = FiguresReader(self.nodes, CHAIN, self.clock, deadline_s=60)  # type: ignore[arg-type]
        self.certificate, context = _tls(folder)
        web = Web(
            self.nodes,  # type: ignore[arg-type]
            Verifier(folder / "policy.json", self.clock, metrics),
            Page(static),
            static,
            metrics,
            limit(),
            limit(),
            self.clock,
            LicenceRoutes(desk, issuers, limit()),
            figures=FiguresRoutes(self.reader, static, self.clock),
        )
        self.server = HttpServer(
            web.app(),
            "127.0.0.1",
            0,
            context,
            name="https",
            connection=PromptConnection,
            keep_alive_s=30,
            grace_s=5,
            settings="gateway.toml",
        )
        self.server.start()

    def clock(self) -> int:
        return self.now_ms

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server.port}"

    def close(self) -> None:
        self.server.close()
        self.reader.close()
