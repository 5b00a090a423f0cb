"""The demonstration, run once as a user runs it, and everything its servers answered before it was stopped."""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from node.city.roster import demo_roster, hospital_roster
from node.config import load_config

#: Of the demonstration's city.
MEMBERS = (*demo_roster(), *hospital_roster())
#: The commission keeps keys and nothing of patients: the one store without rows.
NO_PATIENTS = Path("health", "medical", "vault")
ROOT = Path(__file__).resolve().parent.parent.parent
_NODE_PATHS = (
    "/checkpoint",
    "/v1/status",
    "/licence/issuer",
    "/licence/status/1",
    "/citizen",
    "/v1/proof/inclusion?index=0&size=1",
)
#: What more a member of a role answers.
_ROLE_PATHS = {"health": ("/medical/rules/1",), "hospital": ("/medical/rules/1", "/medical/figures")}
_LOCAL_PATHS = ("/", "/live", "/metrics", "/healthz")
_GATEWAY_PATHS = (
    "/",
    "/live",
    "/licence",
    "/wallet",
    "/citizen/session",
    "/metrics",
    "/healthz",
    "/v1/city",
    "/v1/datasets",
    "/figures",
    "/figures.csv",
    "/v1/figures",
    "/patient",
)
_GATEWAY_MEMBER_PATHS = ("/{uscc}/checkpoint", "/v1/licence/issuer/{uscc}", "/v1/licence/status/{uscc}/1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The city's folder, the story's JSON, what the command printed, and each answer by address."""

    folder: Path
    story: dict[str, Any]
    printed: dict[str, bytes]
    answers: dict[str, tuple[int, bytes]]


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """``city up --demo --keep``: told, asked, stopped as with Ctrl-C."""
    scratch = tmp_path_factory.mktemp("main-job")
    own = scratch / "own.csv"
    own.write_text("编号,name\n1,one\n2,two\n", "utf-8")
    folder = scratch / "city"
    command = [sys.executable, "-m", "node.cli.main", "city", "up", str(folder), "--demo", "--keep", "--json"]
    with (scratch / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [*command, "--records", "5000", "--data", str(own)],
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=ROOT,
            env={**os.environ, "CIVICLEDGER_LANG": "en"},
        )
        try:
            assert process.stdout is not None
            printed = b""
            # The document's last line is the only one that is a closing brace alone.
            for line in process.stdout:
                printed += line
                if line == b"}\n":
                    break
            assert printed.endswith(b"\n}\n"), (scratch / "stderr").read_text("utf-8")[-3000:]
            assert "error" not in json.loads(printed), (scratch / "stderr").read_text("utf-8")[-3000:]
            answers = dict(_node_answers(folder) | _gateway_answers(folder))
            process.send_signal(signal.SIGTERM)
            printed += process.stdout.read()
            assert process.wait(300) == 0, (scratch / "stderr").read_text("utf-8")[-3000:]
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(300)
    story: dict[str, Any] = json.loads(printed)
    return Told(
        folder=folder,
        story=story,
        printed={"standard output": printed, "standard error": (scratch / "stderr").read_bytes()},
        answers=answers,
    )


@pytest.fixture(scope="session")
def story(told: Told) -> dict[str, Any]:
    """The story's facts."""
    return told.story


def _node_answers(folder: Path) -> dict[str, tuple[int, bytes]]:
    found = {}
    for founder in MEMBERS:
        config = load_config(folder / founder.handle)
        for path in _LOCAL_PATHS:
            found[f"{founder.handle}, on its machine: {path}"] = _get(None, config.local.host, config.local.port, path)
        certificate = config.certificate_file.read_text("ascii")
        own = (path for role in founder.roles for path in _ROLE_PATHS.get(role, ()))
        for path in (*_NODE_PATHS, *own):
            found[f"{founder.handle}: {path}"] = _get(certificate, config.https.host, config.https.port, path)
    return found


def _gateway_answers(folder: Path) -> dict[str, tuple[int, bytes]]:
    https = tomllib.loads((folder / "gateway" / "gateway.toml").read_text("utf-8"))["https"]
    certificate = (folder / "gateway" / "tls.crt").read_text("ascii")
    members = [founder.uscc for founder in MEMBERS]
    paths = [*_GATEWAY_PATHS, *(path.format(uscc=uscc) for path in _GATEWAY_MEMBER_PATHS for uscc in members)]
    return {f"gateway: {path}": _get(certificate, https["host"], https["port"], path) for path in paths}


def _get(certificate: str | None, host: str, port: int, path: str) -> tuple[int, bytes]:
    if certificate is None:
        connection = http.client.HTTPConnection(host, port, timeout=60)
    else:
        context = ssl.create_default_context(cadata=certificate)
        context.check_hostname = False
        connection = http.client.HTTPSConnection(host, port, timeout=60, context=context)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
