"""Addresses of archives, and servers.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from scarseg.errors import PacsError
from scarseg.pacs import addresses


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port", "called"),
    [
        ("dicom://PACS@archive.example:104", "dicom", "archive.example", 104, "PACS"),
        ("dicoms://MY-AE_1@10.0.0.1:2762", "dicoms", "10.0.0.1", 2762, "MY-AE_1"),
        ("dicom://A@[::1]:11112", "dicom", "::1", 11112, "A"),
        ("https://archive.example/dicom-web/", "https", "archive.example", 443, ""),
        ("http://localhost:8042/dicom-web", "http", "localhost", 8042, ""),
    ],
)
def test_addresses_are_read(text: str, scheme: str, host: str, port: int, called: str) -> None:
    server = addresses.parse_address(text)
    assert (server.scheme, server.host, server.port) == (scheme, host, port)
    assert server.called_ae_title == called
    assert server.is_web == text.startswith("http")
    assert server.is_encrypted == scheme.endswith("s")


@pytest.mark.parametrize(
    "text",
    [
        "archive:104",
        "ftp://archive/x",
        "dicom://archive:104",
        "dicom://PACS@archive",
        "dicom://PACS@archive:104/path",
        "dicom://PACS@archive:99999",
        "dicom://ABCDEFGHIJKLMNOPQ@archive:104",
        "dicom://PACS:secret@archive:104",
        "https://user:secret@archive/dicom-web",
        "https://user@archive/dicom-web",
        "https://archive/dicom-web?x=1",
        "dicom://PACS@:104",
        "http://[::1/x",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_a_secret(text: str) -> None:
    with pytest.raises(PacsError) as caught:
        addresses.find_server(text)
    assert caught.value.code == "E_PACS_CONFIG"
    assert "secret" not in caught.value.message


def test_named_servers_keep_their_settings_and_are_written_alike(home: Path) -> None:
    (home / "ca.pem").write_text("")
    (home / "servers.toml").write_text(
        '[servers.heart]\naddress = "dicom://PACS@10.0.0.1:104"\nretrieve = "move"\n'
        f'aet = "MRT 1"\nport = 4006\ntimeout = 5\nca = "{home / "ca.pem"}"\n'
        '[servers."web.1"]\naddress = "https://a/dw"\nuser = "jo"\npassword_env = "PW"\n'
    )
    heart = addresses.find_server("heart")
    assert (heart.name, heart.retrieve, heart.ae_title) == ("heart", "move", "MRT 1")
    assert (heart.storage_port, heart.timeout_s, heart.ca) == (4006, 5, home / "ca.pem")
    servers = addresses.read_servers()
    assert list(servers) == ["heart", "web.1"]
    (home / "servers.toml").write_text(addresses.encode_servers(servers))
    assert addresses.read_servers() == servers
    with pytest.raises(PacsError, match="PW"):
        servers["web.1"].password()
    with pytest.raises(PacsError, match=r"known: heart, web\.1"):
        addresses.find_server("hart")


def test_the_password_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", "geheim")
    (addresses.servers_file()).write_text(
        '[servers.a]\naddress = "https://a/dw"\nuser = "jo"\npassword_env = "PW"\n'
    )
    assert addresses.find_server("a").password() == "geheim"


@pytest.mark.parametrize(
    "table",
    [
        'address = "dicom://A@b:1"\npassword = "x"',
        'address = "dicom://A@b:1"\nmodus = "x"',
        'address = "dicom://A@b:1"\nretrieve = "push"',
        'address = "dicom://A@b:1"\nport = 0',
        'address = "dicom://A@b:1"\nport = 70000',
        'address = "dicom://A@b:1"\nport = true',
        'address = "dicom://A@b:1"\ntimeout = -1',
        'address = "dicom://A@b:1"\ntimeout = nan',
        'address = "dicom://A@b:1"\ntimeout = "5"',
        'address = "dicom://A@b:1"\naet = "ABCDEFGHIJKLMNOPQ"',
        'address = "dicom://A@b:1"\nca = "/nowhere/ca.pem"',
        'address = "dicom://A@b:1"\nkey = "/dev/null"',
        'retrieve = "get"',
        "address = 1",
        "= broken",
    ],
)
def test_a_table_that_makes_no_sense_is_named(home: Path, table: str) -> None:
    (home / "servers.toml").write_text(f"[servers.heart]\n{table}\n")
    with pytest.raises(PacsError) as caught:
        addresses.find_server("heart")
    assert caught.value.code == "E_PACS_CONFIG"
    assert str(home / "servers.toml") in caught.value.message


def test_no_file_is_no_server(home: Path) -> None:
    assert addresses.read_servers() == {}
    (home / "servers.toml").write_text("servers = 1\n")
    with pytest.raises(PacsError):
        addresses.read_servers()
