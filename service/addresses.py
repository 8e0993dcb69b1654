"""What is wrong with the address of a database, before anybody connects: it has to reach asyncpg through SQLAlchemy.

Nothing of ours is imported, and no line shows a value, which may be a password in the wrong place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, urlsplit

SCHEMES = ("postgresql://", "postgres://", "postgresql+asyncpg://")
URL_PARAMETERS = {"host", "port", "ssl", "sslmode", "target_session_attrs"}
"""What a database's address may say behind its question mark."""
LIBPQ_PARAMETERS = {"application_name", "channel_binding", "connect_timeout", "gssencmode"}
"""What providers write there too: accepted, and left to our own settings."""

_SSL_MODES = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}
_VERIFYING = {"verify-ca", "verify-full"}
_VALUES = {
    "ssl": _SSL_MODES,
    "sslmode": _SSL_MODES,
    "target_session_attrs": {"any", "primary", "standby", "prefer-standby", "read-write", "read-only"},
}
_ONCE = (*_VALUES, "port")


def faults_of_address(setting: str, url: str) -> Iterator[str]:
    """Yield a line for each reason why the address that a setting holds can't be used."""
    if not url.startswith(SCHEMES):
        yield f"{setting} must start with postgresql:// or postgresql+asyncpg://"
        return
    try:
        parts = urlsplit(url)
        whole = parts.port != 0 and len(parts.path) > 1
    except ValueError:  # brackets without an end, a port that is no number
        whole = False
    if not whole:
        yield f"{setting} is malformed: it has to look like postgresql://user:password@host:5432/database"
        return
    parameters = parse_qs(parts.query)
    for name in sorted(parameters.keys() - URL_PARAMETERS - LIBPQ_PARAMETERS):
        yield f"{setting} has the unknown parameter {name!r}"
    for fault in (*_of_values(parameters), *_of_hosts(parts, parameters)):
        yield f"{setting}: {fault}"


def _of_values(parameters: Mapping[str, list[str]]) -> Iterator[str]:
    for name in _ONCE:
        if len(parameters.get(name, [])) > 1:
            yield f"{name} is there more than once"
    for name, allowed in _VALUES.items():
        if not allowed.issuperset(parameters.get(name, [])):
            yield f"{name} is one of {', '.join(sorted(allowed))}"
    modes = {*parameters.get("ssl", []), *parameters.get("sslmode", [])}
    if "ssl" in parameters and "sslmode" in parameters and len(modes) > 1:
        yield "ssl and sslmode say different things, and are the same: leave one out"
    if modes & _VERIFYING and not _has_root_certificates():
        yield "verify-ca and verify-full need root certificates: ~/.postgresql/root.crt, or PGSSLROOTCERT's file"


def _has_root_certificates() -> bool:
    """Tell whether there is the file that asyncpg reads."""
    try:
        return Path(os.environ.get("PGSSLROOTCERT") or Path.home() / ".postgresql" / "root.crt").is_file()
    except (OSError, RuntimeError):  # in a folder that is not ours to look into; nobody's home is known
        return False


def _of_hosts(parts: SplitResult, parameters: Mapping[str, list[str]]) -> Iterator[str]:
    """Yield what is wrong with hosts and ports. Behind the question mark they stand in one of two ways, and several
    hosts have a port each: `host=a,b&port=1,2` or `host=a:1&host=b:2`.
    """
    given = parameters.get("host", [])
    listed = [port for part in parameters.get("port", []) for port in part.split(",")]
    if len(given) == 1 and (listed or "," in given[0] or not _has_port(given[0])):
        hosts, ports = given[0].split(","), listed
    else:
        pairs = [host.partition(":") for host in given]
        hosts, ports = [host for host, _, _ in pairs], [port for _, colon, port in pairs if colon] or listed
        if pairs and listed:
            yield "ports are written behind each host, or in port=, not in both"
    if len(ports) != len(hosts) and max(len(ports), len(hosts)) > 1:
        yield "several hosts have a port each: host=a,b&port=5432,5432"
    if not all(map(_is_port, ports)):
        yield "a port is a number up to 65535"
    if not all(map(_is_host, [*hosts, *([parts.hostname] if parts.hostname else [])])):
        yield "a host is a name, an address or the path of a socket's folder, and several go into host="


def _has_port(host: str) -> bool:
    return host.count(":") == 1 and not host.startswith("/")


def _is_port(port: str) -> bool:
    return port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) <= 65_535


def _is_host(host: str) -> bool:
    """Tell whether somebody could be reached by this name: whoever looks a host up has it encoded before (IDNA)."""
    if not host or not host.isprintable() or {",", " "} & set(host):
        return False
    if host.startswith("/"):
        return True
    try:
        if ":" in host:
            ip_address(host)
        host.encode("idna")
    except ValueError:  # an empty label, or one of more than 63 characters
        return False
    return True
