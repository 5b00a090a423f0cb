"""The demonstration's e-licences: three of them, from two issuers, to one invented holder; shown, checked, proven offline,
ended, copied, fetched."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ledger.days import day_of
from ledger.licences import binding
from ledger.licences.copies import CopyTerms, make_copy
from ledger.licences.qr import symbol
from ledger.licences.templates import TEMPLATES
from ledger.v1 import department_pb2 as department_pb
from ledger.v1 import department_pb2_grpc as department_rpc
from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc as rpc
from node.city import holders, steps
from node.city.counter import Counter
from node.city.data import licences
from node.city.office import ISSUERS, SHOWN, Office, expect
from node.city.offline import surroundings, verify_offline
from node.city.signingin import PEOPLE, Visitor
from node.city.story import Story
from node.cli.connect import CALL_TIMEOUT, Connection
from node.cli.texts import t

#: The licence that stays good: its holder shows it, copies it, and somebody fetches it.
_GOOD = "driving-licence"
#: For whom the copy is made, and where else it is shown.
_RECIPIENT, _ELSEWHERE = "labour", "civil"
_MATTER = "演示：驾驶岗位报名"
#: What a grant for fetching names, and why one is fetched.
_FETCHED = ("CZZT", "CZZTDM", "KZ_ZJCX")
CAUSE = "演示报名 2026 第 17 号"
_WEEK_S = 7 * 86_400


class Papers:
    """The chapters of the story that are about licences; each may raise LedgerError, and none is skipped."""

    def __init__(self, city: Path, counter: Counter, connections: Mapping[str, Connection], story: Story) -> None:
        """``city``: its folder; ``connections`` by handle."""
        self._city = city
        self._counter = counter
        self._of = connections
        self._story = story
        self._holder = holders.invented("女")
        self._office = Office(city, counter, connections)

    def define(self) -> None:
        """The types and who may issue them, on chain."""
        for template in ISSUERS:
            self._office.define(template)
        self._story.tell(
            t("licence types defined, issuers accredited", "定义的证照类型及认可的颁发单位"),
            t(f"{len(ISSUERS)} types, {len(set(ISSUERS.values()))} issuers", "3 类，2 个单位"),
            licence_types={template: self._office.code(template) for template in ISSUERS},
        )

    def issue(self) -> None:
        """One licence of each type, bound to the holder's key, into wallet files."""
        self._office.folder.mkdir(mode=0o700)
        today = day_of(time.time_ns() // 1_000_000)
        rows = {
            "driving-licence": holders.driving_licence(self._holder, today),
            "household-page": holders.household_page(self._holder),
            "marriage-certificate": holders.marriage_certificate(self._holder, holders.invented("男")),
        }
        for template, fields in rows.items():
            self._office.issue(template, fields)
        self._office.publish()
        self._story.tell(
            t("licences issued to an invented holder", "向虚构持证人签发的证照"),
            t(", ".join(rows), "、".join(TEMPLATES[name].zh for name in rows)),
            wallets=[str(held.file) for held in self._office.held.values()],
        )

    def show(self) -> None:
        """Shown to the gateway with one fact disclosed, then once more (replayed), then on paper."""
        held = self._office.held[_GOOD]
        self._office.gateway_says(_GOOD, "valid")
        nonce, audience = self._counter.nonce(), self._counter.audience
        shown = binding.bind(
            self._office.shown(_GOOD),
            signer=held.wallet.signer(),
            audience=audience,
            nonce=nonce,
            issued_at=int(time.time()),
        )
        verdict = expect(self._counter.judge(shown, nonce=nonce, audience=audience), "valid")
        self._story.tell(
            t("a licence shown online, checked by the gateway", "在线出示并由网关核验"),
            t("1 fact shown, the rest held back: ", "只出示 1 项，其余不出示：") + _found(verdict),
            licence_online=verdict["code"],
        )
        again = expect(self._counter.judge(shown, nonce=nonce, audience=audience), "replayed")
        self._story.tell(
            t("the same presentation a second time", "同一出示件再次出示"),
            _refusal(again),
            licence_replayed=again["code"],
        )
        self._office.write(f"{_GOOD}.txt", self._office.shown(_GOOD).encode())
        wanted = pb.MakeSlipRequest(id=held.id, seconds=_WEEK_S)
        slip = self._office.issuer(_GOOD).MakeSlip(wanted, timeout=CALL_TIMEOUT).slip
        self._office.write(f"{_GOOD}.png", symbol(slip).png())
        paper = expect(self._counter.judge(slip), "valid")
        self._story.tell(
            t("its QR code on paper, with the name masked", "纸质二维码（姓名已遮盖）"),
            _found(paper),
            licence_slip=paper["code"],
        )

    def prove(self) -> None:
        """The licence in one file, with all that proves it, judged by a process without network under the city's policy."""
        wanted = pb.MakeLicenceBundleRequest(id=self._office.held[_GOOD].id, show=SHOWN[_GOOD], wait_ms=60_000)
        bundle = self._office.issuer(_GOOD).MakeBundle(wanted, timeout=150).bundle
        file = self._office.write(f"{_GOOD}.civic", bundle)
        found = verify_offline(file, self._city / "city.policy")
        verdict = expect(found["licence"], "valid")
        self._story.tell(
            t("a licence in one file, verified ", "证照证明文件，") + surroundings(found),
            f"{_found(verdict)}, {found['reached']}, {found['finality']} ({len(bundle):,} B)",
            licence_offline=verdict["code"],
            licence_bundle={"file": str(file), "reached": found["reached"], "offline": found["offline"]},
        )

    def end(self) -> None:
        """One licence suspended, one revoked: refused as soon as the lists say so."""
        ended = (("household-page", "Suspend", "inquiry"), ("marriage-certificate", "Revoke", "court-order"))
        for template, method, reason in ended:
            self._office.gateway_says(template, "valid")
            wanted = pb.ChangeLicenceRequest(id=self._office.held[template].id, reason=reason)
            getattr(self._office.issuer(template), method)(wanted, timeout=CALL_TIMEOUT)
            self._office.write(f"{template}.txt", self._office.shown(template).encode())
        self._office.publish()
        suspended = self._office.gateway_says("household-page", "suspended")
        revoked = self._office.gateway_says("marriage-certificate", "revoked")
        self._story.tell(
            t("a suspended licence", "被暂停的证照"), _refusal(suspended), licence_suspended=suspended["code"]
        )
        self._story.tell(t("a revoked licence", "被撤销的证照"), _refusal(revoked), licence_revoked=revoked["code"])

    def copy(self) -> None:
        """A copy for one body and one matter: good there, refused elsewhere."""
        now = int(time.time())
        terms = CopyTerms(recipient=self._of[_RECIPIENT].member, matter=_MATTER, made_s=now, expires_s=now + _WEEK_S)
        holder = self._office.held[_GOOD].wallet.signer()
        copied = make_copy(self._office.shown(_GOOD), terms, holder=holder, nonce=secrets.token_bytes(16))
        self._office.write("copy.txt", copied.encode())
        there = expect(self._office.node_says(_RECIPIENT, copied), "valid")
        elsewhere = expect(self._office.node_says(_ELSEWHERE, copied), "wrong-recipient")
        self._story.tell(
            t("a copy for one body, shown there", "加注件，向指定单位出示"), _found(there), copy_there=there["code"]
        )
        self._story.tell(
            t("the same copy, shown to another body", "同一加注件，向其他单位出示"),
            _refusal(elsewhere),
            copy_elsewhere=elsewhere["code"],
        )

    def fetch(self) -> None:
        """A department with a grant fetches the licence from its issuer: the holder submits nothing, and can see it."""
        issuer, recipient = self._of[ISSUERS[_GOOD]], self._of[_RECIPIENT]
        dataset = steps.publish(issuer, licences(issuer.member, self._office.code(_GOOD), TEMPLATES[_GOOD], _FETCHED))
        grant = steps.request_grant(
            recipient, dataset, purpose="driver-registration", matter=_MATTER, fields=list(_FETCHED), rows={}
        ).id
        steps.approve(issuer, grant)
        steps.wait_active(recipient, grant)
        wanted = pb.FetchLicenceRequest(
            grant=grant, holder=self._holder.number, use_cause=CAUSE, operator_pseudonym="clerk-demo"
        )
        got = recipient.stub(rpc.FetchingServiceStub).Fetch(wanted, timeout=120)
        verdict = expect(json.loads(got.verdict), "valid")
        steps.until(lambda: self._fetches(recipient) == [got.log_index], "the holder sees who fetched the licence")
        self._story.tell(
            t("fetched under a grant, the holder submits nothing", "依授权获取，持证人免于提交"),
            t("receipt of both sides, seen by the holder: ", "双方签名回执，持证人可查：") + _found(verdict),
            licence_fetched=verdict["code"],
            fetch=json.loads(got.receipt.receipt),
        )

    def sign_in(self) -> None:
        """The holder signs in at the gateway and sees the fetch, by whom and for what; nothing of it was asked of a
        department, which knows no token but verifies it."""
        people = [{"name": self._holder.name, "number": self._holder.number}]
        self._office.write(PEOPLE.name, json.dumps(people, ensure_ascii=False).encode())
        visitor = Visitor(self._city / "gateway")
        visitor.sign_in(self._holder.name)
        seen: list[dict[str, Any]] = []

        def told() -> bool:
            seen[:] = [one for one in visitor.accesses()["entries"] if one["matter"] == _MATTER and one["complete"]]
            return len(seen) == 1 and len(seen[0]["records"]) == 2

        steps.until(told, "the holder sees the fetch at the gateway, from both logs")
        visitor.sign_out()
        by = seen[0]["by"]["name"]
        self._story.tell(
            t("the holder signs in and sees who fetched it", "持证人登录后查看谁获取过证照"),
            t(f"{by}, on record in both logs", f"{by}，双方日志均有记录"),
            seen_by_holder={name: seen[0][name] for name in ("by", "exchange", "receipt", "records")},
        )

    def _fetches(self, connection: Connection) -> list[int]:
        """Where a department's log says that a licence of the holder was fetched."""
        wanted = department_pb.QueryRequest(subject=self._holder.number, type="licence.fetched")
        rows = connection.stub(department_rpc.RecordServiceStub).Query(wanted, timeout=CALL_TIMEOUT).rows
        return [int(row.index) for row in rows]


def chapters(papers: Papers) -> list[tuple[str, Callable[[], None]]]:
    """What is told of licences, in order."""
    return [
        (t("define licence types, accredit issuers", "定义证照类型，认可颁发单位"), papers.define),
        (t("issue three licences", "签发三类证照"), papers.issue),
        (t("show one, online and on paper", "在线与纸质出示证照"), papers.show),
        (t("prove one in a file, offline", "制作证明文件并离线核验"), papers.prove),
        (t("suspend one, revoke one", "暂停一张，撤销一张"), papers.end),
        (t("a copy for one body, shown to another", "加注件，向他处出示"), papers.copy),
        (t("fetch one under a grant", "依授权获取证照"), papers.fetch),
        (t("the holder signs in and sees it", "持证人登录查看"), papers.sign_in),
    ]


def _found(verdict: Mapping[str, Any]) -> str:
    title = verdict["title"]
    return f"{t(title['en'], title['zh'])} [{verdict['code']}]"


def _refusal(verdict: Mapping[str, Any]) -> str:
    return t("refused: ", "已拒绝：") + _found(verdict)
