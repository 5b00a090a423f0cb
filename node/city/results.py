"""The demonstration's medical results: three hospitals take reports in, find, open and recognise each other's or test
again, correct and withdraw; a patient forbids; the figures are counted from the steps and, again, from the logs."""

from __future__ import annotations

import itertools
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ledger.errors import FatalError
from ledger.medical.reasons import NATIONAL
from ledger.medical.texts import REASONS
from node.city import certificate, clinic, counter, steps, ward
from node.city.office import WALLETS
from node.city.outcome import FIGURES, became, why
from node.city.roster import HOSPITALS
from node.city.story import Story, Table
from node.city.visit import visit
from node.cli.connect import Connection
from node.cli.texts import LANG, t

#: Reports in all; patients a hospital looks for, and reports it opens at most.
REPORTS: Final = 300
_PATIENTS, _OPENED = 6, 8
#: In the folder of who holds licences: whom the story's doctors looked for, one a line, and who forbade.
PATIENTS = Path(WALLETS, "patients.txt")
#: What is refused at a hospital's door, or held there.
_DOOR: Final[Mapping[str, tuple[str, str]]] = {
    "fhir.two-patients": ("two patients in one report", "一份报告涉及两名患者"),
    "fhir.time-future": ("taken in the future", "采样或检查时间在将来"),
    "fhir.json": ("the file was cut short", "文件不完整"),
    "fhir.resource-type": ("no report at all", "不是检查检验报告"),
    "fhir.time-missing": ("held: nobody wrote down when it was taken", "暂存：缺少采样或检查时间"),
}
#: Where the words of a reason have room for a detail.
_DETAIL: Final = re.compile(r" ?[(（][^()（）]*\{\}[^()（）]*[)）]| of \{\} days")
_WITHDRAWN: Final = "sample-mixed-up"


@dataclass(slots=True, kw_only=True)
class _Rounds:
    """What the doctors of one hospital did. ``opened``: where, and which report; ``withheld``: why items could not be
    recognised; counts are of items."""

    opened: list[tuple[str, bytes]] = field(default_factory=list)
    withheld: Counter[str] = field(default_factory=Counter)
    recognised: int = 0
    retested: Counter[str] = field(default_factory=Counter)


class Results:
    """The chapters of the story that are about medical results; each may raise LedgerError, and none is skipped."""

    def __init__(
        self, city: Path, connections: Mapping[str, Connection], story: Story, show: Callable[[str], None]
    ) -> None:
        """``city``: its folder; ``connections`` by handle; ``show``: how far a chapter is."""
        self._city = city
        self._counter = counter.Counter(city / "gateway")
        self._of_all = connections
        self._show = show
        self._health, self._quality = connections["health"], connections["quality"]
        self._hospitals = [connections[handle] for handle in HOSPITALS]
        self._by_member = {hospital.member: hospital for hospital in self._hospitals}
        self._handle = {connections[handle].member: handle for handle in HOSPITALS}
        self._story = story
        self._of: dict[str, list[ward.TakenIn]] = {}
        self._rounds: dict[str, _Rounds] = {}
        #: Steps that a hospital's node refused: code -> what was tried.
        self._refused: dict[str, str] = {}

    def govern(self) -> None:
        """Rules, levels, the label, and what the quality centre found of every item: on chain."""
        count = ward.govern(self._health, self._quality, self._hospitals)
        self._story.tell(
            t("rules of recognition in force, quality assessed", "互认规则生效，室间质评入链"),
            t(
                f"{len(self._hospitals)} hospitals, {count} assessments",
                f"{len(self._hospitals)} 家医院，{count} 条质评",
            ),
            assessments=count,
        )

    def take_in(self) -> None:
        """300 reports in FHIR R4, as three hospitals' systems send them: offered, held, or refused with a reason."""
        members = [hospital.member for hospital in self._hospitals]
        reports = clinic.reports(members, int(time.time()), REPORTS)
        done = itertools.count(1)
        what = t("reports", "份报告")
        taken = ward.take_in(self._hospitals, reports, lambda _: self._show(f"{next(done)} / {len(reports)} {what}"))
        ward.at_once(ward.back_up_keys, self._hospitals)
        states = Counter(one.state for one in taken)
        wrong = [one for one in taken if (one.state == "refused") is not one.sent.refused]
        if wrong:
            raise FatalError("demo.taken-in", f"{len(wrong)} reports were judged otherwise", actual=wrong[0].sent.fate)
        for one in taken:
            if one.report:
                self._of.setdefault(one.sent.identity, []).append(one)
        self._at_door = Counter(code for one in taken if one.state != "offered" for code in one.codes if code in _DOOR)
        self._story.tell(
            t("reports taken in by three hospitals", "三家医院接收的报告"),
            t(
                f"{states['offered']} offered, {states['held']} held, {states['refused']} refused",
                f"{states['offered']} 份可供互认，{states['held']} 份暂存，{states['refused']} 份拒收",
            ),
            reports={"sent": len(taken), **states},
            refused_reports=dict(self._at_door),
        )

    def treat(self) -> None:
        """Doctors of every hospital find, open, recognise and test again what the other two have of their patients."""
        turns = {hospital.member: self._patients(hospital, place) for place, hospital in enumerate(self._hospitals)}
        expected = {
            identity: sum(one.state != "refused" for one in self._of[identity])
            for identities in turns.values()
            for identity in identities
        }
        ward.findable(self._hospitals[0], expected)
        self._note(list(expected))
        found = ward.at_once(lambda hospital: self._round(hospital, turns[hospital.member]), self._hospitals)
        self._rounds = dict(zip(self._by_member, found, strict=True))
        self._try_unrecognisable()
        opened = sum(len(one.opened) for one in found)
        reasons: Counter[str] = sum((one.retested for one in found), Counter())
        recognised, retested = sum(one.recognised for one in found), reasons.total()
        if not recognised or len(reasons) < 3:
            raise FatalError("demo.rounds", f"{recognised} items recognised, tested again for {sorted(reasons)}")
        self._story.tell(
            t("other hospitals' reports opened, decided item by item", "调阅他院报告，逐项决定"),
            t(
                f"{opened} reports; {recognised} items recognised, {retested} tested again for {len(reasons)} reasons",
                f"{opened} 份报告；互认 {recognised} 项，因 {len(reasons)} 种理由重检 {retested} 项",
            ),
            rounds={"reports": opened, "recognised": recognised, "retested": dict(reasons)},
        )

    def change(self) -> None:
        """One opened report is corrected, another withdrawn: who opened them is told, and cannot rely on them."""
        asker, ((corrector, first), (withdrawer, second)) = self._hospitals[0], self._two_opened()
        state = ward.take_in_again(self._by_member[corrector], clinic.corrected(self._sent(first)))
        if state != "corrected":
            raise FatalError("demo.correction", "a correction was taken for something else", actual=state)
        ward.withdraw(self._by_member[withdrawer], second, _WITHDRAWN)
        wanted = {first: "corrected", second: "withdrawn"}
        steps.until(lambda: wanted.items() <= ward.changes(asker).items(), "the hospital that opened them is told")
        old = steps.refused(lambda: ward.open_report(asker, corrector, first))
        gone = steps.refused(lambda: ward.open_report(asker, withdrawer, second))
        self._refused[old.code] = t("open the version before a correction", "调阅更正前的版本")
        self._refused[gone.code] = t("open what was withdrawn", "调阅已撤回的报告")
        self._story.tell(
            t("a correction and a withdrawal, told to who had opened them", "更正与撤回，已告知调阅医院"),
            t("refused since: ", "此后拒绝：") + f"[{old.code}] [{gone.code}]",
            changed_reports={"corrected": old.code, "withdrawn": gone.code},
        )

    def forbid(self) -> None:
        """A patient forbids sharing at one hospital: what was found is not opened, and not found any more."""
        asker, there = self._hospitals[0], self._hospitals[1]
        one = self._unopened(there)
        found = ward.search(asker, one.sent.identity)
        if one.report not in {bytes(report.report) for report in found.reports}:
            raise FatalError("demo.consent", "a report was not found before its patient forbade that")
        ward.forbid(there, one.sent.patient)
        refusal = steps.refused(lambda: ward.open_report(asker, there.member, one.report))
        again = ward.search(asker, one.sent.identity)
        if there.member in {report.institution for report in again.reports}:
            raise FatalError("demo.consent", "a report is offered although its patient forbade that")
        self._refused[refusal.code] = t("open what its patient forbids", "调阅患者已禁止共享的报告")
        self._story.tell(
            t("a patient forbids sharing", "患者禁止共享"),
            t("found no more, and not opened", "不再可查，且拒绝调阅") + f" [{refusal.code}]",
            forbidden=refusal.code,
        )

    def sign_in(self) -> None:
        """A patient signs in at the gateway."""
        asker = self._hospitals[0]
        institution, report = self._rounds[asker.member].opened[0]
        identity = self._sent(report).identity
        visit(self._city, identity, institution, asker, self._handle[asker.member], self._story)

    def certify(self) -> None:
        """A certificate of an examination; and how many messages all this was to patients."""
        certificate.certify(self._of_all, self._hospitals[0], self._story)
        # One of each opening, of the correction, of the withdrawal, of the certificate.
        opened = sum(len(one.opened) for one in self._rounds.values())
        certificate.messages(self._hospitals, opened + 3, self._story)

    def figures(self) -> None:
        """What became of the results, counted at every hospital from its steps and again from its log."""
        answers = ward.at_once(ward.statistics, self._hospitals)
        differing = [
            self._handle[hospital.member]
            for hospital, answer in zip(self._hospitals, answers, strict=True)
            if answer.records != "same"
        ]
        own = {
            hospital.member: [one for one in answer.figures if one.by == "asker" and one.key == hospital.member]
            for hospital, answer in zip(self._hospitals, answers, strict=True)
        }
        reasons: Counter[str] = Counter()
        rows = {}
        for member, figures in own.items():
            rows[member] = next(one for one in figures if not one.reason)
            reasons.update({one.reason: one.retested for one in figures if one.reason})
        total = {name: sum(getattr(row, name) for row in rows.values()) for name in FIGURES}
        counted = (sum(one.recognised for one in self._rounds.values()), self._retested())
        if differing or counted != (total["recognised"], reasons):
            raise FatalError(
                "demo.figures", f"the figures differ: {differing}", expected=str(counted), actual=f"{total} {reasons}"
            )
        self._story.tell(
            t("figures counted from the steps, and again from the logs", "由步骤统计并与日志核对的数据"),
            t(
                f"the same; ¥{total['saved_cents'] / 100:,.2f} saved, {total['opened_not_recognised']} items opened "
                "and not recognised",
                f"一致；节省 {total['saved_cents'] / 100:,.2f} 元，调阅未互认 {total['opened_not_recognised']} 项",
            ),
            figures={**total, "reasons": dict(reasons)},
        )
        self._for_everybody(total)
        self._story.tables += [
            self._refusals(),
            became({self._handle[member]: row for member, row in rows.items()}, total),
            why(reasons),
        ]

    def _for_everybody(self, total: Mapping[str, int]) -> None:
        """The city's figures at the gateway, put together from what the hospitals publish."""
        names = ("opened", "recognised", "retested")
        told: list[dict[str, Any]] = []

        def complete() -> bool:
            # Hospitals tell what was before this second, and on a busy machine one may answer the gateway too late.
            told[:] = [self._counter.figures()]
            sums = told[0]["total"]
            return not told[0]["absent"] and all(
                sums[name]["least"] >= total[name] or sums[name]["withheld"] for name in names
            )

        steps.until(complete, "the gateway has the figures of every hospital", timeout=240)
        found = told[0]
        shown = {name: found["total"][name] for name in names}
        for name, figure in shown.items():
            if figure["least"] > total[name]:
                raise FatalError(
                    "demo.figures", f"the gateway's {name} differ", expected=total[name], actual=str(figure)
                )
        self._story.tell(
            t("the city's figures at the gateway, for everybody", "网关面向公众的全市数据"),
            t(
                f"{found['asked']} hospitals, the same; single figures below five are withheld",
                f"{found['asked']} 家医院，一致；小于 5 的单项数据不公布",
            ),
            public_figures=shown,
        )

    # --- whom, what ---------------------------------------------------------------------------------------------------
    def _patients(self, hospital: Connection, place: int) -> list[str]:
        """Patients of a hospital with the most reports at the others, none of another hospital's list."""
        known = [
            (sum(one.sent.institution != hospital.member for one in reports), identity)
            for identity, reports in sorted(self._of.items())[place :: len(self._hospitals)]
            if any(one.sent.institution == hospital.member for one in reports)
        ]
        return [identity for others, identity in sorted(known, reverse=True)[:_PATIENTS] if others]

    def _note(self, identities: Sequence[str]) -> None:
        """Invented people all of them; the numbers stand in the holders' folder and in the hospitals' vaults only."""
        path = self._city / PATIENTS
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.writelines(f"ric:{identity}\n" for identity in identities)

    def _round(self, hospital: Connection, identities: Sequence[str]) -> _Rounds:
        done, place = _Rounds(), self._hospitals.index(hospital)
        # Each hospital begins elsewhere in the list.
        reasons = itertools.islice(itertools.cycle(NATIONAL), 2 * place, None)
        found = [one for identity in identities for one in ward.search(hospital, identity).reports if not one.own]
        good, poor = [
            [one for one in found if any(item.recognisable for item in one.items) is kind] for kind in (True, False)
        ]
        # What may be recognised is what a doctor opens first.
        for report in [*good[: _OPENED - len(poor[:2])], *poor[:2]]:
            turn = len(done.opened) + place
            opening = bytes(ward.open_report(hospital, report.institution, report.report, report.version).step.step)
            done.opened.append((report.institution, bytes(report.report)))
            fit = [item.place for item in report.items if item.recognisable]
            unfit = [item.place for item in report.items if not item.recognisable]
            done.withheld.update({reason.code for item in report.items for reason in item.reasons})
            # One in eight is only looked at, and one in eight measured again although it is good.
            if turn % 8 == 6:
                continue
            if fit and turn % 8 != 3:
                ward.decide(hospital, opening, "recognise", fit)
                done.recognised += len(fit)
            elif fit:
                self._again(hospital, opening, fit, next(reasons), done)
            if unfit:
                self._again(hospital, opening, unfit, next(reasons), done)
        return done

    @staticmethod
    def _again(hospital: Connection, opening: bytes, places: Sequence[int], reason: str, done: _Rounds) -> None:
        ward.decide(hospital, opening, "retest", places, reason)
        done.retested[reason] += len(places)

    def _try_unrecognisable(self) -> None:
        """A doctor's system asks to recognise what the rules do not let be recognised."""
        old = next(one for reports in self._of.values() for one in reports if one.sent.fate == "old")
        asker = next(one for one in self._hospitals if one.member != old.sent.institution)
        opening = bytes(ward.open_report(asker, old.sent.institution, old.report).step.step)
        refusal = steps.refused(lambda: ward.decide(asker, opening, "recognise", [0]))
        self._refused[refusal.code] = t("recognise a result that is too old", "互认超过时限的结果")

    def _two_opened(self) -> list[tuple[str, bytes]]:
        """Two reports with numbers in them that the first hospital opened, and where."""
        opened = self._rounds[self._hospitals[0].member].opened
        found = [(at, report) for at, report in opened if b'"valueQuantity"' in self._sent(report).data]
        if len(found) < 2:
            raise FatalError("demo.rounds", "the first hospital opened fewer than two laboratory reports")
        return found[:2]

    def _sent(self, report: bytes) -> clinic.Sent:
        return next(one.sent for reports in self._of.values() for one in reports if one.report == report)

    def _unopened(self, hospital: Connection) -> ward.TakenIn:
        """A report of a hospital whose patient nobody has looked for, and who has none elsewhere."""
        looked = (self._city / PATIENTS).read_text()
        return next(
            reports[0]
            for identity, reports in sorted(self._of.items())
            if identity not in looked and {one.sent.institution for one in reports} == {hospital.member}
        )

    def _retested(self) -> Counter[str]:
        return sum((one.retested for one in self._rounds.values()), Counter())

    # --- tables -------------------------------------------------------------------------------------------------------
    def _refusals(self) -> Table:
        withheld: Counter[str] = sum((one.withheld for one in self._rounds.values()), Counter())
        rows: list[tuple[str, str, str, str]] = [
            (t("at the door", "接收时"), t(*_DOOR[code]), code, str(count))
            for code, count in self._at_door.most_common()
        ]
        rows += [
            (
                t("by the rules", "按规则"),
                _DETAIL.sub("", REASONS[code][LANG == "en"]),
                code,
                str(n),
            )
            for code, n in withheld.most_common()
        ]
        rows += [(t("by a node", "由节点"), what, code, "1") for code, what in self._refused.items()]
        columns = (t("refused", "拒绝"), t("what", "情形"), t("code", "代码"), t("reports", "报告数"))
        return Table(title=t("What was refused, and why", "拒绝的情形与理由"), columns=columns, rows=rows)


def chapters(results: Results) -> list[tuple[str, Callable[[], None]]]:
    """What is told of medical results, in order."""
    return [
        (t("rules, levels and quality of hospitals", "互认规则、医院等级与室间质评"), results.govern),
        (t(f"take in {REPORTS} reports", f"接收 {REPORTS} 份报告"), results.take_in),
        (t("find, open, recognise, test again", "查询、调阅、互认、重检"), results.treat),
        (t("correct one, withdraw one", "更正一份，撤回一份"), results.change),
        (t("a patient forbids sharing", "患者禁止共享"), results.forbid),
        (t("a patient signs in at the gateway", "患者登录网关"), results.sign_in),
        (t("what became of the results", "结果的去向"), results.figures),
        (t("a certificate of an examination", "凭体检办证"), results.certify),
    ]
