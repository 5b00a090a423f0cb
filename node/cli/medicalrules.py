"""``civicledger medical rules``: rule sets of recognition, checked and shown without a node."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer

from ledger.errors import InvalidInputError
from ledger.medical.reasons import retest_reasons
from ledger.medical.rulefile import MAX_BYTES
from ledger.medical.rules import RuleSet, check_rules, load_rules, parse_rules, rules_digest, starting_rules
from ledger.medical.ruleset import Course, Item
from node.cli.connect import JsonOption
from node.cli.medicalgroup import rules
from node.cli.output import out, print_json, table
from node.cli.texts import t

FileArgument = typer.Argument(..., help=t("file of the rule set (- is standard input)", "规则集文件（- 为标准输入）"))


@rules.command(
    help=t(
        "Check a rule set: form, items, windows, units, mappings, level rules, sources. Every problem is listed with its "
        "place; exit status 1 if there is one. Only a rule set without problems can be adopted.\n\n"
        "Example: civicledger medical rules check rules.json",
        "检查规则集：格式、项目、时限、单位、对照、等级规则、来源。逐条列出问题及位置；有问题时退出码为 1。只有无问题的规则集才能采用。\n\n"
        "例：civicledger medical rules check rules.json",
    )
)
def check(file: Path = FileArgument, as_json: bool = JsonOption) -> None:
    """Every problem, not only the first."""
    found = parse_rules(_read(file))
    problems = check_rules(found)
    if as_json:
        print_json(
            {
                "digest": rules_digest(found),
                **_counts(found),
                "problems": [
                    {"code": each.code, "where": each.where, "zh": each.zh, "en": each.en} for each in problems
                ],
            }
        )
    elif problems:
        columns = (t("place", "位置"), t("problem", "问题"), t("code", "代码"))
        rows = ((each.where, t(each.en, each.zh), each.code) for each in problems)
        table(t(f"{len(problems)} problems", f"{len(problems)} 个问题"), columns, rows)
    else:
        out.print(
            t(
                f"no problems: {len(found.items)} items; digest {rules_digest(found).hex()}",
                f"没有问题：{len(found.items)} 个项目；摘要 {rules_digest(found).hex()}",
            )
        )
    if problems:
        raise typer.Exit(1)


@rules.command(
    help=t(
        "Show a rule set: items with windows in days (acute/chronic), labels, level rules, re-test reasons. Without a file "
        "the starting set that comes with this program.\n\n"
        "Examples: civicledger medical rules show rules.json      civicledger medical rules show --json",
        "查看规则集：项目及时限（天，急性/慢性）、标识范围、等级规则、复查理由。不给文件时显示随程序附带的示例集。\n\n"
        "例：civicledger medical rules show rules.json      civicledger medical rules show --json",
    )
)
def show(
    file: Path | None = typer.Argument(None, help=t("file of the rule set", "规则集文件")), as_json: bool = JsonOption
) -> None:
    """The whole rule set, as tables or JSON."""
    found = load_rules(starting_rules() if file is None else _read(file))
    if as_json:
        print_json(_document(found))
        return
    columns = (
        t("item", "项目"), t("name", "名称"), "LOINC", t("unit", "单位"), t("days", "时限"), t("price", "价格"),
    )  # fmt: skip
    table(t(found.en, found.zh), columns, (_row(found, item) for item in found.items))
    columns = (t("range", "范围"), t("label", "标识"), t("counts in", "适用地区"))
    rows = ((entry.code, entry.label, " ".join(entry.regions) or entry.territory.value) for entry in found.ranges)
    table(t("Labels", "互认标识"), columns, rows)
    columns = (t("issued by level", "出具机构等级"), t("asked by level", "接诊机构等级"), t("recognised", "互认"))
    table(t("Level rules", "等级规则"), columns, ((rule.issuer, rule.asker, rule.recognised) for rule in found.levels))
    columns = (t("code", "代码"), t("reason", "理由"), t("national", "国家规定"))
    reasons = ((each.code, t(each.en, each.zh), each.national) for each in retest_reasons(found))
    table(t("Re-test reasons", "复查理由"), columns, reasons)
    out.print(found.note, markup=False)


@rules.command(
    help=t(
        "The digest of a rule set, which is put on chain. Layout and order of fields do not change it.\n\n"
        "Example: civicledger medical rules digest rules.json",
        "规则集的摘要（上链所用）。排版与字段次序不影响摘要。\n\n例：civicledger medical rules digest rules.json",
    )
)
def digest(file: Path = FileArgument, as_json: bool = JsonOption) -> None:
    """Only of a rule set without problems."""
    found = load_rules(_read(file))
    if as_json:
        print_json({"digest": rules_digest(found), **_counts(found)})
    else:
        out.print(rules_digest(found).hex())


@rules.command(
    help=t(
        "Write the starting rule set, to be edited: windows and prices in it are examples.\n\n"
        "Example: civicledger medical rules starting -o rules.json",
        "写出示例规则集以供修改：其中的时限与价格为示例。\n\n例：civicledger medical rules starting -o rules.json",
    )
)
def starting(
    output: Path | None = typer.Option(
        None, "--output", "-o", help=t("file to write (default: the text)", "输出文件（默认输出文本）")
    ),
) -> None:
    """A file that is there already stays as it is."""
    if output is None:
        sys.stdout.write(starting_rules().decode())
        return
    try:
        with output.open("xb") as target:
            target.write(starting_rules())
    except FileExistsError:
        raise InvalidInputError(
            "input.file-exists",
            t("the file is there already", "文件已存在"),
            hint=t("name another one", "请换一个文件名"),
            actual=str(output),
        ) from None


def _read(file: Path) -> bytes:
    # One byte more than any rule set has: the reader refuses it by its size.
    if str(file) == "-":
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    with file.open("rb") as source:
        return source.read(MAX_BYTES + 1)


def _counts(found: RuleSet) -> dict[str, int]:
    return {"items": len(found.items), "mappings": len(found.mappings), "ranges": len(found.ranges)}


def _days(found: RuleSet, item: Item) -> str:
    return "/".join(str(found.days(item.id, course) or "-") for course in Course)


def _row(found: RuleSet, item: Item) -> tuple[str, ...]:
    price = f"{item.price_cents // 100}.{item.price_cents % 100:02d}"
    return item.id, t(item.en, item.zh), " ".join(item.loinc), item.unit or "", _days(found, item), price


def _document(found: RuleSet) -> dict[str, Any]:
    from ledger.codec import decode

    return {
        "digest": rules_digest(found),
        "rules": decode(found.canonical, max_bytes=MAX_BYTES),
        "retest_reasons": [
            {"code": each.code, "zh": each.zh, "en": each.en, "national": each.national}
            for each in retest_reasons(found)
        ],
    }
