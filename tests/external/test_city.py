"""A whole city on a network that somebody else runs (anvil): founded and used by the commands, every node a process."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from typer.testing import CliRunner

from gateway.config import load_config as load_gateway
from ledger.chain.client import ChainClient
from ledger.chain.genesis import decode_genesis
from ledger.errors import LedgerError
from ledger.v1 import department_pb2, department_pb2_grpc
from node.city import steps
from node.city.data import divisions
from node.city.demo import connections, verify_offline
from node.city.found import City, load_city
from node.city.processes import CityProcesses
from node.city.roster import demo_uscc
from node.cli.connect import Connection
from node.cli.main import build
from node.config import load_config
from node.rpc.errors import from_rpc
from tests.commands import document
from tests.gateway.conftest import RunningCity
from tests.native_chain import anvil
from tests.node.core.makers import eventually

CHAIN_ID = 680_318
REGION = "310000"
HANDLES = {"data": ["supervisor", "auditor"], "civil": [], "transport": []}


def command(*words: str) -> str:
    """What a command prints on standard output; it must succeed."""
    done = CliRunner().invoke(build(words), list(words))
    assert done.exit_code == 0, (words, done.output, done.exception)
    return done.stdout


def founded(folder: Path, url: str) -> City:
    """A city of three, made by the command."""
    members = [
        {"uscc": demo_uscc(REGION, number), "name": f"演示 {handle}", "handle": handle, "roles": roles}
        for number, (handle, roles) in enumerate(HANDLES.items(), start=1)
    ]
    roster = folder / "roster.json"
    roster.write_text(json.dumps({"region": REGION, "members": members}, ensure_ascii=False), "utf-8")
    told = document(
        command(
            *("city", "init", str(folder / "city"), "--roster", str(roster)),
            *("--engine", "external", "--rpc", url, "--json"),
        )
    )
    assert (told["engine"], told["chain_id"]) == ("external", CHAIN_ID)
    return load_city(folder / "city")


def exchanged(of: dict[str, Connection]) -> tuple[bytes, int]:
    """A dataset published, granted and used: its id, and where the consumer's log has the receipt."""
    civil, transport = of["civil"], of["transport"]
    dataset = steps.publish(civil, divisions(civil.member))
    # Each node looks for new blocks of the network by itself.
    for connection in (transport, of["data"]):
        eventually(lambda connection=connection: _knows(connection, dataset), 300)
    grant = steps.request_grant(
        transport,
        dataset,
        purpose="road-inspection",
        matter="交通设施巡检",
        fields=["code", "name"],
        rows={"province": "上海市"},
    )
    steps.approve(civil, grant.id)
    steps.wait_active(transport, grant.id)
    refusal = steps.use_without_grant(of["data"], dataset, "curiosity")
    assert refusal.code == "exchange.no-grant", refusal
    pulled = steps.pull(transport, grant.id)
    assert {frozenset(row) for row in json.loads(pulled.payload)} == {frozenset({"code", "name"})}
    return dataset, pulled.log_index


def _knows(connection: Connection, dataset: bytes) -> bool:
    stub = connection.stub(department_pb2_grpc.DatasetServiceStub)
    try:
        return bool(stub.Get(department_pb2.GetDatasetRequest(id=dataset), timeout=180).id)
    except grpc.RpcError as error:
        if from_rpc(error).code != "dataset.unknown":
            raise
        return False


def _proven_uses(auditor: Connection, dataset: bytes) -> int:
    """Completed uses on the members' trails, each with a proof that verified; nobody is absent."""
    answer = steps.who_used(auditor, dataset)
    assert not answer.absent
    return sum(row.record["type"] == "exchange.completed" and row.proven for row in answer.rows)


def test_a_city_lives_on_a_network_that_proves_nothing(tmp_path: Path) -> None:
    with ExitStack() as network:
        behind = network.enter_context(anvil.running("--chain-id", str(CHAIN_ID), "--gas-limit", "1000000000"))
        behind.call("evm_setAutomine", True)
        city = founded(tmp_path, behind.url)
        home = city.member_folder("data")
        genesis = decode_genesis((home / "genesis.json").read_bytes())
        assert genesis.network is not None
        assert (genesis.network.validators, genesis.sequencer) == ((), "")
        with CityProcesses(city) as processes:
            processes.start_nodes()
            with connections(city) as of:
                dataset, index = exchanged(of)
                assert eventually(lambda: _proven_uses(of["data"], dataset) == 2, 120), "on both sides' trails"
                bundle, policy = steps.make_bundle(of["transport"], index)
                (city.gateway_folder / "policy.json").write_bytes(steps.trust_policy(of["data"]))
            files = tmp_path / "use.civic", tmp_path / "city.policy"
            for path, data in zip(files, (bundle, policy), strict=True):
                path.write_bytes(data)
            verdict = verify_offline(*files)
            assert (verdict["verdict"], verdict["reached"], verdict["finality"]) == ("unproven", "anchored", "unproven")
            assert verdict["subject"]["record"]["type"] == "exchange.completed"
            _looks_honest(city, behind)
            _gateway_agrees(city, processes, bundle)
            network.close()
            codes = eventually(lambda: _doctor(home) & {"chain.unreachable"}, 300)
            assert codes, "a network that is gone is named"


def _doctor(folder: Path) -> set[str]:
    """Codes of what the doctor finds wrong; it exits with 1 where there is something."""
    words = ("doctor", "--node", str(folder), "--json")
    told = CliRunner().invoke(build(words), list(words)).stdout
    found = document(told)["findings"] if "{\n" in told else []
    return {item["code"] for item in found if item["severity"] != "ok"}


def _looks_honest(city: City, behind: anvil.Anvil) -> None:
    """Status and JSON-RPC of a node: nothing is called final, blocks are the network's own."""
    folder = city.member_folder("civil")
    status = document(command("node", "status", "--node", str(folder), "--json"))
    assert (status["engine"], status["role"], status["final_height"]) == ("external", "member", 0)
    assert "consensus" not in status
    local = load_config(folder).local.port
    client = ChainClient(f"http://127.0.0.1:{local}/")
    assert client.chain_id() == CHAIN_ID
    shown = client.block(1)
    assert shown is not None
    assert "0x" + shown.hash.hex() == behind.call("eth_getBlockByNumber", "0x1", False)["hash"]
    with pytest.raises(LedgerError):
        client.request("evm_mine")


def _gateway_agrees(city: City, processes: CityProcesses, bundle: bytes) -> None:
    """The public service of the city shows the same, and judges the same."""
    processes.start_gateway()
    config = load_gateway(city.gateway_folder)
    gateway = RunningCity(
        folder=city.folder,
        https_port=config.https_port,
        grpc_port=config.grpc_port,
        bundle=bundle,
        policy=config.policy.read_bytes(),
        certificate=config.certificate.read_bytes(),
    )
    shown = gateway.get("/v1/city").json()
    assert (shown["chain"]["engine"], shown["chain"]["finality"]) == ("external", "unproven")
    assert shown["chain"]["finalHeight"] == 0
    verdict = gateway.request("POST", "/v1/verify", bundle).json()
    assert (verdict["verdict"], verdict["reached"]) == ("unproven", "anchored")
