"""The bodies, the holder and the counters of the demonstration's licences, one step each: the calls their systems make.

The holder's side (wallet files and what is shown of them) lies in ``<city>/wallets``; nothing of it goes anywhere else.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from ledger.codec import encode
from ledger.errors import FatalError
from ledger.licences import binding
from ledger.licences.description import TypeDescription, encode_description
from ledger.licences.templates import TEMPLATES, Template
from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc as rpc
from ledger.v1 import licencetypes_pb2 as types_pb
from ledger.v1 import licencetypes_pb2_grpc as types_rpc
from node.city import steps
from node.city.counter import Counter
from node.cli.connect import CALL_TIMEOUT, Connection
from node.cli.licencenames import record_of
from node.cli.licencewallet import chosen
from node.cli.walletfile import Wallet, new_holder_key, write_wallet
from node.rpc.errors import from_rpc

WALLETS = "wallets"
#: The body that defines the types and accredits; template of each type, in the order of their numbers, and its issuer.
DEFINER = "data"
ISSUERS: Mapping[str, str] = {
    "driving-licence": "transport",
    "household-page": "civil",
    "marriage-certificate": "civil",
}
#: What the holder shows at a counter, of each licence.
SHOWN: Mapping[str, tuple[str, ...]] = {
    "driving-licence": ("KZ_ZJCX",),
    "household-page": ("CZZT", "KZ_YHZGX"),
    "marriage-certificate": ("CZZT", "KZ_DJRQ"),
}
_BASIS = "演示城市认可 2026 第 1 号"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A licence in its holder's hands, and the issuer's id of it."""

    id: bytes
    wallet: Wallet
    file: Path


class Office:
    """The steps. ``held``: the holder's licences by template."""

    def __init__(self, city: Path, counter: Counter, connections: Mapping[str, Connection]) -> None:
        """``city``: its folder; ``connections`` by handle."""
        self.folder = city / WALLETS
        self.held: dict[str, Held] = {}
        self._counter = counter
        self._of = connections

    def code(self, template: str) -> str:
        """The type code of a template."""
        return f"{self._of[DEFINER].member}{1 + list(ISSUERS).index(template):03d}"

    def issuer(self, template: str) -> Any:
        """The issuing service of who issues by a template."""
        return self._of[ISSUERS[template]].stub(rpc.IssuingServiceStub)

    def define(self, template: str) -> None:
        """Define a type, accredit its issuer, and wait until every node of the story has it."""
        define_type(self._of, self.code(template), TEMPLATES[template], self._of[ISSUERS[template]].member)

    def issue(self, template: str, fields: Mapping[str, str]) -> None:
        """One licence, bound to a fresh key of the holder, into a wallet file."""
        pem, signer = new_holder_key()
        issued = self.issuer(template).Issue(
            pb.IssueLicenceRequest(
                request=f"demo-{secrets.token_hex(12)}",
                type=self.code(template),
                template=template,
                fields=fields,
                holder_key=encode(binding.confirmation(signer.spki)["jwk"]),
            ),
            timeout=CALL_TIMEOUT,
        )
        record = record_of(issued, self._of[ISSUERS[template]].member)
        wallet = Wallet(licence=issued.sd_jwt, holder_key=pem, record=record)
        file = self.folder / f"{template}.json"
        write_wallet(file, wallet)
        self.held[template] = Held(id=issued.licence.id, wallet=wallet, file=file)

    def publish(self) -> None:
        """The status lists of every issuer, now."""
        for issuer in sorted(set(ISSUERS.values())):
            stub = self._of[issuer].stub(rpc.IssuingServiceStub)
            stub.PublishStatus(pb.PublishStatusRequest(), timeout=CALL_TIMEOUT)

    def shown(self, template: str) -> str:
        """The presentation of a licence with what the holder shows of it, bound to nobody."""
        return chosen(self.held[template].wallet, list(SHOWN[template]))

    def write(self, name: str, data: bytes) -> Path:
        """A file in the holder's folder: whoever reads it can show the licence."""
        path = self.folder / name
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
        return path

    def gateway_says(self, template: str, code: str) -> dict[str, Any]:
        """The gateway's verdict, awaited: its views of chain and lists are a few seconds old at most.

        Raises: UnavailableError(demo.timeout).
        """
        shown = self.shown(template)
        found: list[dict[str, Any]] = []

        def said() -> bool:
            found.append(self._counter.judge(shown))
            return bool(found[-1]["code"] == code)

        steps.until(said, f"the gateway says {code} of the {template}")
        return found[-1]

    def node_says(self, handle: str, shown: str) -> dict[str, Any]:
        """The verdict of a department's own node, which puts the check on its trail."""
        stub = self._of[handle].stub(rpc.VerifyingServiceStub)
        answer = stub.Verify(pb.VerifyLicenceRequest(presentation=shown), timeout=CALL_TIMEOUT)
        value: dict[str, Any] = json.loads(answer.verdict)
        return value


def define_type(of: Mapping[str, Connection], code: str, form: Template, issuer: str) -> None:
    """Define a type, accredit its issuer (USCC), and wait until every one of these nodes has it; ``of``: by handle."""
    stub = of[DEFINER].stub(types_rpc.LicenceTypeServiceStub)
    described = encode_description(TypeDescription(code=code, title_zh=form.zh, title_en=form.en))
    stub.Define(types_pb.DefineLicenceTypeRequest(description=described), timeout=CALL_TIMEOUT)
    stub.Accredit(types_pb.AccreditRequest(type=code, member=issuer, basis=_BASIS), timeout=CALL_TIMEOUT)
    wanted = types_pb.ListAccreditationsRequest(type=code, member=issuer)
    for handle, connection in of.items():
        steps.until(lambda at=connection: _in_force(at, wanted), f"{handle} has the accreditation of {issuer}")


def expect(verdict: dict[str, Any], code: str) -> dict[str, Any]:
    """The verdict, which must be this one. Raises: FatalError(demo.licence)."""
    if verdict["code"] != code:
        failed = [f"{line['name']}: {line['code']}" for line in verdict["checks"] if line["outcome"] != "pass"]
        raise FatalError(
            "demo.licence",
            "a licence was judged otherwise",
            expected=code,
            actual=f"{verdict['code']} ({', '.join(failed)})",
        )
    return verdict


def _in_force(connection: Connection, wanted: types_pb.ListAccreditationsRequest) -> bool:
    try:
        found = connection.stub(types_rpc.LicenceTypeServiceStub).ListAccreditations(wanted, timeout=CALL_TIMEOUT)
    except grpc.RpcError as error:
        # The block with the type may be on its way to this node.
        if from_rpc(error).code != "licence.type-unknown":
            raise
        return False
    return any(span.state == "in-force" for span in found.accreditations)
