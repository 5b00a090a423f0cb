"""What judges licences at a gateway while the chain or an issuer is away, and which lists it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from gateway.licences.judging import Presented
from ledger.errors import NotFoundError, UnavailableError, UntrustedError
from ledger.evidence.licencestate import ProvenSpan
from ledger.licences import statustoken
from ledger.v1 import gateway_pb2 as pb
from scripts.benches.licence_issuer import ISSUER, MAX_AGE_MS, NOW_MS, SINCE_S, TYPE, signer
from tests.gateway.licence_doors import Doors

AWAY = UnavailableError("node.unreachable", "away")


# --- away and old ----------------------------------------------------------------------------------------------------


def code_of(doors: Doors, **given: Any) -> str:
    return doors.desk.judge(Presented(licence=doors.issuer.presentation(**given))).verdict.code


def test_while_chain_and_issuer_are_away_the_last_view_is_used_and_its_age_told(doors: Doors) -> None:
    doors.issuer.publish({}, ttl=600)
    assert code_of(doors) == "valid"
    doors.issuer.chain_away, doors.issuer.node_away = UnavailableError("chain.unreachable", "away"), AWAY
    doors.clock.ms += MAX_AGE_MS
    verdict = doors.verify(licence=doors.issuer.presentation())
    assert (verdict["code"], verdict["view"]["age_ms"]) == ("valid", MAX_AGE_MS)
    doors.clock.ms += 1
    with pytest.raises(grpc.RpcError) as caught:
        doors.stub.Verify(pb.LicencePresentation(licence=doors.issuer.presentation()))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    doors.issuer.chain_away = doors.issuer.node_away = None
    doors.clock.ms += 2_000
    assert code_of(doors) == "valid"


def test_a_home_node_whose_chain_stands_still_is_no_fresh_view(doors: Doors) -> None:
    doors.issuer.signed_ms = NOW_MS - MAX_AGE_MS - 1
    with pytest.raises(UnavailableError) as caught:
        code_of(doors)
    assert caught.value.code == "chain.stale"


def test_a_list_that_grew_old_leaves_the_status_unknown(doors: Doors) -> None:
    doors.issuer.publish({}, ttl=30)
    assert code_of(doors) == "valid"
    doors.issuer.node_away = AWAY
    doors.clock.ms += 30_000 + 61_000
    verdict = doors.desk.judge(Presented(licence=doors.issuer.presentation())).verdict
    assert (verdict.code, verdict.check("status").code) == ("status-unknown", "licence.status-stale")


def test_without_the_issuers_node_from_the_start_there_is_no_verdict(doors: Doors) -> None:
    doors.issuer.node_away = AWAY
    with pytest.raises(UnavailableError):
        code_of(doors)
    doors.issuer.node_away = None
    doors.clock.ms += 2_000
    assert code_of(doors) == "valid"


def test_a_change_is_seen_within_two_seconds(doors: Doors) -> None:
    assert code_of(doors, index=5) == "valid"
    doors.issuer.publish({5: 1}, version=2)
    doors.clock.ms += 2_000
    assert code_of(doors, index=5) == "revoked"


def test_an_ended_key_or_accreditation_ends_trust(doors: Doors) -> None:
    span = ProvenSpan(number=1, valid_from=SINCE_S, valid_until=NOW_MS // 1000 - 10, by=ISSUER)
    standing = doors.issuer.standing_now
    doors.issuer.standing_now = type(standing)(known=True, withdrawn_at=0, spans=(span,))
    assert code_of(doors) == "issue-time-unproven"
    doors.issuer.standing_now = type(standing)(known=True, withdrawn_at=NOW_MS // 1000 - 10, spans=standing.spans)
    doors.clock.ms += 2_000
    assert code_of(doors) == "issue-time-unproven"
    doors.issuer.standing_now = standing
    doors.clock.ms += 2_000
    assert code_of(doors) == "valid"
    doors.issuer.end_key(doors.issuer.signer, "compromised", NOW_MS // 1000 - 10)
    doors.clock.ms += 2_000
    assert code_of(doors) == "key-compromised"


# --- lists -----------------------------------------------------------------------------------------------------------


def older(doors: Doors) -> None:
    doors.issuer.publish({1: 1}, version=3)
    doors.issuer.publish({}, version=2, on_chain=False)


def other_bits(doors: Doors) -> None:
    doors.issuer.publish({1: 1}, version=2)
    doors.issuer.publish({}, version=2, on_chain=False)


def other_signer(doors: Doors) -> None:
    doors.issuer.publish({}, key=signer("stranger"))


def ended_signer(doors: Doors) -> None:
    doors.issuer.end_key(doors.issuer.signer, "compromised", NOW_MS // 1000 + 1)


def other_words(doors: Doors) -> None:
    head, body, signature = doors.issuer.token.split(".")
    doors.issuer.token = f"{head}.{body[:-8]}AAAAAAAA.{signature}"


def cut(doors: Doors) -> None:
    doors.issuer.token = doors.issuer.token[:-9]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (older, "licence.status-behind"),
        (other_bits, "licence.status-digest"),
        (other_signer, "licence.status-key"),
        (other_words, "licence.status-token"),
        (cut, "licence.status-token"),
    ],
)
def test_a_list_that_cannot_be_believed_leaves_the_status_unknown(
    doors: Doors, change: Callable[[Doors], None], code: str
) -> None:
    change(doors)
    verdict = doors.desk.judge(Presented(licence=doors.issuer.presentation())).verdict
    assert (verdict.code, verdict.check("status").code) == ("status-unknown", code)


def test_a_list_ahead_of_the_chain_is_believed(doors: Doors) -> None:
    doors.issuer.publish({1: 1}, version=2, on_chain=False)
    assert code_of(doors, index=1) == "revoked"
    answer = doors.stub.GetStatusList(pb.GetStatusListRequest(issuer=ISSUER, number=1))
    assert (answer.version, answer.chain_version) == (2, 1)


def test_a_list_signed_with_a_stolen_key_is_refused(doors: Doors) -> None:
    ended_signer(doors)
    with pytest.raises(UntrustedError) as caught:
        doors.desk.lists.by_number(ISSUER, 1)
    assert caught.value.code == "licence.status-key"


def test_a_kept_list_is_refused_once_its_key_is_known_to_be_stolen(doors: Doors) -> None:
    assert code_of(doors) == "valid"
    ended_signer(doors)
    doors.clock.ms += 2_000
    with pytest.raises(UntrustedError) as caught:
        doors.desk.lists.by_number(ISSUER, 1)
    assert caught.value.code == "licence.status-key"


def test_keeping_the_issuer_away_does_not_keep_a_revocation_away(doors: Doors) -> None:
    assert code_of(doors, index=3) == "valid"
    before = doors.issuer.token
    doors.issuer.publish({3: 1}, version=2)
    doors.issuer.token, doors.issuer.node_away = before, AWAY
    doors.clock.ms += 2_000
    verdict = doors.desk.judge(Presented(licence=doors.issuer.presentation(index=3))).verdict
    assert (verdict.code, verdict.check("status").code) == ("status-unknown", "licence.status-behind")


def test_a_slip_of_nobody_here_is_a_verdict(doors: Doors) -> None:
    doors.issuer.node_away = NotFoundError("member.no-node", "not known here")
    with pytest.raises(UnavailableError) as caught:
        doors.desk.judge(Presented(licence=doors.issuer.slip()))
    assert caught.value.code == "member.no-node"
    doors.issuer.node_away = NotFoundError("member.unknown", "nobody")
    doors.clock.ms += 2_000
    verdict = doors.desk.judge(Presented(licence=doors.issuer.slip())).verdict
    assert (verdict.code, verdict.check("issuer").code) == ("untrusted-issuer", "licence.unknown-key")


def test_the_list_and_the_issuer_are_shown_to_anybody(doors: Doors) -> None:
    status, headers, body = doors.https(f"/v1/licence/status/{ISSUER}/1")
    assert (status, headers["content-type"].split(";")[0]) == (200, statustoken.MEDIA_TYPE)
    assert body.decode() == doors.issuer.token
    query = f"time={NOW_MS // 1000 + 5}"
    assert doors.https(f"/v1/licence/status/{ISSUER}/1", query=query)[0] == 200
    assert doors.https(f"/v1/licence/status/{ISSUER}/1", query="time=5")[0] == 422
    assert doors.https(f"/v1/licence/status/{ISSUER}/0")[0] == 400
    assert doors.https("/v1/licence/status/nobody/1")[0] == 400
    status, _, body = doors.https(f"/v1/licence/issuer/{ISSUER}", query=f"type={TYPE}")
    shown = json.loads(body)
    assert (status, shown["keys"][0]["kid"], shown["keys"][0]["status"]) == (200, doors.issuer.signer.kid, "active")
    assert [span["from"] for span in shown["accreditations"]] == [SINCE_S * 1000]
    answer = doors.stub.GetIssuer(pb.GetLicenceIssuerRequest(issuer=ISSUER))
    assert (answer.keys[0].spki, list(answer.accreditations)) == (doors.issuer.signer.spki, [])
