"""``civicledger city up --demo``: five departments share real data, three hospitals recognise each other's results, and
three attacks fail. Every line printed is measured."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ledger.errors import FatalError
from node.city import attacks, papers, results, steps
from node.city.counter import Counter
from node.city.data import divisions, holidays, own_files
from node.city.found import City
from node.city.offline import surroundings, verify_offline
from node.city.roster import HOSPITALS
from node.city.story import Story
from node.cli.connect import Connection, connect
from node.cli.output import err
from node.cli.texts import t
from node.rpc.errors import from_rpc


class Demo:
    """The story of a city of the five demonstration members (``node.city.roster``), and of its hospitals where it has
    them."""

    def __init__(self, city: City, data: list[Path], connections: dict[str, Connection], bulk: int) -> None:
        self._city = city
        self._data = data
        self._of = connections
        self._bulk = bulk
        self.story = Story()
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=err,
        )
        self._papers = papers.Papers(city.folder, Counter(city.gateway_folder), connections, self.story)

    def run(self) -> Story:
        """Every step in order. Raises the first LedgerError; nothing is papered over."""
        chapters: list[tuple[str, Callable[[], None]]] = [
            (t("publish datasets", "发布数据资源"), self._publish),
            (t("ask for and approve grants", "申请与批准授权"), self._grant),
            (t("exchange data, both sides sign", "共享数据，双方签名"), self._exchange),
            (t("refuse what no grant covers", "拒绝无授权使用"), self._refuse),
            (t(f"write a trail of {self._bulk:,} records", f"写入 {self._bulk:,} 条审计记录"), self._trail),
            (t("witness and anchor every log", "见证并锚定所有日志"), self._anchor),
            (t("the auditor asks who used what", "审计方查询谁用了什么"), self._audit),
            (t("make and verify a proof file", "制作并验证证明文件"), self._bundle),
            *papers.chapters(self._papers),
            *self._of_hospitals(),
            (t("attack 1: rewrite an entry on disk", "攻击一：改写磁盘上的记录"), self._attack_disk),
            (t("attack 2: anchor a rewritten log", "攻击二：锚定被改写的日志"), self._attack_anchor),
            (t("attack 3: a transaction by an outsider", "攻击三：外部人员提交交易"), self._attack_outsider),
        ]
        bar = self._bar
        with bar:
            task = bar.add_task("", total=len(chapters))
            for name, chapter in chapters:
                bar.update(task, description=name)
                started = time.monotonic()
                chapter()
                bar.print(f"  [green]✓[/] {name}  [dim]{time.monotonic() - started:.1f} s[/]")
                bar.advance(task)
            bar.update(task, description=t("done", "完成"))
        return self.story

    def _of_hospitals(self) -> list[tuple[str, Callable[[], None]]]:
        if set(HOSPITALS) <= self._of.keys():

            def show(text: str) -> None:
                self._bar.update(self._bar.task_ids[0], description=text)

            return results.chapters(results.Results(self._city.folder, self._of, self.story, show))
        return []

    def _publish(self) -> None:
        civil, labour = self._of["civil"], self._of["labour"]
        self._divisions = steps.publish(civil, divisions(civil.member))
        self._holidays = steps.publish(labour, holidays(labour.member))
        own = [steps.publish(civil, source) for path in self._data for source in own_files(path, civil.member)]
        self.story.tell(
            t("datasets published", "发布的数据资源"),
            str(2 + len(own)),
            datasets={
                "divisions": self._divisions.hex(),
                "holidays": self._holidays.hex(),
                "own": [d.hex() for d in own],
            },
        )

    def _grant(self) -> None:
        transport = self._of["transport"]
        ask = steps.request_grant
        one = ask(
            transport,
            self._divisions,
            purpose="road-inspection",
            matter="交通设施巡检",
            fields=["code", "name"],
            rows={"province": "上海市"},
        )
        two = ask(
            transport,
            self._holidays,
            purpose="holiday-traffic",
            matter="节假日交通保障",
            fields=["date", "kind", "name"],
            rows={},
        )
        steps.approve(self._of["civil"], one.id)
        half = steps.approve(self._of["labour"], two.id)
        if half.state == "active":
            raise FatalError("demo.approval", "important data became active without the supervisor")
        steps.approve(self._of["data"], two.id)
        for grant in (one.id, two.id):
            steps.wait_active(transport, grant)
        self._grants = (bytes(one.id), bytes(two.id))
        self.story.tell(
            t("grants active (one needed the supervisor)", "生效授权（其一须监管方批准）"),
            "2",
            grants=[grant.hex() for grant in self._grants],
        )

    def _exchange(self) -> None:
        transport = self._of["transport"]
        self._pulled = [steps.pull(transport, grant) for grant in self._grants]
        rows = json.loads(self._pulled[0].payload)
        outside = [row for row in rows if set(row) != {"code", "name"}]
        if outside or not rows:
            raise FatalError("demo.scope", f"{len(outside)} of {len(rows)} rows left the scope", actual=str(rows[:1]))
        beyond = steps.refused(
            lambda: steps.pull(transport, self._grants[0], {"fields": ["code", "province"], "rows": {}})
        )
        self.story.tell(
            t("exchanges with receipts signed by both", "双方签名的共享"),
            t(
                f"2 ({len(rows)} rows of one province, 2 of 3 fields)",
                f"2（一个省份 {len(rows)} 行，3 个字段中的 2 个）",
            ),
            exchanges=[p.receipt for p in self._pulled],
            rows=len(rows),
        )
        self.story.tell(
            t("a field outside the scope", "超出范围的字段"),
            t("refused", "已拒绝") + f" [{beyond.code}]",
            scope_refusal=beyond.code,
        )

    def _refuse(self) -> None:
        auditor = self._of["audit"]
        refusal = steps.use_without_grant(auditor, self._divisions, "curiosity")
        for name in ("audit", "civil"):
            steps.until(
                lambda name=name: steps.on_trail(self._of[name], self._divisions, "access.refused"),
                f"the refusal is on the trail of {name}",
            )
        self.story.tell(
            t("a use without a grant", "无授权使用"),
            t("refused, on both trails", "已拒绝，双方留痕") + f" [{refusal.code}]",
            refusal=refusal.code,
        )

    def _trail(self) -> None:
        bar = Progress(
            TextColumn("    {task.description}"), BarColumn(), MofNCompleteColumn(), console=err, transient=True
        )
        task = bar.add_task(t("records", "记录"), total=self._bulk)
        rate = steps.bulk_trail(
            self._of["transport"], self._bulk, self._divisions, lambda count: bar.advance(task, count)
        )
        self.story.tell(
            t("trail written", "写入审计记录"),
            t(
                f"{self._bulk:,} records, {rate:,.0f}/s durable over gRPC",
                f"{self._bulk:,} 条，经 gRPC 持久写入 {rate:,.0f} 条/秒",
            ),
            trail={"records": self._bulk, "per_second": round(rate)},
        )

    def _anchor(self) -> None:
        sizes = {name: steps.status(connection).log_size for name, connection in self._of.items()}
        found = {name: steps.wait_anchored(self._of[name], size) for name, size in sizes.items() if size}
        self.story.tell(
            t("logs witnessed by the others and anchored", "经他方见证并锚定的日志"),
            f"{len(found)}",
            logs={
                n: {"size": s.log_size, "witnessed": s.witnessed_size, "anchored": s.anchored_size}
                for n, s in found.items()
            },
        )

    def _audit(self) -> None:
        answer = steps.who_used(self._of["audit"], self._holidays)
        uses = [row for row in answer.rows if row.record["type"] == "exchange.completed"]
        unproven = [row for row in answer.rows if not row.proven]
        if len(uses) < 2 or unproven or answer.absent:
            raise FatalError(
                "demo.audit", f"{len(uses)} uses, {len(unproven)} without proof, absent {list(answer.absent)}"
            )
        self.story.tell(
            t("the auditor's answer", "审计答复"),
            t(
                f"{len(answer.rows)} rows from {len(self._of)} departments, every proof verified",
                f"{len(self._of)} 个部门共 {len(answer.rows)} 行，证明全部通过",
            ),
            audit={"rows": len(answer.rows), "uses": len(uses)},
        )

    def _bundle(self) -> None:
        bundle, policy = steps.make_bundle(self._of["transport"], self._pulled[1].log_index)
        folder = self._city.folder
        (folder / "use.civic").write_bytes(bundle)
        (folder / "city.policy").write_bytes(policy)
        (self._city.gateway_folder / "policy.json").write_bytes(policy)
        verdict = verify_offline(folder / "use.civic", folder / "city.policy")
        if verdict["verdict"] != "verified" or verdict["reached"] != "final":
            raise FatalError("demo.bundle", "the proof file does not verify", actual=json.dumps(verdict)[:500])
        self.story.tell(
            t("proof file, verified ", "证明文件，") + surroundings(verdict),
            f"{verdict['verdict']}, {verdict['reached']}, {verdict['finality']} ({len(bundle):,} B)",
            bundle={"file": str(folder / "use.civic"), "policy": str(folder / "city.policy"), "verdict": verdict},
        )

    def _attack_disk(self) -> None:
        problem = attacks.rewrite_on_disk(self._city.member_folder("transport"), self._city.folder / "attack")
        self.story.tell(
            t("an entry rewritten on disk", "改写磁盘上的记录"),
            t(
                f"fsck names {problem['file']}, index {problem['index']}",
                f"fsck 指出 {problem['file']} 第 {problem['index']} 条",
            ),
            attack_disk=problem,
        )

    def _attack_anchor(self) -> None:
        error = attacks.anchor_rewritten(self._city.member_folder("labour"))
        self.story.tell(
            t("an anchor of a rewritten log", "锚定被改写的日志"),
            t("the contract refuses", "合约拒绝") + f" [{error.code}]",
            attack_anchor=error.code,
        )

    def _attack_outsider(self) -> None:
        error = attacks.outsider_transaction(self._city.member_folder("data"))
        self.story.tell(
            t("a transaction by an outsider", "外部人员的交易"),
            t("never executed", "从未执行") + f" [{error.code}]",
            attack_outsider=error.code,
        )


@contextmanager
def connections(city: City) -> Iterator[dict[str, Connection]]:
    """A connection with each member's own key, by handle."""
    with ExitStack() as stack:
        yield {handle: stack.enter_context(connect(city.member_folder(handle))) for handle in city.handles}


def run_demo(city: City, data: list[Path], bulk: int) -> Story:
    """Tell the story on a running city. Raises LedgerError."""
    with connections(city) as of:
        try:
            return Demo(city, data, of, bulk).run()
        except grpc.RpcError as error:
            raise from_rpc(error) from None
