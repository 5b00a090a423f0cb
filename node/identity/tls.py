"""TLS identities: self-signed P-256 certificates, their SPKI digests, and credentials whose trust follows the chain.

TLS 1.3 only. gRPC has no setting for the lowest version, but TLS 1.2 cannot be agreed when the only TLS 1.2 cipher
suite offered needs an RSA certificate and every certificate here is ECDSA; the suites of TLS 1.3 are not affected.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

# Read by gRPC when its first credentials are made, so it must stand before that.
os.environ["GRPC_SSL_CIPHER_SUITES"] = "ECDHE-RSA-AES256-GCM-SHA384"
# Every refused handshake is a line of the core: neither JSON nor bounded. What it says when it gives up stays.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ledger.errors import InvalidInputError

#: Certificates live long: what ends a key is the chain, not the calendar.
CERTIFICATE_DAYS = 3_650


@dataclass(slots=True, kw_only=True)
class Identity:
    """The node's own TLS key and certificate, both PEM, the key unencrypted and in memory only. Replaced in place by
    a rotation: servers and channels read it at every handshake and dial."""

    key: bytes
    certificate: bytes

    @property
    def spki(self) -> bytes:
        """SHA-256 of the certificate's SubjectPublicKeyInfo, 32 bytes."""
        return spki_of_pem(self.certificate)


def certificate_name(uscc: str) -> str:
    """The DNS name in a member's certificate (docs/formats.md, keys)."""
    return f"{uscc.lower()}.member.civicledger"


def next_name(uscc: str) -> str:
    """The server name by which a node shows the certificate of a rotation whose end it has not seen."""
    return f"next.{certificate_name(uscc)}"


def make_certificate(secret: bytes, uscc: str, now_ms: int, serial: int) -> bytes:
    """A self-signed PEM certificate over a P-256 secret (32 bytes). ``serial`` is a random positive number of at most
    159 bits (RFC 5280 4.1.2.2)."""
    return make_named_certificate(_private_key(secret), (certificate_name(uscc),), now_ms, serial)


def make_named_certificate(key: ec.EllipticCurvePrivateKey, names: Sequence[str], now_ms: int, serial: int) -> bytes:
    """A self-signed PEM certificate for DNS ``names``, the first of which is its common name."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        # A day back: the clocks of two departments differ.
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(secret: bytes) -> bytes:
    """An unencrypted PKCS#8 PEM of a P-256 secret, for the TLS library's memory only; it is never written."""
    return _private_key(secret).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def spki_der(secret: bytes) -> bytes:
    """The DER SubjectPublicKeyInfo of a P-256 secret: what the key material on chain is the SHA-256 of."""
    return (
        _private_key(secret)
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def spki_of_pem(certificate: bytes | str) -> bytes:
    """SHA-256 of the SubjectPublicKeyInfo of a PEM certificate: 32 bytes, the ``tls`` key material on chain.

    Raises: InvalidInputError(tls.certificate).
    """
    data = certificate.encode() if isinstance(certificate, str) else certificate
    try:
        key = x509.load_pem_x509_certificate(data).public_key()
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    except ValueError as error:
        raise InvalidInputError("tls.certificate", f"not a PEM certificate: {error}") from error
    return hashlib.sha256(der).digest()


def peer_spki(context: grpc.ServicerContext) -> bytes | None:
    """SPKI SHA-256 of the certificate the caller of this RPC presented; None without one."""
    pems = context.auth_context().get("x509_pem_cert", ())
    return spki_of_pem(pems[0]) if pems else None


class ServerCertificates:
    """What a server's handshakes go by: ``identity`` and ``roots`` (PEM certificates), asked anew at every handshake.

    gRPC is told of a change and of nothing else. It replaces what it goes by whenever it is handed something, also the
    same again, while other handshakes read it without a lock: connections made at one time then ended the process with
    a segmentation fault (grpcio 1.85).
    """

    def __init__(self, identity: Identity, roots: Callable[[], Iterable[bytes]]) -> None:
        self._identity = identity
        self._roots = roots
        self._told = self._wanted()

    def first(self) -> grpc.ServerCertificateConfiguration:
        """What the server begins with."""
        return _configuration(*self._told)

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """What to go by from now on; None: as before. gRPC calls it under a lock, for one handshake at a time."""
        wanted = self._wanted()
        if wanted == self._told:
            return None
        self._told = wanted
        return _configuration(*wanted)

    def _wanted(self) -> tuple[bytes, bytes, bytes]:
        # In one order, whatever order they are kept in.
        return self._identity.key, self._identity.certificate, b"".join(sorted(self._roots()))


def _configuration(key: bytes, certificate: bytes, roots: bytes) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(key, certificate)], root_certificates=roots)


def server_credentials(identity: Identity, roots: Callable[[], Iterable[bytes]]) -> grpc.ServerCredentials:
    """Credentials that follow ``roots`` (PEM certificates) and ``identity``; a client without a certificate among them
    gets no connection."""
    found = ServerCertificates(identity, roots)
    return grpc.dynamic_ssl_server_credentials(found.first(), found.changed, require_client_authentication=True)


def channel_credentials(identity: Identity | None, server_certificate: bytes) -> grpc.ChannelCredentials:
    """Client credentials that accept exactly one server certificate (PEM) and present ``identity``, if any."""
    if identity is None:
        return grpc.ssl_channel_credentials(server_certificate)
    return grpc.ssl_channel_credentials(server_certificate, identity.key, identity.certificate)


def server_context(
    roots: Callable[[], Iterable[bytes]] | None = None, named: Callable[[str], ssl.SSLContext | None] | None = None
) -> ssl.SSLContext:
    """The HTTPS server's context: TLS 1.3. Its readers are the public and need no certificate.

    With ``roots`` (PEM certificates, asked for anew at every handshake) a client may present one of them; who it is
    and what it may read is judged at each request. A root once given stays known to the handshake: a key that ended is
    refused by that judgement. ``named`` may give another context for the name that the client asks for.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if roots is not None:
        known: set[bytes] = set()

        def learn(tls: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
            other = None if named is None or name is None else named(name)
            if other is not None:
                tls.context = other
                return
            for pem in roots():
                if pem not in known:
                    context.load_verify_locations(cadata=pem.decode())
                    known.add(pem)

        context.verify_mode = ssl.CERT_OPTIONAL
        # A rotated certificate has the name of the one before: without this OpenSSL may take the old one for its issuer
        # and refuse it, instead of finding the certificate itself among the trusted ones.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        # Called at the beginning of every handshake, whether the client names a server or not.
        context.sni_callback = learn
    return context


def load_identity(context: ssl.SSLContext, certificate_file: Path, key_file: Path, passphrase: bytes) -> None:
    """Give a server's context a certificate and its encrypted key; again after a rotation, for new connections."""
    context.load_cert_chain(certificate_file, key_file, password=passphrase)


def client_context(server_certificate: bytes, own: tuple[Path, Path, bytes] | None = None) -> ssl.SSLContext:
    """An HTTPS client's context that accepts exactly one server certificate (PEM). ``own``: certificate file, key file
    and passphrase of the certificate to present."""
    if own is None:
        return _shared_context(server_certificate)
    context = _pinned_context(server_certificate)
    load_identity(context, *own)
    return context


def _pinned_context(server_certificate: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # The certificate is its own trust root, so the name adds nothing the pin does not say.
    context.check_hostname = False
    context.load_verify_locations(cadata=server_certificate.decode())
    return context


#: Making one costs more processor time than asking a peer that is away, which some loops do again and again.
_shared_context = lru_cache(maxsize=256)(_pinned_context)


def _private_key(secret: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1())
