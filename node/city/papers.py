"""The demonstration's e-licences: three of them, from two issuers, to one invented holder; shown, checked, ended, copied,
fetched.

The holder's side (wallet files and what is shown of them) lies in ``<city>/wallets``; nothing of it goes anywhere else.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.codec import encode
from ledger.days import day_of
from ledger.errors import FatalError
from ledger.licences import binding
from ledger.licences.copies import CopyTerms, make_copy
from ledger.licences.description import TypeDescription, encode_description
from ledger.licences.qr import symbol
from ledger.licences.templates import TEMPLATES
from ledger.v1 import department_pb2 as department_pb
from ledger.v1 import department_pb2_grpc as department_rpc
from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc as rpc
from ledger.v1 import licencetypes_pb2 as types_pb
from ledger.v1 import licencetypes_pb2_grpc as types_rpc
from node.city import holders, steps
from node.city.counter import Counter
from node.city.data import licences
from node.city.story import Story
from node.cli.connect import CALL_TIMEOUT, Connection
from node.cli.licencenames import record_of
from node.cli.licencewallet import chosen
from node.cli.texts import t
from node.cli.walletfile import Wallet, new_holder_key, write_wallet

WALLETS = "wallets"
#: The body that defines the types and accredits; template of each type, in the order of their numbers, and its issuer.
DEFINER = "data"
ISSUERS: Mapping[str, str] = {
    "driving-licence": "transport",
    "household-page": "civil",
    "marriage-certificate": "civil",
}
#: What the holder shows at a counter, of each licence.
_SHOWN: Mapping[str, tuple[str, ...]] = {
    "driving-licence": ("KZ_ZJCX",),
    "household-page": ("CZZT", "KZ_YHZGX"),
    "marriage-certificate": ("CZZT", "KZ_DJRQ"),
}
#: For whom the copy is made, and where else it is shown.
_RECIPIENT, _ELSEWHERE = "labour", "civil"
_MATTER = "演示：驾驶岗位报名"
#: What a grant for fetching names, and why one is fetched.
_FETCHED = ("CZZT", "CZZTDM", "KZ_ZJCX")
CAUSE = "演示报名 2026 第 17 号"
_WEEK_S = 7 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A licence in its holder's hands, and the issuer's id of it."""

    id: bytes
    wallet: Wallet
    file: Path


class Papers:
    """The chapters of the story that are about licences; each may raise LedgerError, and none is skipped."""

    def __init__(self, folder: Path, counter: Counter, connections: Mapping[str, Connection], story: Story) -> None:
        """``folder``: the city's; ``connections`` by handle."""
        self._folder = folder / WALLETS
        self._counter = counter
        self._of = connections
        self._story = story
        self._holder = holders.invented("女")
        self._held: dict[str, _Held] = {}

    def define(self) -> None:
        """The types and who may issue them, on chain."""
        definer = self._of[DEFINER]
        stub = definer.stub(types_rpc.LicenceTypeServiceStub)
        for template, issuer in ISSUERS.items():
            form, code = TEMPLATES[template], self._code(template)
            described = encode_description(TypeDescription(code=code, title_zh=form.zh, title_en=form.en))
            stub.Define(types_pb.DefineLicenceTypeRequest(description=described), timeout=CALL_TIMEOUT)
            stub.Accredit(
                types_pb.AccreditRequest(type=code, member=self._of[issuer].member, basis="演示城市认可 2026 第 1 号"),
                timeout=CALL_TIMEOUT,
            )
        for template, issuer in ISSUERS.items():
            steps.until(lambda at=issuer, of=template: self._accredited(at, of), f"{issuer} is accredited")
        self._story.tell(
            t("licence types defined, issuers accredited", "定义的证照类型及认可的颁发单位"),
            t(f"{len(ISSUERS)} types, {len(set(ISSUERS.values()))} issuers", "3 类，2 个单位"),
            licence_types={template: self._code(template) for template in ISSUERS},
        )

    def issue(self) -> None:
        """One licence of each type, bound to the holder's key, into wallet files."""
        self._folder.mkdir(mode=0o700)
        today = day_of(time.time_ns() // 1_000_000)
        holder, spouse = self._holder, holders.invented("男")
        rows = {
            "driving-licence": holders.driving_licence(holder, today),
            "household-page": holders.household_page(holder),
            "marriage-certificate": holders.marriage_certificate(holder, spouse),
        }
        for template, fields in rows.items():
            self._held[template] = self._issue(template, fields)
        for issuer in sorted(set(ISSUERS.values())):
            self._publish(issuer)
        self._story.tell(
            t("licences issued to an invented holder", "向虚构持证人签发的证照"),
            "、".join(TEMPLATES[name].zh for name in rows)
            if t("en", "zh") == "zh"
            else f"{len(rows)} ({', '.join(rows)})",
            wallets=[str(held.file) for held in self._held.values()],
        )

    def show(self) -> None:
        """Shown to the gateway with one fact disclosed, then once more (replayed); judged on paper, and at a counter."""
        held = self._held["driving-licence"]
        nonce, audience = self._counter.nonce(), self._counter.audience
        shown = binding.bind(
            self._chosen("driving-licence"),
            signer=held.wallet.signer(),
            audience=audience,
            nonce=nonce,
            issued_at=int(time.time()),
        )
        verdict = self._counter.judge(shown, nonce=nonce, audience=audience)
        self._expect(verdict, "valid")
        self._story.tell(
            t("a licence shown online, checked by the gateway", "在线出示并由网关核验"),
            t("1 fact shown, the rest held back: ", "只出示 1 项，其余不出示：") + _found(verdict),
            licence_online=verdict["code"],
        )
        again = self._expect(self._counter.judge(shown, nonce=nonce, audience=audience), "replayed")
        self._story.tell(
            t("the same presentation a second time", "同一出示件再次出示"),
            _refusal(again),
            licence_replayed=again["code"],
        )
        self._write("driving-licence.txt", self._chosen("driving-licence").encode())
        slip = self._issuer("driving-licence").MakeSlip(
            pb.MakeSlipRequest(id=held.id, seconds=_WEEK_S), timeout=CALL_TIMEOUT
        )
        self._write("driving-licence.png", symbol(slip.slip).png())
        paper = self._expect(self._counter.judge(slip.slip), "valid")
        self._story.tell(
            t("its QR code on paper, with the name masked", "纸质二维码（姓名已遮盖）"),
            _found(paper),
            licence_slip=paper["code"],
        )

    def end(self) -> None:
        """One licence suspended, one revoked: refused as soon as the lists say so."""
        ended = (("household-page", "Suspend", "inquiry"), ("marriage-certificate", "Revoke", "court-order"))
        for template, method, reason in ended:
            self._expect(self._counter.judge(self._chosen(template)), "valid")
            wanted = pb.ChangeLicenceRequest(id=self._held[template].id, reason=reason)
            getattr(self._issuer(template), method)(wanted, timeout=CALL_TIMEOUT)
            self._write(f"{template}.txt", self._chosen(template).encode())
        for issuer in sorted({ISSUERS[template] for template, *_ in ended}):
            self._publish(issuer)
        suspended = self._refused("household-page", "suspended")
        revoked = self._refused("marriage-certificate", "revoked")
        self._story.tell(
            t("a suspended licence", "被暂停的证照"), _refusal(suspended), licence_suspended=suspended["code"]
        )
        self._story.tell(t("a revoked licence", "被撤销的证照"), _refusal(revoked), licence_revoked=revoked["code"])

    def copy(self) -> None:
        """A copy for one body and one matter: good there, refused elsewhere."""
        held = self._held["driving-licence"]
        now = int(time.time())
        terms = CopyTerms(recipient=self._of[_RECIPIENT].member, matter=_MATTER, made_s=now, expires_s=now + _WEEK_S)
        copied = make_copy(
            self._chosen("driving-licence"), terms, holder=held.wallet.signer(), nonce=secrets.token_bytes(16)
        )
        self._write("copy.txt", copied.encode())
        there = self._expect(self._at_counter(_RECIPIENT, copied), "valid")
        elsewhere = self._expect(self._at_counter(_ELSEWHERE, copied), "wrong-recipient")
        self._story.tell(
            t("a copy for one body, shown there", "加注件，向指定单位出示"), _found(there), copy_there=there["code"]
        )
        self._story.tell(
            t("the same copy, shown to another body", "同一加注件，向其他单位出示"),
            _refusal(elsewhere),
            copy_elsewhere=elsewhere["code"],
        )

    def fetch(self) -> None:
        """A department that has a grant fetches the licence from its issuer: the holder submits nothing, and can see it."""
        template, recipient = "driving-licence", self._of[_RECIPIENT]
        issuer = self._of[ISSUERS[template]]
        source = licences(issuer.member, self._code(template), TEMPLATES[template], _FETCHED)
        dataset = steps.publish(issuer, source)
        grant = steps.request_grant(
            recipient, dataset, purpose="driver-registration", matter=_MATTER, fields=list(_FETCHED), rows={}
        ).id
        steps.approve(issuer, grant)
        steps.wait_active(recipient, grant)
        got = recipient.stub(rpc.FetchingServiceStub).Fetch(
            pb.FetchLicenceRequest(
                grant=grant, holder=self._holder.number, use_cause=CAUSE, operator_pseudonym="clerk-demo"
            ),
            timeout=120,
        )
        verdict = self._expect(json.loads(got.verdict), "valid")
        seen = recipient.stub(department_rpc.RecordServiceStub).Query(
            department_pb.QueryRequest(subject=self._holder.number, type="licence.fetched"), timeout=CALL_TIMEOUT
        )
        if [row.index for row in seen.rows] != [got.log_index]:
            raise FatalError(
                "demo.fetch",
                "the holder does not see who fetched a licence",
                expected=got.log_index,
                actual=len(seen.rows),
            )
        self._story.tell(
            t("fetched under a grant, the holder submits nothing", "依授权获取，持证人免于提交"),
            t("receipt of both sides, seen by the holder: ", "双方签名回执，持证人可查：") + _found(verdict),
            licence_fetched=verdict["code"],
            fetch=json.loads(got.receipt.receipt),
        )

    # --- inside -------------------------------------------------------------------------------------------------------

    def _code(self, template: str) -> str:
        return f"{self._of[DEFINER].member}{1 + list(ISSUERS).index(template):03d}"

    def _accredited(self, issuer: str, template: str) -> bool:
        connection = self._of[issuer]
        wanted = types_pb.ListAccreditationsRequest(type=self._code(template), member=connection.member)
        found = connection.stub(types_rpc.LicenceTypeServiceStub).ListAccreditations(wanted, timeout=CALL_TIMEOUT)
        return any(span.state == "in-force" for span in found.accreditations)

    def _issue(self, template: str, fields: Mapping[str, str]) -> _Held:
        pem, signer = new_holder_key()
        issued = self._issuer(template).Issue(
            pb.IssueLicenceRequest(
                request=f"demo-{secrets.token_hex(12)}",
                type=self._code(template),
                template=template,
                fields=fields,
                holder_key=encode(binding.confirmation(signer.spki)["jwk"]),
            ),
            timeout=CALL_TIMEOUT,
        )
        record = record_of(issued, self._of[ISSUERS[template]].member)
        wallet = Wallet(licence=issued.sd_jwt, holder_key=pem, record=record)
        file = self._folder / f"{template}.json"
        write_wallet(file, wallet)
        return _Held(id=issued.licence.id, wallet=wallet, file=file)

    def _refused(self, template: str, code: str) -> dict[str, Any]:
        """The gateway's verdict as soon as it is another than valid: its view is a few seconds old at most."""
        shown = self._chosen(template)
        found: list[dict[str, Any]] = []

        def refused() -> bool:
            found.append(self._counter.judge(shown))
            return bool(found[-1]["code"] != "valid")

        steps.until(refused, f"the gateway knows that a licence is {code}")
        return self._expect(found[-1], code)

    def _publish(self, issuer: str) -> None:
        stub = self._of[issuer].stub(rpc.IssuingServiceStub)
        stub.PublishStatus(pb.PublishStatusRequest(), timeout=CALL_TIMEOUT)

    def _at_counter(self, handle: str, shown: str) -> dict[str, Any]:
        """The verdict of a department's own node, which puts the check on its trail."""
        stub = self._of[handle].stub(rpc.VerifyingServiceStub)
        answer = stub.Verify(pb.VerifyLicenceRequest(presentation=shown), timeout=CALL_TIMEOUT)
        value: dict[str, Any] = json.loads(answer.verdict)
        return value

    def _issuer(self, template: str) -> Any:
        return self._of[ISSUERS[template]].stub(rpc.IssuingServiceStub)

    def _chosen(self, template: str) -> str:
        return chosen(self._held[template].wallet, list(_SHOWN[template]))

    def _expect(self, verdict: dict[str, Any], code: str) -> dict[str, Any]:
        if verdict["code"] != code:
            failed = [f"{line['name']}: {line['code']}" for line in verdict["checks"] if line["outcome"] != "pass"]
            raise FatalError(
                "demo.licence",
                "a licence was judged otherwise",
                expected=code,
                actual=f"{verdict['code']} ({', '.join(failed)})",
            )
        return verdict

    def _write(self, name: str, data: bytes) -> None:
        # Whoever reads it can show the licence.
        descriptor = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)


def chapters(papers: Papers) -> list[tuple[str, Callable[[], None]]]:
    """What is told of licences, in order."""
    return [
        (t("define licence types, accredit issuers", "定义证照类型，认可颁发单位"), papers.define),
        (t("issue three licences", "签发三类证照"), papers.issue),
        (t("show one, online and on paper", "在线与纸质出示证照"), papers.show),
        (t("suspend one, revoke one", "暂停一张，撤销一张"), papers.end),
        (t("a copy for one body, shown to another", "加注件，向他处出示"), papers.copy),
        (t("fetch one under a grant", "依授权获取证照"), papers.fetch),
    ]


def _found(verdict: Mapping[str, Any]) -> str:
    title = verdict["title"]
    return f"{t(title['en'], title['zh'])} [{verdict['code']}]"


def _refusal(verdict: Mapping[str, Any]) -> str:
    return t("refused: ", "已拒绝：") + _found(verdict)
