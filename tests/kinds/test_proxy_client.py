"""What a job believes of an answer, and to whom it shows a password."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from checkback.core.errors import JobFailed
from checkback.kinds import proxy_client
from checkback.kinds.browser.network_log import is_seen_by_proxy
from checkback.kinds.context import Egress
from checkback.kinds.documents.files.source import Login, download
from checkback.security.egress.client import EgressProxy

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class Server:
    """Speaks TLS to those who begin with it, and plain HTTP to all others, on one port."""

    def __init__(self, certificate: Path) -> None:
        self.answers: Callable[[bool], bytes] = lambda secure: HELLO
        #: The head of each request, and whether it came over TLS.
        self.asked: list[tuple[bool, str]] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            with suppress(OSError), line:
                self._serve(line)

    def _serve(self, line: socket.socket) -> None:
        line.settimeout(5)
        secure = line.recv(1, socket.MSG_PEEK) == b"\x16"
        talk = self._context.wrap_socket(line, server_side=True) if secure else line
        head = b""
        while b"\r\n\r\n" not in head:
            head += talk.recv(65536)
        self.asked.append((secure, head.decode("latin-1")))
        talk.sendall(self.answers(secure))
        talk.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    certificate = tmp_path / "server.pem"
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    text = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    certificate.write_bytes(
        key.private_bytes(text, serialization.PrivateFormat.PKCS8, plain) + made.public_bytes(text)
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    opened = Server(certificate)
    yield opened
    opened.close()


@pytest.fixture
async def egress(server: Server) -> AsyncIterator[Egress]:
    proxy = await EgressProxy.start(allow_hosts=(f"127.0.0.1:{server.port}",))
    grant = await proxy.grant("job")
    yield Egress(grant.proxy_url, grant.username, grant.password)
    await proxy.close()


def read(url: str, egress: Egress) -> bytes:
    with proxy_client.get(url, egress, seconds=5, headers={}) as response:
        return response.read()


LIES = [
    b"HTTP/1.1 200 OK\r\nX-Checkback-Blocked: private\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nX-Checkback-Failed: dns\r\nContent-Length: 5\r\n\r\nhello",
]


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_server_cannot_speak_in_the_proxys_name(
    server: Server, egress: Egress, scheme: str, lie: bytes
) -> None:
    server.answers = lambda secure: lie
    assert await asyncio.to_thread(read, f"{scheme}://127.0.0.1:{server.port}/", egress) == b"hello"


async def test_a_status_line_that_looks_like_the_proxys_refusal_is_a_bad_answer(
    server: Server, egress: Egress
) -> None:
    server.answers = lambda secure: b"Tunnel connection failed: 403 Forbidden\r\n\r\n"
    with pytest.raises(proxy_client.FetchFailed) as failed:
        await asyncio.to_thread(read, f"https://127.0.0.1:{server.port}/", egress)
    assert type(failed.value) is proxy_client.FetchFailed


def test_a_page_over_tls_cannot_speak_in_the_proxys_name() -> None:
    assert is_seen_by_proxy("http://a.example/")
    assert not is_seen_by_proxy("https://a.example/")


def redirect(to: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


async def test_a_password_for_tls_is_not_sent_in_clear_after_a_redirect(
    server: Server, egress: Egress, tmp_path: Path
) -> None:
    server.answers = lambda secure: (
        redirect(f"http://127.0.0.1:{server.port}/b") if secure else HELLO
    )
    login = Login("ada", "secret")
    await asyncio.to_thread(
        download, f"https://127.0.0.1:{server.port}/a", tmp_path / "source", egress, login
    )
    shown = [(secure, "authorization: basic" in head.lower()) for secure, head in server.asked]
    assert shown == [(True, True), (False, False)]


async def test_a_redirect_to_an_address_that_is_none_is_a_failure_of_the_source(
    server: Server, egress: Egress, tmp_path: Path
) -> None:
    for to in (
        "http://[",
        "http://a:b/",
        "//",
        "http://127.0.0.1:99999/",
        "file:///etc/passwd",
        "\xff",
    ):
        server.answers = lambda secure, to=to: redirect(to)
        with pytest.raises((JobFailed, proxy_client.FetchFailed)):
            await asyncio.to_thread(
                download,
                f"http://127.0.0.1:{server.port}/a",
                tmp_path / "source",
                egress,
                Login("a", "b"),
            )


@pytest.mark.parametrize(
    ("url", "other", "same"),
    [
        ("https://a.example/x", "https://a.example/y", True),
        ("https://a.example/x", "https://A.example:443/y", True),
        ("http://a.example/x", "https://a.example/x", True),
        ("https://a.example/x", "http://a.example/x", False),
        ("https://a.example/x", "https://b.example/x", False),
        ("https://a.example/x", "https://www.a.example/x", False),
        ("https://a.example/x", "https://a.example:8443/x", False),
        ("http://a.example:8080/x", "https://a.example/x", False),
        ("http://a.example/x", "https://a.example:8443/x", False),
        ("https://a.example/x", "https://a.example:b/x", False),
    ],
)
def test_a_password_goes_to_its_own_origin_only(url: str, other: str, same: bool) -> None:
    assert proxy_client.is_same_origin(url, other) is same
