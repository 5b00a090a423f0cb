"""A signed head that a log does not hold closes it, also when nobody speaks of it any more."""

import shutil

import pytest

from ledger.errors import ConflictError, FatalError
from ledger.evidence import merkle
from ledger.evidence.checkpoint import Checkpoint, format_checkpoint, parse_checkpoint, parse_note, sign_note
from ledger.keys import Ed25519Signer
from ledger.log import DepartmentLog, fsck
from tests.ledger.log.conftest import ORIGIN, Open, record


def test_a_signed_head_of_another_history_is_known_after_a_restart(
    log: DepartmentLog, open_log: Open, signer: Ed25519Signer
) -> None:
    log.append([record(1)])
    mine = log.publish()
    other = Checkpoint(origin=ORIGIN, size=1, root=merkle.leaf_hash(record(7)))
    note = sign_note(format_checkpoint(other), ORIGIN, signer)
    with pytest.raises(ConflictError, match=r"log\.forked"):
        log.guard((), [note])
    log.close()
    report = fsck(log.path)
    assert [(one.file, one.index) for one in report.problems] == [("contrary.json", -1)]
    for _ in range(2):
        # Who showed it is silent now; all the others are content with what is here.
        again = open_log()
        with pytest.raises(ConflictError) as caught:
            again.guard([parse_checkpoint(parse_note(mine).text)])
        assert (caught.value.code, caught.value.expected) == ("log.forked", other.root)
        assert again.read(0, 1) == [record(1)]
        again.close()
    # The history that was signed comes back: then nothing is wrong any more, and nothing is remembered.
    kept = (log.path / "contrary.json").read_bytes()
    shutil.rmtree(log.path)
    back = open_log()
    back.refill([record(7)])
    back.close()
    (log.path / "contrary.json").write_bytes(kept)
    back = open_log()
    back.guard(())
    assert not (log.path / "contrary.json").exists()
    assert back.append([record(8)]) == (1, 1)


@pytest.mark.parametrize("data", [b"", b"{}", b'["no note"]', b"[" * 100])
def test_kept_heads_that_do_not_decode_are_said_by_name(log: DepartmentLog, open_log: Open, data: bytes) -> None:
    log.close()
    (log.path / "contrary.json").write_bytes(data)
    with pytest.raises(FatalError, match=r"log\.damaged-note"):
        open_log()
    assert [one.file for one in fsck(log.path).problems] == ["contrary.json"]
