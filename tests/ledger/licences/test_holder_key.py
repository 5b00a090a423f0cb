"""The holder's key in a licence: the bytes another library makes of it, and only points of the curve."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidInputError
from ledger.licences import b64
from ledger.licences.binding import confirmation, holder_key

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
FIELD = 2**256 - 2**224 + 2**192 + 2**96 - 1


def jwk(x: int, y: int) -> dict[str, dict[str, str]]:
    return {"jwk": {"kty": "EC", "crv": "P-256", "x": b64.encode(x.to_bytes(32)), "y": b64.encode(y.to_bytes(32))}}


@given(st.integers(min_value=1, max_value=ORDER - 1), st.integers(min_value=1, max_value=255))
def test_every_point_of_the_curve_and_none_beside_it(secret: int, shift: int) -> None:
    public = ec.derive_private_key(secret, ec.SECP256R1()).public_key()
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    point = public.public_numbers()
    assert holder_key(jwk(point.x, point.y)) == spki == holder_key(confirmation(spki))
    assert holder_key(jwk(point.x, FIELD - point.y)) != spki
    for x, y in ((point.x, point.y ^ shift), (0, 0), (FIELD, point.y), (point.x, FIELD)):
        with pytest.raises(InvalidInputError) as caught:
            holder_key(jwk(x, y))
        assert caught.value.code == "licence.cnf-key"


@pytest.mark.parametrize("split", [0, 31, 33, 64])
def test_each_coordinate_has_its_length(split: int) -> None:
    public = ec.derive_private_key(7, ec.SECP256R1()).public_key()
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
    key = {"kty": "EC", "crv": "P-256", "x": b64.encode(point[:split]), "y": b64.encode(point[split:])}
    with pytest.raises(InvalidInputError) as caught:
        holder_key({"jwk": key})
    assert caught.value.code == "licence.cnf-key"


@pytest.mark.parametrize("y", [None, 7, "====", "é"])
def test_coordinates_are_strict_base64url(y: object) -> None:
    key = {"kty": "EC", "crv": "P-256", "x": b64.encode(b"\1" * 32), "y": y}
    with pytest.raises(InvalidInputError) as caught:
        holder_key({"jwk": key})
    assert caught.value.code == "licence.cnf-key"
