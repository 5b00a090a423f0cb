"""A status list held against the chain: every way it is refused, and the ways it passes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from ledger.errors import UntrustedError
from ledger.licences.statuschain import check_list
from ledger.model import KeyInfo, KeyRole, StatusHeadInfo, StatusVersionInfo
from tests.ledger.licences import licence_city as city
from tests.ledger.licences.licence_keys import ISSUER

#: The list is version 7, twenty seconds old.
LIST = city.listed()
MADE = city.NOW - 20
KEY = KeyInfo(
    material=hashlib.sha256(ISSUER.spki).digest(),
    member=city.BODY,
    role=KeyRole.ISSUER,
    status="active",
    valid_from=city.NOW - city.DAY,
    valid_to=0,
    ended_at=0,
)


def head(version: int, **changes: Any) -> StatusHeadInfo:
    newest = StatusVersionInfo(
        issuer=city.BODY,
        number=1,
        version=version,
        list_digest=LIST.list_digest,
        token_digest=bytes(32),
        time=MADE,
        inflated_bytes=2,
        bits=2,
    )
    return StatusHeadInfo(uri_digest=LIST.uri_digest, newest=replace(newest, **changes))


def test_the_newest_one_that_was_not_recorded_and_the_one_on_its_way_pass() -> None:
    assert check_list(LIST, key=KEY, head=head(7)) == 7
    assert check_list(LIST, key=KEY, head=None) == 0
    assert check_list(LIST, key=KEY, head=head(6, list_digest=bytes(32))) == 6
    assert check_list(LIST, key=KEY, head=head(9), newest=False) == 9


def test_what_a_retired_key_signed_in_its_time_is_good_where_the_chain_recorded_it() -> None:
    retired = replace(KEY, status="retired", ended_at=MADE + 1)
    assert check_list(LIST, key=retired, head=head(7)) == 7


@pytest.mark.parametrize(
    ("key", "on_chain", "code"),
    [
        (None, head(7), "licence.status-key"),
        (replace(KEY, status="compromised", ended_at=MADE + 1), head(7), "licence.status-key"),
        (replace(KEY, status="retired", ended_at=MADE), head(7), "licence.status-key"),
        (replace(KEY, valid_to=MADE), None, "licence.status-key"),
        # Whoever holds a retired key can state any time: a newer list than the chain's is not believed.
        (replace(KEY, status="retired", ended_at=MADE + 1), head(6), "licence.status-key"),
        (KEY, head(8), "licence.status-behind"),
        (KEY, head(7, list_digest=bytes(32)), "licence.status-digest"),
        (KEY, replace(head(7), uri_digest=bytes(32)), "licence.status-uri"),
    ],
)
def test_a_list_that_does_not_agree_with_the_chain(key: KeyInfo | None, on_chain: Any, code: str) -> None:
    with pytest.raises(UntrustedError) as caught:
        check_list(LIST, key=key, head=on_chain)
    assert caught.value.code == code
