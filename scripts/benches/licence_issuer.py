"""An issuer, its node and the chain's word on it, in memory: licences for the bench of the gateway and its tests.

Everything judged is real: keys, signatures, licences, lists. Only where they are read from is this process.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from gateway.licences.issuers import Issuers
from gateway.licences.judging import LicenceDesk
from gateway.licences.lists import StatusLists
from gateway.licences.sources import IssuerNodes
from gateway.licences.state import Moment, Standing
from gateway.licences.trusts import IssuerTrusts
from gateway.metrics import Metrics
from ledger.chain.blocks import ChainHead
from ledger.errors import LedgerError, NotFoundError, UnavailableError
from ledger.evidence.licencestate import ProvenSpan
from ledger.licences import binding, credential, identifier, issuing, slip, statustoken, templates
from ledger.licences.status import StatusList
from ledger.licences.suites import Signer, es256_signer
from ledger.model import KeyInfo, KeyRole, KeyStatus, StatusHeadInfo, StatusVersionInfo
from ledger.verifyissue import ProvenIssue

ISSUER = "91110000600037341L"
BODY = "11100000000013338W"
TYPE = BODY + "011"
#: 2026-11-22 in the evening.
NOW_MS = 1_795_350_000_000
SINCE_S = 1_767_225_600
ENTRIES = 1 << 17
URI = "https://issuer.example:8443/licence/status/1"
MAX_AGE_MS = 180_000
#: An invented driver.
ROW = {
    "ZZBH": "NO20260001",
    "CZZT": "张三丰",
    "CZZTDMLXDM": "111",
    "CZZTDM": "11010519491231002X",
    "ZZYXQQSRQ": "20260101",
    "ZZYXQJZRQ": "2031-12-31",
    "KZ_XB": "男",
    "KZ_CSRQ": "19491231",
    "KZ_GJ": "中国",
    "KZ_ZZ": "北京市朝阳区某路2号",
    "KZ_ZJCX": "C1",
    "KZ_CCLZRQ": "2001-05-20",
}
#: What the driver shows.
SHOWN = (("CZZT",), ("KZ_ZJCX",), ("ZZBS",))


def signer(name: str) -> Signer:
    """The ES256 key of a name."""
    secret = int.from_bytes(hashlib.sha256(f"memory issuer {name}".encode()).digest(), "big") >> 1
    return es256_signer(ec.derive_private_key(secret, ec.SECP256R1()))


class MemoryIssuer:
    """One issuer with one key, one type and one list. What the tests change, the next reading sees."""

    def __init__(
        self,
        clock: Callable[[], int] = lambda: NOW_MS,
        *,
        member: str = ISSUER,
        code: str = TYPE,
        uri: str = URI,
        key: Signer | None = None,
    ) -> None:
        """``member``: USCC of the issuer; ``code``: the type it is accredited for; ``uri``: of its list."""
        self.clock = clock
        self.member, self.code, self.uri = member, code, uri
        self.signer = key or signer("issuer")
        self.holder = signer("holder")
        self.form = templates.TEMPLATES["driving-licence"]
        self.chain_keys = {self._material(self.signer): self._key_info(self.signer)}
        self.node_keys = [self.signer]
        self.standing_now = Standing(
            known=True, withdrawn_at=0, spans=(ProvenSpan(number=1, valid_from=SINCE_S, valid_until=0, by=BODY),)
        )
        self.signed_ms: int | None = None
        self.chain_away: LedgerError | None = None
        self.node_away: LedgerError | None = None
        self.proven: Callable[[bytes], ProvenIssue] = _on_no_chain
        self.token = ""
        self.head: StatusHeadInfo | None = None
        self.publish({})

    # --- issuing ------------------------------------------------------------------------------------------------------
    def licence(
        self,
        *,
        index: int = 0,
        days: tuple[str, str] = ("20260101", "2031-12-31"),
        key: Signer | None = None,
        issuer: str | None = None,
        bound: bool = True,
        seed: str = "",
        uri: str | None = None,
        code: str | None = None,
    ) -> str:
        """A licence with all its disclosures."""
        values = templates.check(self.form, ROW | {"ZZYXQQSRQ": days[0], "ZZYXQJZRQ": days[1]})
        claims = credential.licence_claims(
            self.form,
            values,
            identity=identifier.make(code or self.code, issuer or self.member, f"A{index:09d}"),
            issuer_name="公安局",
            issued_at=SINCE_S + 86_400,
            status=credential.StatusPlace(uri=uri or self.uri, index=index),
            holder_spki=self.holder.spki if bound else None,
        )
        return issuing.issue(claims, typ=credential.TYP, signer=key or self.signer, salts=salts(f"{seed}{index}"))

    def presentation(self, **given: Any) -> str:
        """A licence of which three facts are shown."""
        return issuing.present(self.licence(**given), SHOWN)

    def slip(self, *, index: int = 0, key: Signer | None = None, ends_s: int | None = None) -> str:
        """A slip of a licence, made a minute ago and good for an hour."""
        now = self.clock() // 1000
        ends = now + 3_600 if ends_s is None else ends_s
        made = slip.Slip(
            identifier=str(identifier.make(self.code, self.member, f"A{index:09d}")),
            title=self.form.zh,
            holder="张*丰",
            valid_from_s=SINCE_S + 86_400,
            valid_until_s=None,
            made_s=ends - 3_660,
            ends_s=ends,
            status_uri=self.uri,
            status_index=index,
        )
        return slip.make(made, key or self.signer)

    def bound(self, presented: str, *, audience: str, nonce: str, at_ms: int | None = None) -> str:
        """A presentation bound by the holder's key."""
        at = (self.clock() if at_ms is None else at_ms) // 1000
        return binding.bind(presented, signer=self.holder, audience=audience, nonce=nonce, issued_at=at)

    def publish(
        self,
        values: dict[int, int],
        *,
        version: int = 1,
        ttl: int = 300,
        on_chain: bool = True,
        key: Signer | None = None,
    ) -> None:
        """Sign the list with these places set, now; its head stands on the chain."""
        content = StatusList.empty(ENTRIES).changed(values)
        now = self.clock() // 1000
        self.token = statustoken.make(
            key or self.signer,
            content,
            issuer=self.member,
            uri=self.uri,
            version=version,
            iat=now,
            ttl=ttl,
            exp=now + 2 * ttl,
        )
        if on_chain:
            self.head = StatusHeadInfo(
                uri_digest=hashlib.sha256(self.uri.encode()).digest(),
                newest=StatusVersionInfo(
                    issuer=self.member,
                    number=1,
                    version=version,
                    list_digest=content.digest,
                    token_digest=hashlib.sha256(self.token.encode()).digest(),
                    time=now,
                    inflated_bytes=len(content.packed),
                    bits=content.bits,
                ),
            )

    def end_key(self, key: Signer, status: KeyStatus, ended_at: int) -> None:
        """The chain's word on a key changes."""
        found = self.chain_keys[self._material(key)]
        self.chain_keys[self._material(key)] = replace(found, status=status, ended_at=ended_at)

    # --- what is read -------------------------------------------------------------------------------------------------
    def ask(self, uscc: str, path: str) -> bytes:
        """The issuer's node over HTTPS."""
        if self.node_away is not None:
            raise self.node_away
        if uscc != self.member:
            raise NotFoundError("member.no-node", "not in this memory")
        if path == "/licence/issuer":
            rows = [
                {"kid": key.kid, "alg": "ES256", "spki": base64.b64encode(key.spki).decode()} for key in self.node_keys
            ]
            return json.dumps({"issuer": self.member, "keys": rows}).encode()
        return self.token.encode()

    def moment(self) -> Moment:
        """The chain's newest block."""
        if self.chain_away is not None:
            raise self.chain_away
        now = self.clock()
        head = ChainHead(height=7, hash=bytes(32), state_root=bytes(32), time=now // 1000, header=b"")
        return Moment(head=head, time_ms=now if self.signed_ms is None else self.signed_ms, licences=bytes(20))

    def key(self, _at: Moment, material: bytes, member: str) -> KeyInfo | None:
        """An issuer key on the chain."""
        found = self.chain_keys.get(material)
        return found if found is not None and found.member == member else None

    def standing(self, _at: Moment, code: str, member: str) -> Standing:
        """The issuer's standing for a type."""
        if code != self.code:
            return Standing(known=False, withdrawn_at=0, spans=())
        return self.standing_now if member == self.member else replace(self.standing_now, spans=())

    def list_head(self, _at: Moment, _member: str, _number: int) -> StatusHeadInfo | None:
        """The list's newest version on the chain."""
        return self.head

    def desk(self, metrics: Metrics | None = None) -> tuple[LicenceDesk, Issuers]:
        """A gateway's desk that knows this issuer."""
        nodes = IssuerNodes(self)
        trusts = IssuerTrusts(self, nodes, self.clock, max_age_ms=MAX_AGE_MS)
        lists = StatusLists(self, nodes, trusts, self.clock, max_age_ms=MAX_AGE_MS)
        return LicenceDesk(trusts, lists, metrics or Metrics(), self.clock, self.proven), Issuers(self, trusts, lists)

    def _material(self, key: Signer) -> bytes:
        return hashlib.sha256(key.spki).digest()

    def _key_info(self, key: Signer) -> KeyInfo:
        return KeyInfo(
            material=self._material(key),
            member=self.member,
            role=KeyRole.ISSUER,
            status="active",
            valid_from=SINCE_S,
            valid_to=0,
            ended_at=0,
        )


def _on_no_chain(_bundle: bytes) -> ProvenIssue:
    raise UnavailableError("gateway.no-policy", "this issuer stands on no chain: nothing proves a bundle")


def salts(seed: str) -> Iterator[bytes]:
    """Salts of 16 bytes, without end."""
    number = 0
    while True:
        yield hashlib.sha256(f"memory salt {seed} {number}".encode()).digest()[:16]
        number += 1
