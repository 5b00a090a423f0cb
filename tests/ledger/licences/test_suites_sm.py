"""SM2 with SM3: the standards' example, the system's OpenSSL in both directions, and what is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from ledger.errors import InvalidInputError, UntrustedError
from ledger.licences.suites import ES256, SM2SM3, SPKI_BYTES, kid_of, sm2_signer, suite_of

SECRET = bytes.fromhex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8")
SIGNER = sm2_signer(SECRET)
HEADER = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d03420004")
ORDER = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
# a, b and the generator of the curve (GB/T 32918.5): what Z digests beside the identifier and the key.
CURVE = bytes.fromhex(
    "fffffffeffffffffffffffffffffffffffffffff00000000fffffffffffffffc"
    "28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93"
    "32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7"
    "bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0"
)
IDENTIFIER = ["-digest", "sm3", "-pkeyopt", "distid:1234567812345678"]


def test_the_examples_of_the_standards(vectors: Path) -> None:
    facts = json.loads((vectors / "china" / "vectors.json").read_text("utf-8"))
    assert SM2SM3.digest(b"abc").hex() == facts["sm3"]["abc"]
    assert SM2SM3.digest(b"abcd" * 16).hex() == facts["sm3"]["abcd*16"]
    case = facts["sm2_sign"]
    point = bytes.fromhex(case["x"] + case["y"])
    spki = HEADER + point
    assert bytes.fromhex(case["d"]) == SECRET
    assert spki == SIGNER.spki
    identifier = case["id"].encode()
    z = SM2SM3.digest(len(identifier * 8).to_bytes(2, "big") + identifier + CURVE + point)
    assert z.hex() == case["Z"]
    assert SM2SM3.digest(z + case["message"].encode()).hex() == case["e"]
    SM2SM3.verify(spki, case["message"].encode(), bytes.fromhex(case["r"] + case["s"]))


def test_the_signature_satisfies_the_equation_of_the_standard() -> None:
    """(1 + d) s + r d is the nonce k, and k G has the x that r - e names: so s and r belong together for this key."""
    message = b"content"
    signature = SIGNER.sign(message)
    assert SIGNER.sign(message) == signature
    d = int.from_bytes(SECRET, "big")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    k = ((1 + d) * s + r * d) % ORDER
    z = SM2SM3.digest(b"\0\x80" + b"1234567812345678" + CURVE + SIGNER.spki[27:])
    e = int.from_bytes(SM2SM3.digest(z + message), "big")
    x = int.from_bytes(sm2_signer(k.to_bytes(32, "big")).spki[27:59], "big")
    assert (e + x - r) % ORDER == 0


def test_the_names_are_those_of_the_closed_profile() -> None:
    assert (SM2SM3.alg, SM2SM3.cose_alg, SM2SM3.sd_alg) == ("SM2SM3", -65_537, "sm3")
    assert suite_of("SM2SM3") is SM2SM3
    assert SIGNER.suite is SM2SM3
    # The chain digests every key with SHA-256, whatever its suite.
    assert SM2SM3.key_digest(SIGNER.spki) == hashlib.sha256(SIGNER.spki).digest()
    assert SIGNER.kid == kid_of(SIGNER.spki)
    assert len(SIGNER.spki) == SPKI_BYTES


def test_no_changed_byte_verifies() -> None:
    signature = SIGNER.sign(b"content")
    SM2SM3.verify(SIGNER.spki, b"content", signature)
    for at in range(64):
        changed = bytearray(signature)
        changed[at] ^= 1
        with pytest.raises(UntrustedError) as refused:
            SM2SM3.verify(SIGNER.spki, b"content", bytes(changed))
        assert refused.value.code == "licence.signature"
    for other in (b"", signature[:-1], signature + b"\0", bytes(64)):
        with pytest.raises(UntrustedError):
            SM2SM3.verify(SIGNER.spki, b"content", other)
    with pytest.raises(UntrustedError):
        SM2SM3.verify(sm2_signer(bytes([7] * 32)).spki, b"content", signature)


@pytest.mark.parametrize(
    "spki",
    [b"", SIGNER.spki[:-1], SIGNER.spki[:-1] + bytes([SIGNER.spki[-1] ^ 1]), SIGNER.spki[:27] + bytes(64)],
    ids=["empty", "cut", "off the curve", "zero point"],
)
def test_what_is_no_key_is_refused(spki: bytes) -> None:
    with pytest.raises(InvalidInputError) as refused:
        SM2SM3.verify(spki, b"content", bytes(64))
    assert refused.value.code == "licence.key"


def test_a_key_of_one_suite_is_none_of_the_other() -> None:
    p256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + SIGNER.spki[26:]
    for suite, spki in ((ES256, SIGNER.spki), (SM2SM3, p256)):
        with pytest.raises(InvalidInputError) as refused:
            suite.verify(spki, b"content", bytes(64))
        assert refused.value.code == "licence.key"


@pytest.mark.parametrize("secret", [0, ORDER - 1, ORDER, 2**256 - 1])
def test_a_secret_out_of_range_signs_nothing(secret: int) -> None:
    # n - 1 has a public key but 1 + d has no inverse.
    with pytest.raises(InvalidInputError) as refused:
        sm2_signer(secret.to_bytes(32, "big")).sign(b"content")
    assert refused.value.code == "key.secret"


def test_a_signer_does_not_show_its_secret() -> None:
    assert SECRET.hex() not in repr(SIGNER)


@pytest.fixture(scope="module")
def openssl(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The system's OpenSSL and a new SM2 key made by it; skips where it has no SM2."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("no openssl program on this machine: SM2 is not compared with it")
    key = tmp_path_factory.mktemp("sm2") / "key.pem"
    made = subprocess.run(
        [program, "ecparam", "-name", "SM2", "-genkey", "-noout", "-out", str(key)],
        capture_output=True, check=False, timeout=600,
    )  # fmt: skip
    if made.returncode != 0:
        pytest.skip("the openssl program of this machine has no SM2: it is not compared with")
    return program, key


def run(program: str, *arguments: str) -> bytes:
    return subprocess.run([program, *arguments], capture_output=True, check=True, timeout=600).stdout


def test_openssl_accepts_what_we_sign(openssl: tuple[str, Path], tmp_path: Path) -> None:
    program, key = openssl
    # SEC 1 private key: SEQUENCE { 1, OCTET STRING of 32 bytes, .. }.
    der = run(program, "ec", "-in", str(key), "-outform", "DER")
    assert der[5:7] == b"\x04\x20"
    signer = sm2_signer(der[7:39])
    assert signer.spki == run(program, "ec", "-in", str(key), "-pubout", "-outform", "DER")
    content, signature = tmp_path / "content", tmp_path / "signature"
    content.write_bytes("电子证照".encode())
    r_s = signer.sign(content.read_bytes())
    signature.write_bytes(encode_dss_signature(int.from_bytes(r_s[:32], "big"), int.from_bytes(r_s[32:], "big")))
    arguments = ["-verify", "-inkey", str(key), "-rawin", "-in", str(content), "-sigfile", str(signature)]
    assert b"Verified Successfully" in run(program, "pkeyutl", *arguments, *IDENTIFIER)
    content.write_bytes("电子证书".encode())
    with pytest.raises(subprocess.CalledProcessError):
        run(program, "pkeyutl", *arguments, *IDENTIFIER)


def test_we_accept_what_openssl_signs(openssl: tuple[str, Path], tmp_path: Path) -> None:
    program, key = openssl
    spki = run(program, "ec", "-in", str(key), "-pubout", "-outform", "DER")
    content, signature = tmp_path / "content", tmp_path / "signature"
    content.write_bytes("电子证照".encode())
    arguments = ["-sign", "-inkey", str(key), "-rawin", "-in", str(content), "-out", str(signature)]
    run(program, "pkeyutl", *arguments, *IDENTIFIER)
    r, s = decode_dss_signature(signature.read_bytes())
    SM2SM3.verify(spki, content.read_bytes(), r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    # Another identifier is another signature.
    run(program, "pkeyutl", *arguments, "-digest", "sm3", "-pkeyopt", "distid:8765432187654321")
    r, s = decode_dss_signature(signature.read_bytes())
    with pytest.raises(UntrustedError):
        SM2SM3.verify(spki, content.read_bytes(), r.to_bytes(32, "big") + s.to_bytes(32, "big"))
