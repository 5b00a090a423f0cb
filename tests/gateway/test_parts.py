"""The gateway's small parts: settings, peers, rate limits, languages."""

from pathlib import Path

import pytest

from gateway.config import load_config, load_peers
from gateway.limits import RateLimit
from gateway.page import load_static
from gateway.texts import LANGUAGES, SCRIPT_KEYS, TEXTS, ago, choose
from ledger.errors import LedgerError, UnavailableError

HOME = "91110000600037341L"
GOOD = f"""
[grpc]
port = 0
[https]
host = "127.0.0.1"
port = 8443
[home]
member = "{HOME}"
jsonrpc = "http://127.0.0.1:8545/"
[names]
{HOME} = "数据局"
"""


def test_settings_have_defaults_and_whole_paths(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text(GOOD, "utf-8")
    config = load_config(tmp_path)
    assert (config.https_port, config.grpc_port, config.home) == (8443, 0, HOME)
    assert config.policy == tmp_path / "policy.json"
    assert config.names == {HOME: "数据局"}


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("port = 0", "port = 70000", "grpc.port"),
        ("port = 0", 'port = "x"', "grpc.port"),
        ("[grpc]\nport = 0", "", "grpc"),
        (HOME, "91110000600037341X", "credit code"),
        ("http://127.0.0.1:8545/", "http://192.0.2.1:8545/", "loopback"),
        ("http://127.0.0.1:8545/", "https://127.0.0.1:8545/", "loopback"),
        ("[names]", "[limits]\nburst = 0\n[names]", "bursts"),
        ("[names]", "[limits]\nrequests_per_second = 0.0\n[names]", "rates"),
        ("[names]", "[limits]\nlicences_per_second = 0.0\n[names]", "rates"),
        ("[names]", "[licences]\nmax_view_age = 5\n[names]", "licences.max_view_age"),
        ("[names]", "[more]\nx = 1\n[names]", "more"),
        ("[names]", "[names", "gateway.toml"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, old: str, new: str, named: str) -> None:
    (tmp_path / "gateway.toml").write_text(GOOD.replace(old, new), "utf-8")
    with pytest.raises(LedgerError) as caught:
        load_config(tmp_path)
    assert caught.value.code == "gateway.config"
    assert named in caught.value.message
    assert caught.value.hint


def test_a_folder_without_settings_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError) as caught:
        load_config(tmp_path)
    assert caught.value.code == "gateway.config-missing"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"v":2,"peers":[]}',
        '{"v":1,"peers":[{"uscc":"x","https":"h:1","certificate":""}]}',
        f'{{"v":1,"peers":[{{"uscc":"{HOME}","https":"h","certificate":""}}]}}',
        f'{{"v":1,"peers":[{{"uscc":"{HOME}","https":"h:0","certificate":""}}]}}',
    ],
)
def test_a_broken_peers_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "peers.json").write_text(text)
    with pytest.raises(LedgerError) as caught:
        load_peers(tmp_path / "peers.json")
    assert caught.value.code == "gateway.peers"


def test_a_client_is_limited_and_others_are_not() -> None:
    now = [0.0]
    limit = RateLimit(2.0, 3, lambda: now[0])
    for _ in range(3):
        limit.take("a")
    with pytest.raises(UnavailableError) as caught:
        limit.take("a")
    assert caught.value.code == "gateway.too-many-requests"
    limit.take("b")
    now[0] = 0.5
    limit.take("a")
    with pytest.raises(UnavailableError):
        limit.take("a")
    now[0] = 1000.0
    for _ in range(3):
        limit.take("a")
    with pytest.raises(UnavailableError):
        limit.take("a")


def test_many_at_once_are_counted_as_many() -> None:
    limit = RateLimit(1.0, 10, lambda: 0.0)
    limit.take("a", 8)
    with pytest.raises(UnavailableError):
        limit.take("a", 3)
    limit.take("a", 2)


def test_a_limit_remembers_a_bounded_number_of_clients() -> None:
    limit = RateLimit(1.0, 1, lambda: 0.0)
    for number in range(10_050):
        limit.take(str(number))
    with pytest.raises(UnavailableError):
        limit.take("10049")
    limit.take("0")


def test_both_languages_say_everything() -> None:
    assert TEXTS["zh"].keys() == TEXTS["en"].keys()
    assert all(TEXTS[language][key] for language in LANGUAGES for key in TEXTS["en"])
    assert set(SCRIPT_KEYS) <= TEXTS["en"].keys()
    for key in TEXTS["en"]:
        assert ("{n}" in TEXTS["en"][key]) == ("{n}" in TEXTS["zh"][key]), key


def test_the_script_uses_only_texts_it_is_given() -> None:
    import re

    script = load_static()["page.js"].data.decode()
    used = set(re.findall(r"texts\.([a-z_]+)", script))
    assert used <= set(SCRIPT_KEYS)


@pytest.mark.parametrize(
    ("asked", "accepted", "language"),
    [
        (None, None, "zh"),
        ("en", "zh-CN", "en"),
        ("xx", "en-GB,en;q=0.9", "en"),
        (None, "fr,en;q=0.5,zh;q=0.8", "zh"),
        (None, "fr-FR", "zh"),
        (None, "en;q=nonsense,zh;q=0.1", "zh"),
        (None, ",;q=,", "zh"),
    ],
)
def test_the_language_is_chosen(asked: str | None, accepted: str | None, language: str) -> None:
    assert choose(asked, accepted) == language


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0 s ago"), (119, "119 s ago"), (120, "2 min ago"), (7200, "2 h ago"), (172_800, "2 d ago")],
)
def test_ages_are_said_in_the_largest_fitting_unit(seconds: int, said: str) -> None:
    assert ago(seconds, TEXTS["en"]) == said
