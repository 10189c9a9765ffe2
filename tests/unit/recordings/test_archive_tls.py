"""Archives over https: whose certificate is trusted, and that nothing leads out of it."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.archive_server import ArchiveServer, archive_server

from oddsound.errors import DownloadError
from oddsound.recordings.archives.download import Download
from oddsound.recordings.archives.listing import list_archives
from oddsound.recordings.archives.store import Store
from oddsound.recordings.archives.web import Patience, Web

pytestmark = pytest.mark.server

KEY = "dev_data_fan.zip"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate of 127.0.0.1 and its key, as one PEM."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    day = datetime.timedelta(days=1)
    builder = builder.not_valid_before(now - day).not_valid_after(now + day).add_extension(address, False)
    pem = serialization.Encoding.PEM
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        builder.sign(key, hashes.SHA256()).public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


def fetch(server: ArchiveServer, folder: Path) -> bytes:
    server.records = {4562016: {KEY: b"content"}}
    web = Web(Patience(sleep=lambda _: pytest.fail("tried again")))
    (archive,) = list_archives(web, server.uri, "dcase2021", ["dev"])
    return Download(web, Store(folder, "dcase2021"), archive, lambda *_: None).run().read_bytes()


def test_a_certificate_that_isnt_trusted_ends_it_at_once(certificate: Path, tmp_path: Path) -> None:
    with archive_server(certificate) as server, pytest.raises(DownloadError, match="REQUESTS_CA_BUNDLE"):
        fetch(server, tmp_path)


def test_a_networks_own_certificate_is_named_in_the_environment(
    certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with archive_server(certificate) as server:
        assert fetch(server, tmp_path) == b"content"


def test_https_doesnt_lead_to_http(
    certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with archive_server(certificate) as server, archive_server() as plain:
        plain.records = {4562016: {KEY: b"content"}}
        server.redirect_to, server.faults[KEY] = plain.uri, ["redirect"]
        with pytest.raises(DownloadError, match=r"leads to http://.*, which isn't https"):
            fetch(server, tmp_path)
