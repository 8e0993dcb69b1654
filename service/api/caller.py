"""From the connection to the caller, as sessions remember it."""

from __future__ import annotations

import ipaddress

from flask import request

from service.services.caller import Caller

USER_AGENT_LIMIT = 256
"""Characters."""


def caller() -> Caller:
    """Return where the request came from; behind proxies of ours, what they say (the edge sees to that)."""
    user_agent = request.headers.get("User-Agent", "").replace("\0", "")[:USER_AGENT_LIMIT]
    return Caller(_ip(request.remote_addr or ""), user_agent or None)


def _ip(address: str) -> str | None:
    """Return the address in its one spelling: without a zone, and IPv4 as such; None if there is none."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:  # a server on a Unix socket knows no address
        return None
    return str(getattr(ip, "ipv4_mapped", None) or ip)
