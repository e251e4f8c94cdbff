"""A server is the one that was looked for, or nothing is sent to it."""

import datetime
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sandbox.errors import ActFailed
from sandbox.fault import FaultCode
from sandbox.net.operator import operator_client
from sandbox.net.tls import node_tls
from tests.sandbox.net.world import (
    OK,
    FetcherFor,
    NoSecrets,
    OneSecret,
    names,
    order_for,
    saying,
    serving,
)

HOST = "api.example.com"
LOOKUP = names({HOST: ["127.0.0.1"], "other.example.com": ["127.0.0.1"]})
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def server_tls(
    path: Path, hosts: Sequence[str] = (HOST,), *, until: datetime.datetime = NOW + DAY
) -> ssl.SSLContext:
    """A server with a certificate of its own making, which is also at `path`/ca.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 2 * DAY)
        .not_valid_after(until)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(h) for h in hosts]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (path / "key.pem").write_bytes(secret)
    (path / "ca.pem").write_bytes(certificate.public_bytes(pem))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path / "ca.pem", path / "key.pem")
    return context


def trusting(path: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(path / "ca.pem"))


async def test_the_right_server_gets_the_request(fetcher_for: FetcherFor, tmp_path: Path) -> None:
    async with serving(saying(OK), tls=server_tls(tmp_path)) as server:
        fetcher = fetcher_for(NoSecrets(), tls=lambda: trusting(tmp_path), lookup=LOOKUP)
        for _ in range(2):
            await fetcher.fetch(order_for(f"https://{HOST}:{server.port}/a"))
        assert server.lines[0] == "GET /a HTTP/1.1"
        assert server.connections == 1
        url = f"https://{HOST}:{server.port}"
        async with operator_client(url, tls=trusting(tmp_path), lookup=LOOKUP) as client:
            assert (await client.get(url)).text == "ok"


@pytest.mark.parametrize(
    ("host", "until", "is_trusted"),
    [
        ("other.example.com", NOW + DAY, True),
        (HOST, NOW - DAY, True),
        (HOST, NOW + DAY, False),
    ],
    ids=["another name", "expired", "nobody vouches for it"],
)
async def test_another_server_gets_nothing(
    fetcher_for: FetcherFor,
    tmp_path: Path,
    host: str,
    until: datetime.datetime,
    *,
    is_trusted: bool,
) -> None:
    async with serving(saying(OK), tls=server_tls(tmp_path, until=until)) as server:
        url = f"https://{host}:{server.port}"
        fetcher = fetcher_for(
            OneSecret("s3cr3t-token-of-the-owner", url),
            tls=(lambda: trusting(tmp_path)) if is_trusted else node_tls,
            lookup=LOOKUP,
        )
        with pytest.raises(ActFailed) as caught:
            await fetcher.fetch(order_for(url))
        assert caught.value.code is FaultCode.UNAVAILABLE
        assert "certificate" in caught.value.why
        assert server.requests == []


async def test_a_server_that_speaks_no_tls(fetcher_for: FetcherFor) -> None:
    async def plain(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
            while await stream.receive_some():
                pass

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, plain, [listener])
        fetcher = fetcher_for(NoSecrets(), lookup=LOOKUP)
        with pytest.raises(ActFailed) as caught:
            await fetcher.fetch(order_for(f"https://{HOST}:{listener.socket.getsockname()[1]}"))
        assert caught.value.code is FaultCode.UNAVAILABLE
        nursery.cancel_scope.cancel()


def test_the_nodes_way_cannot_be_lax() -> None:
    context = node_tls()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
