"""A proof file verified as a stranger does: in a separate process, without a network where the system lets us."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ledger.errors import FatalError
from node.cli.texts import t


def verify_offline(bundle: Path, policy: Path) -> dict[str, Any]:
    """Verify in a separate process, without network where the system lets us (``unshare --net``)."""
    command = [
        sys.executable,
        "-m",
        "node.cli.main",
        "bundle",
        "verify",
        str(bundle),
        "--policy",
        str(policy),
        "--json",
    ]
    isolate = shutil.which("unshare")
    if isolate is not None:
        for flags in (["--net"], ["--net", "--map-root-user"]):
            if subprocess.run([isolate, *flags, "true"], capture_output=True, check=False).returncode == 0:
                command = [isolate, *flags, *command]
                break
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
    try:
        value = json.loads(done.stdout)
    except ValueError:
        raise FatalError("demo.bundle", f"the verifier printed no verdict: {done.stderr[-400:]}") from None
    if not isinstance(value, dict):
        raise FatalError("demo.bundle", "the verifier printed no object")
    value["offline"] = command[0] == isolate
    return value


def surroundings(found: dict[str, Any]) -> str:
    """How a verdict of :func:`verify_offline` came about, in words."""
    if found["offline"]:
        return t("by a separate process without network", "由无网络的独立进程验证")
    return t("by a separate process", "由独立进程验证")
