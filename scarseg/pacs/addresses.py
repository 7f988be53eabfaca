"""Addresses of archives, written out or named in ``servers.toml``.

An address is ``dicom://CALLED@HOST:PORT`` (DIMSE), ``dicoms://`` (DIMSE over TLS), or the
``http://`` or ``https://`` address of a DICOMweb service. A password never stands in one, nor in
the file: ``password_env`` names the environment variable that holds it.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import platformdirs

from scarseg.errors import PacsError

DEFAULT_AE_TITLE = "SCARSEG"
DEFAULT_TIMEOUT_S = 30.0
MAX_TIMEOUT_S = 3600.0
DEFAULT_STORAGE_PORT = 11112
"""Port of the storage SCP that C-MOVE and ``receive`` use; 104 needs a privileged user."""
FILE_NAME = "servers.toml"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_AE_TITLE = re.compile(r"[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?")
_MAX_FILE_BYTES = 1 << 20
_KEYS = (
    *("address", "retrieve", "aet", "port", "timeout"),
    *("ca", "cert", "key", "user", "password_env"),
)


@dataclass(frozen=True)
class Server:
    """Where an archive is and how it is spoken to."""

    name: str
    """Its name in ``servers.toml``, or the address; holds no secret."""
    address: str
    scheme: str
    host: str
    port: int
    called_ae_title: str = ""
    retrieve: str = "get"
    ae_title: str = DEFAULT_AE_TITLE
    storage_port: int = DEFAULT_STORAGE_PORT
    timeout_s: float = DEFAULT_TIMEOUT_S
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    user: str = ""
    password_env: str = ""

    @property
    def is_web(self) -> bool:
        """Return whether it is a DICOMweb service."""
        return self.scheme in ("http", "https")

    @property
    def is_encrypted(self) -> bool:
        """Return whether the connection uses TLS."""
        return self.scheme in ("dicoms", "https")

    def password(self) -> str:
        """Return the password from the environment.

        Raises:
            PacsError: E_PACS_CONFIG, the variable is not set.
        """
        try:
            return os.environ[self.password_env] if self.password_env else ""
        except KeyError:
            raise _config(
                f"The environment variable {self.password_env} with the password of {self.name}"
                " is not set."
            ) from None


def servers_file() -> Path:
    """Return the path of ``servers.toml``: in ``$SCARSEG_HOME`` or the user's config folder."""
    home = os.environ.get("SCARSEG_HOME")
    folder = Path(home) if home else Path(platformdirs.user_config_dir("scarseg", appauthor=False))
    return folder / FILE_NAME


def find_server(text: str, path: Path | None = None) -> Server:
    """Return the server of an address or of a name in ``servers.toml``.

    Raises:
        PacsError: E_PACS_CONFIG.
    """
    if "://" in text:
        return parse_address(text)
    servers = read_servers(path)
    try:
        return servers[text]
    except KeyError:
        known = ", ".join(servers) or "none"
        raise _config(
            f"{text!r} is neither an address (dicom://CALLED@HOST:PORT, dicoms://, http://,"
            f" https://) nor a server of {path or servers_file()} (known: {known})."
        ) from None


def parse_address(text: str, name: str = "") -> Server:
    """Return the server of an address.

    Raises:
        PacsError: E_PACS_CONFIG.
    """
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _config(f"The address cannot be read: {error}.") from None
    if parts.password is not None:
        raise _config("An address holds no password; name a variable with password_env.")
    if not host:
        raise _config(f"The address {text!r} names no host.")
    if parts.scheme in ("dicom", "dicoms"):
        return _dimse_server(text.strip(), parts, host, port, name)
    if parts.scheme in ("http", "https"):
        if parts.username is not None or parts.query or parts.fragment:
            raise _config(f"The address of {host} has a user, query or fragment; leave it out.")
        port = port or {"http": 80, "https": 443}[parts.scheme]
        address = text.strip().rstrip("/")
        return Server(name or address, address, parts.scheme, host, port)
    raise _config(f"{text!r} begins with none of dicom://, dicoms://, http://, https://.")


def read_servers(path: Path | None = None) -> dict[str, Server]:
    """Return the servers of ``servers.toml`` by name, in its order; empty where there is none.

    Raises:
        PacsError: E_PACS_CONFIG, naming the server and key.
    """
    path = path or servers_file()
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise _config(f"{path} is too large.")
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise _config(f"{path} cannot be read: {error}.") from None
    servers = document.pop("servers", {})
    if document or not isinstance(servers, dict):
        raise _config(f"{path} holds something else than tables [servers.NAME].")
    return {name: _server_of(name, table, path) for name, table in servers.items()}


def encode_servers(servers: Mapping[str, Server]) -> str:
    """Return the text of a ``servers.toml``; what is at its default is left out."""
    lines: list[str] = []
    for name, server in servers.items():
        plain = parse_address(server.address)
        values: dict[str, object] = {"address": server.address}
        if server.retrieve != plain.retrieve:
            values["retrieve"] = server.retrieve
        if server.ae_title != plain.ae_title:
            values["aet"] = server.ae_title
        if server.storage_port != plain.storage_port:
            values["port"] = server.storage_port
        if server.timeout_s != plain.timeout_s:
            values["timeout"] = server.timeout_s
        for key in ("ca", "cert", "key", "user", "password_env"):
            if value := getattr(server, key):
                values[key] = str(value)
        # A JSON string or number of these characters is a TOML one.
        lines.append(f"[servers.{json.dumps(name, ensure_ascii=False)}]")
        lines += [f"{key} = {json.dumps(v, ensure_ascii=False)}" for key, v in values.items()]
        lines.append("")
    return "\n".join(lines)


def changed(
    server: Server,
    *,
    retrieve: str | None = None,
    ae_title: str | None = None,
    storage_port: int | None = None,
    timeout_s: float | None = None,
    ca: Path | None = None,
    cert: Path | None = None,
    key: Path | None = None,
) -> Server:
    """Return a server with other settings where they are given, checked.

    Raises:
        PacsError: E_PACS_CONFIG.
    """
    given = {
        "retrieve": retrieve,
        "ae_title": ae_title,
        "storage_port": storage_port,
        "timeout_s": timeout_s,
        "ca": ca,
        "cert": cert,
        "key": key,
    }
    values: dict[str, object] = {k: v for k, v in given.items() if v is not None}
    result: Server = replace(server, **values)  # type: ignore[arg-type]
    _check(result)
    return result


def with_certificates(server: Server, known: Server) -> Server:
    """Return a server with certificates, user and timeout of one that is known already."""
    return replace(
        server,
        ca=known.ca,
        cert=known.cert,
        key=known.key,
        user=known.user,
        password_env=known.password_env,
        timeout_s=known.timeout_s,
    )


def write_servers(servers: Mapping[str, Server]) -> None:
    """Write ``servers.toml``, whole or not at all, readable by its owner alone.

    Raises:
        PacsError: E_PACS_CONFIG.
    """
    path = servers_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(encode_servers(servers), encoding="utf-8")
        temporary.chmod(0o600)
        temporary.replace(path)
    except OSError as error:
        raise _config(f"{path} cannot be written: {error.strerror or error}.") from None


def _dimse_server(text: str, parts: SplitResult, host: str, port: int | None, name: str) -> Server:
    called = parts.username or ""
    if not called or not _AE_TITLE.fullmatch(called):
        raise _config(
            f"The address {text!r} names no called AE title of 1 to 16 characters"
            " (dicom://CALLED@HOST:PORT)."
        )
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise _config(f"The address {text!r} has a path; dicom://CALLED@HOST:PORT has none.")
    if not port:
        raise _config(f"The address {text!r} names no port (dicom://CALLED@HOST:PORT).")
    return Server(name or text, text, parts.scheme, host, port, called)


def _server_of(name: str, table: object, path: Path) -> Server:
    where = f"{path}, [servers.{name}]"
    if not _NAME.fullmatch(name):
        raise _config(f"{where}: a name has letters, digits, dots, dashes and underscores.")
    if not isinstance(table, dict):
        raise _config(f"{where} is no table.")
    if "password" in table:
        raise _config(
            f"{where} holds a password; put it in an environment variable and name that with"
            " password_env."
        )
    if unknown := [key for key in table if key not in _KEYS]:
        raise _config(f"{where} has the unknown key {unknown[0]!r} (known: {', '.join(_KEYS)}).")
    for key in _KEYS:
        value = table.get(key, "")
        numeric = key in ("port", "timeout")
        wanted = (int, float, str) if numeric else (str,)
        if isinstance(value, bool) or not isinstance(value, wanted) or (numeric and value == 0):
            raise _config(f"{where}: {key} = {value!r} makes no sense.")
    if "address" not in table:
        raise _config(f"{where} has no address.")
    try:
        server = parse_address(table["address"], name)
        server = replace(
            server, user=table.get("user", ""), password_env=table.get("password_env", "")
        )
        files = {
            key: Path(table[key]).expanduser() if key in table else None
            for key in ("ca", "cert", "key")
        }
        return changed(
            server,
            retrieve=table.get("retrieve"),
            ae_title=table.get("aet"),
            storage_port=table.get("port"),
            timeout_s=table.get("timeout"),
            ca=files["ca"],
            cert=files["cert"],
            key=files["key"],
        )
    except PacsError as error:
        raise _config(f"{where}: {error.message}") from None


def _check(server: Server) -> None:
    if server.retrieve not in ("get", "move"):
        raise _config(f"retrieve = {server.retrieve!r} is neither get nor move.")
    if not _AE_TITLE.fullmatch(server.ae_title):
        raise _config(f"The AE title {server.ae_title!r} is not 1 to 16 characters of ASCII.")
    if not isinstance(server.storage_port, int) or not 1 <= server.storage_port <= 65535:
        raise _config(f"The port {server.storage_port!r} is not one from 1 to 65535.")
    if not isinstance(server.timeout_s, (int, float)) or not 0 < server.timeout_s <= MAX_TIMEOUT_S:
        raise _config(f"The timeout {server.timeout_s!r} is not one of 0 to {MAX_TIMEOUT_S:g} s.")
    for path in (server.ca, server.cert, server.key):
        if path is not None and not path.is_file():
            raise _config(f"The file {path} is not there.")
    if server.key is not None and server.cert is None:
        raise _config("A key is of no use without its certificate (cert).")


def _config(message: str) -> PacsError:
    return PacsError("E_PACS_CONFIG", message)
