"""The gateway as a whole: its own TLS identity, the two servers, and the reader behind them."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from gateway.answering import GrpcAnswers
from gateway.chain import ChainReader
from gateway.citizens.accesses import Accesses
from gateway.citizens.nodes import CitizenNodes
from gateway.citizens.page import ProblemPage
from gateway.citizens.patientpage import PatientPage
from gateway.citizens.results import Results
from gateway.citizens.routes import CitizenRoutes
from gateway.citizens.signin import SignInDesk
from gateway.city import City
from gateway.config import GatewayConfig, load_peers
from gateway.licences.finals import Finals
from gateway.licences.guard import GuardedCity
from gateway.licences.issuers import Issuers
from gateway.licences.judging import LicenceDesk
from gateway.licences.lists import StatusLists
from gateway.licences.routes import LicenceRoutes
from gateway.licences.service import LicenceServicer
from gateway.licences.sources import IssuerNodes
from gateway.licences.state import LicenceState
from gateway.licences.trusts import IssuerTrusts
from gateway.limits import RateLimit
from gateway.medical.admitting import Admission
from gateway.medical.carrying import Carrying
from gateway.medical.collecting import FiguresReader
from gateway.medical.figuresroutes import FiguresRoutes
from gateway.medical.forwarding import Forwarding
from gateway.medical.routes import HospitalRoutes
from gateway.medical.service import RecognitionServicer
from gateway.metrics import Metrics
from gateway.page import Page, StaticFile, load_static
from gateway.service import GatewayServicer, GrpcServer
from gateway.verifying import Verifier
from gateway.web import Web
from ledger.chain.client import ChainClient
from ledger.chain.genesis import Genesis, decode_genesis
from ledger.connections import PromptConnection
from ledger.errors import ConflictError, FatalError, InvalidInputError, NotFoundError
from ledger.evidence.envelope import EnvelopeDomain
from ledger.structs import prepare
from ledger.webserver import HttpServer

#: How long a read of the chain may take that a licence waits for.
_CHAIN_TIMEOUT_S = 3.0
#: Unix milliseconds.
Clock = Callable[[], int]


def system_clock() -> int:
    """The machine's clock, Unix milliseconds."""
    return time.time_ns() // 1_000_000


class Gateway:
    """A running gateway. :meth:`start`, then :meth:`close`."""

    def __init__(self, config: GatewayConfig, clock: Clock = system_clock) -> None:
        """Read every file and open both ports.

        Raises:
            NotFoundError, InvalidInputError: a file is missing or wrong (``gateway.*``, ``genesis.*``).
            ConflictError: ``listen.in-use``.
        """
        genesis = decode_genesis(_read(config.genesis))
        load_peers(config.peers)
        certificate = _read(config.certificate)
        key = load_key(config.key, config.passphrase)
        self.metrics = Metrics()
        chain = ChainReader(ChainClient(config.jsonrpc), genesis, config.names, clock)
        self.city = City(genesis, config.home, config.peers, chain, clock, self.metrics)
        verifier = Verifier(config.policy, clock, self.metrics)
        limits = config.limits
        limit = RateLimit(limits.requests_per_second, limits.burst, time.monotonic)
        verify_limit = RateLimit(limits.verifications_per_second, limits.verification_burst, time.monotonic)
        licence_limit = RateLimit(limits.licences_per_second, limits.licence_burst, time.monotonic)
        desk, issuers = self._licences(config, genesis, clock, verifier)
        static = load_static()
        routes = LicenceRoutes(desk, issuers, licence_limit)
        self._citizens = self._sign_in(config, static, clock)
        reader = FiguresReader(self.city, genesis.digest, clock)
        self._figures = FiguresRoutes(reader, static, clock)
        self._carrying = self._hospitals(config, genesis, clock)
        web = Web(
            self.city,
            verifier,
            Page(static, citizens=self._citizens is not None),
            static,
            self.metrics,
            limit,
            verify_limit,
            clock,
            routes,
            self._citizens,
            self._figures,
            HospitalRoutes(self._carrying),
        )
        answers = GrpcAnswers(self.metrics, limit)
        recognition = RecognitionServicer(self._carrying, reader, answers)
        servicer = GatewayServicer(self.city, verifier, answers, verify_limit)
        licences = LicenceServicer(desk, issuers, answers, licence_limit)
        context = _tls(config.certificate, config.key, config.passphrase)
        self._https = HttpServer(
            web.app(),
            config.https_host,
            config.https_port,
            context,
            name="https",
            connection=PromptConnection,
            keep_alive_s=30,
            grace_s=5,
            settings="gateway.toml",
        )
        try:
            self._grpc = GrpcServer(
                servicer, licences, config.grpc_host, config.grpc_port, key, certificate, recognition=recognition
            )
        except ConflictError:
            self._https.close()
            raise

    def _licences(
        self, config: GatewayConfig, genesis: Genesis, clock: Clock, verifier: Verifier
    ) -> tuple[LicenceDesk, Issuers]:
        """What judges licences, over a chain client whose calls end soon: somebody waits for the answer."""
        client = ChainClient(config.jsonrpc, timeout=_CHAIN_TIMEOUT_S)
        asked = GuardedCity(self.city, clock)
        finals = Finals(lambda: asked.ask(config.home, "/v1/final"), config.policy, clock)
        state = self._state = LicenceState(client, genesis.contracts["Consortium"], self.city, clock, finals)
        nodes = IssuerNodes(asked)
        max_age_ms = config.max_view_age_s * 1000
        trusts = IssuerTrusts(state, nodes, clock, max_age_ms=max_age_ms)
        lists = StatusLists(state, nodes, trusts, clock, max_age_ms=max_age_ms)
        return LicenceDesk(trusts, lists, self.metrics, clock, verifier.issue), Issuers(state, trusts, lists)

    def _hospitals(self, config: GatewayConfig, genesis: Genesis, clock: Clock) -> Carrying:
        """What carries calls of hospitals' nodes, judged by the same proven state as licences."""
        domain = EnvelopeDomain(chain_id=genesis.chain_id, consortium=genesis.contracts["Consortium"])
        max_age_ms = config.max_view_age_s * 1000
        admission = Admission(self._state, genesis.digest, domain, clock, max_age_ms=max_age_ms)
        rate, burst = config.limits.hospital_calls_per_second, config.limits.hospital_call_burst
        return Carrying(admission, Forwarding(self.city), RateLimit(rate, burst, time.monotonic))

    def _sign_in(self, config: GatewayConfig, static: Mapping[str, StaticFile], clock: Clock) -> CitizenRoutes | None:
        """What citizens sign in by, where the settings name a provider."""
        if config.citizens is None:
            return None
        limit = RateLimit(config.limits.requests_per_second / 10, config.limits.burst, time.monotonic)
        nodes = CitizenNodes(self.city, config.citizens, clock)
        return CitizenRoutes(
            SignInDesk(config.citizens, clock),
            Accesses(nodes),
            Results(nodes, clock),
            ProblemPage(static),
            PatientPage(static),
            self.metrics,
            limit,
        )

    @property
    def https_port(self) -> int:
        """Where the page is."""
        return self._https.port

    @property
    def grpc_port(self) -> int:
        """Where GatewayService is."""
        return self._grpc.port

    def start(self) -> None:
        """Begin reading and serving."""
        prepare()
        self.city.start()
        self._https.start()
        self._grpc.start()

    def close(self) -> None:
        """Finish what is under way and stop."""
        self._https.close()
        self._grpc.close()
        self._carrying.close()
        if self._citizens is not None:
            self._citizens.close()
        self._figures.close()
        self.city.close()


def load_key(path: Path, passphrase: Path) -> bytes:
    """The gateway's TLS key, decrypted in memory: PKCS#8 PEM for the TLS library.

    Raises:
        NotFoundError: ``gateway.file-missing``; InvalidInputError: ``gateway.key``.
    """
    data, secret = _read(path), _read(passphrase).strip()
    try:
        key = serialization.load_pem_private_key(data, secret)
    except (ValueError, TypeError) as error:
        raise InvalidInputError(
            "gateway.key",
            f"{path.name} does not open with the passphrase in {passphrase.name}",
            hint="restore both from one backup, or make a new pair with civicledger city init in another folder",
        ) from error
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _tls(certificate: Path, key: Path, passphrase: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(certificate, key, password=_read(passphrase).strip())
    except ssl.SSLError as error:
        raise InvalidInputError(
            "gateway.key",
            f"{certificate.name} and {key.name} do not belong together",
            hint="restore both from one backup",
        ) from error
    return context


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(
            "gateway.file-missing",
            f"there is no {path.name} in {path.parent}",
            hint="gateway.toml names the files; civicledger city init writes them",
        ) from error
    except OSError as error:
        raise FatalError("gateway.file", f"{path} cannot be read: {error.strerror}") from error
