"""``civicledger``: the command. Exit status 0 done, 1 refused or failed, 2 misuse; no traceback reaches a user."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import typer

from ledger.errors import FatalError, LedgerError
from node.cli.groups import DOCTOR, GROUPS, SAYS
from node.cli.output import err, print_error
from node.cli.texts import t, without_language


def build(words: Sequence[str] | None = None) -> typer.Typer:
    """The command tree in the language of this run: whole, or with the ``words`` of a command line only the group that
    they name, and where they name none (help, a slip) the groups without their commands: those take a second to load.
    """
    app = typer.Typer(
        name="civicledger",
        help=t(
            "Evidence beside a city's data exchange: who may use what, who used it, and proof that no line was rewritten.",
            "城市数据共享的证据层：谁可以用、谁用过，并可证明没有一行被改写。",
        ),
        epilog=t(
            "Start here: civicledger city up --demo    Every reading command takes --json.",
            "从这里开始：civicledger city up --demo    所有读取命令都支持 --json。",
        ),
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def root(
        lang: str = typer.Option("", "--lang", help=t("zh or en (default: the locale)", "zh 或 en（默认随系统语言）")),
    ) -> None:
        del lang  # read before the tree was built: node.cli.texts

    named = None if words is None else next((word for word in words if word in GROUPS or word == "doctor"), "")
    for name, module in GROUPS.items():
        if named in (None, name):
            app.add_typer(importlib.import_module(module).app, name=name)
        elif not named:
            app.add_typer(typer.Typer(help=SAYS[name]), name=name)
    if named in (None, "doctor"):
        app.command(name="doctor", help=DOCTOR)(importlib.import_module("node.cli.doctor").doctor)
    elif not named:
        app.command(name="doctor", help=DOCTOR)(_unnamed)
    return app


def _unnamed() -> None:
    """Stands for a command in the list of them."""


def main() -> None:
    """Console entry point."""
    try:
        status = _run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader went away (``| head``): nothing more can be said, and nothing is wrong with the command.
        _drop_output()
        status = 1
    except KeyboardInterrupt:
        _drop_output()
        status = 1
    except OSError as error:
        # What was printed does not reach its place, a full disk for instance: half an answer must not look like one.
        _drop_output()
        print_error(_os_error(error))
        status = 1
    sys.exit(status)


def _run(words: Sequence[str]) -> int:
    """The command's exit status, after whatever went wrong was said in words."""
    as_json = "--json" in words
    try:
        build(words)(args=without_language(words))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        err.print(t("stopped", "已停止"))
        return 1
    except LedgerError as error:
        print_error(error, as_json=as_json)
    except OSError as error:
        print_error(_os_error(error), as_json=as_json)
    except Exception as error:
        if os.environ.get("CIVICLEDGER_DEBUG"):
            raise
        print_error(_defect(error), as_json=as_json)
    else:
        return 0
    return 1


def _drop_output() -> None:
    """What is still buffered goes nowhere, so that the interpreter's own flush at its end does not fail as well."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def _defect(error: Exception) -> LedgerError:
    return FatalError(
        "internal.error",
        t("this command failed in a way nobody foresaw: ", "命令发生未预料的错误：")
        + f"{type(error).__name__}: {error}"[:500],
        hint=t(
            "run it again with CIVICLEDGER_DEBUG=1 and report what it prints", "请用 CIVICLEDGER_DEBUG=1 重试并报告输出"
        ),
    )


def _os_error(error: OSError) -> LedgerError:
    text = f"{error.strerror or error}: {error.filename or ''}".rstrip(": ")
    return FatalError("os.error", text, hint=_os_hint(error))


def _os_hint(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return t("check the owner and mode of that path", "检查该路径的属主和权限")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return t("make room on that disk, then repeat", "请先腾出磁盘空间再重试")
    if isinstance(error, FileNotFoundError):
        return t("check the path", "检查路径是否正确")
    return t("run: civicledger doctor", "运行：civicledger doctor")


if __name__ == "__main__":
    main()
