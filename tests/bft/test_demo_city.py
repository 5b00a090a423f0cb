"""The whole demonstration on a network of validators: every node a process of its own, the gateway in front."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from gateway.config import load_config
from ledger.chain.engine import COMETBFT
from ledger.errors import LedgerError
from ledger.verify import verify_bundle
from node.city.demo import run_demo
from node.city.processes import CityProcesses
from node.city.signingin import serve_sign_in
from node.cli.city import demo_city
from node.cli.main import build
from tests.bft.comet_homes import cometbft
from tests.gateway.conftest import RunningCity
from tests.node.core.makers import eventually


def running_under(folder: Path) -> list[str]:
    """Command lines of processes that work in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found


def test_a_founded_city_knows_its_engine(tmp_path: Path) -> None:
    words = ["city", "up", str(tmp_path), "--engine", COMETBFT]
    refusal = CliRunner().invoke(build(words), words).exception
    assert isinstance(refusal, LedgerError)
    assert refusal.code == "city.options"


def test_grants_exchange_proofs_and_the_gateway_on_five_validators(tmp_path: Path) -> None:
    cometbft()
    city = demo_city(tmp_path / "city", COMETBFT)
    with serve_sign_in(city), CityProcesses(city) as processes:
        processes.start_nodes()
        processes.start_gateway()
        run_demo(city, [], 100)
        config = load_config(city.gateway_folder)
        gateway = RunningCity(
            folder=city.folder,
            https_port=config.https_port,
            grpc_port=config.grpc_port,
            bundle=(city.folder / "use.civic").read_bytes(),
            policy=config.policy.read_bytes(),
            certificate=config.certificate.read_bytes(),
        )
        assert any("cometbft start" in command for command in running_under(city.folder))
        assert verify_bundle(gateway.bundle, gateway.policy).finality == "bft"
        verdict = gateway.request("POST", "/v1/verify", gateway.bundle).json()
        assert (verdict["verdict"], verdict["reached"], verdict["finality"]) == ("verified", "final", "bft")
        eventually(lambda: all(member["reachable"] for member in gateway.get("/v1/city").json()["members"]), 300)
        shown = gateway.get("/v1/city").json()
        assert (shown["chain"]["engine"], shown["chain"]["finality"]) == ("cometbft", "bft")
        assert shown["chain"]["finalHeight"] > 0
        assert [member["log"]["problem"] for member in shown["members"]] == [None] * 5
        assert all(member["validator"] for member in shown["members"])
    # Nothing is left behind, no CometBFT either.
    eventually(lambda: running_under(city.folder) == [])
