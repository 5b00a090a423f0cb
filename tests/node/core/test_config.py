"""node.toml: what is read is what was written, and every mistake is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import InvalidInputError, NotFoundError
from node.config import Listen, LoggingSection, MemberSection, NodeConfig, decode_config, encode_config, load_config
from tests.node.core.makers import make_uscc

GOOD = f"""
[member]
uscc = "{make_uscc(1)}"
handle = "civil-affairs"
region = "310000"
name = "民政局"
[grpc]
port = 7001
[https]
port = 7002
[local]
port = 7003
"""


def test_defaults_are_those_of_the_design() -> None:
    config = decode_config(GOOD.encode(), Path("/folder"))
    assert config.chain.block_interval_ms == 50
    assert config.chain.heartbeat_interval == 60
    assert config.chain.max_view_age == 180
    assert config.log.checkpoint_interval_ms == 250
    assert config.log.anchor_interval_ms == 2_000
    assert config.exchange.max_bytes == 64 << 20
    assert config.member.name == "民政局"
    assert config.keys_folder == Path("/folder/keys")


def test_encoding_and_decoding_agree(tmp_path: Path) -> None:
    config = NodeConfig(
        member=MemberSection(uscc=make_uscc(2), handle="tax", region="310000", name='quote " and \\ and 税务局\n\x7f'),
        grpc=Listen(port=1),
        https=Listen(port=2, host="::1"),
        local=Listen(port=65_535),
        logging=LoggingSection(file="node.log"),
        passphrase_file="../secret",
        folder=tmp_path,
    )
    assert decode_config(encode_config(config), tmp_path) == config


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("port = 7001", "port = 0"), "grpc.port"),
        (("port = 7001", "port = 65536"), "grpc.port"),
        (("port = 7001", 'port = "7001"'), "grpc.port"),
        (("port = 7001", "prot = 7001"), "prot"),
        (('region = "310000"', 'region = "31"'), "region"),
        (('handle = "civil-affairs"', 'handle = "Civil"'), "handle"),
        ((make_uscc(1), make_uscc(1)[:-1] + "?"), ""),
        (("[local]\nport = 7003", '[local]\nport = 7003\nhost = "0.0.0.0"'), "loopback"),
        (("[local]\nport = 7003", "[local]\nport = 7003\n[chain]\nmax_view_age = 0"), "max_view_age"),
        (("[grpc]", "[grpc"), ""),
        (("[member]", 'folder = "/etc"\n[member]'), "folder"),
        (("[https]\nport = 7002", ""), "https"),
    ],
)
def test_every_mistake_is_one_clear_error(change: tuple[str, str], named: str) -> None:
    assert change[0] in GOOD
    with pytest.raises(InvalidInputError) as caught:
        decode_config(GOOD.replace(*change).encode(), Path())
    assert caught.value.code == "config.invalid"
    assert named in caught.value.message
    assert caught.value.hint


def test_text_that_is_no_utf8_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"config\.invalid"):
        decode_config(b"\xff\xfe", Path())


def test_a_folder_without_a_node_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        load_config(tmp_path)
    assert caught.value.code == "config.missing"
    assert "node init" in caught.value.hint


def test_the_folder_comes_from_where_the_file_was_read(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text(GOOD, encoding="utf-8")
    assert load_config(tmp_path).folder == tmp_path
