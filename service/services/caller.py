"""Where a request comes from, as sessions remember it and as attempts are counted."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

NO_ADDRESS = "-"


@dataclass(frozen=True, slots=True)
class Caller:
    """``ip`` as text, None on a Unix socket; ``user_agent`` is what the client calls itself."""

    ip: str | None
    user_agent: str | None

    @property
    def address(self) -> str:
        """What counts as one address: of IPv6 the /64, in which one machine may have any number of them."""
        return self._within(32)

    @property
    def network(self) -> str:
        """What counts as one network: the /24 of IPv4, the /64 of IPv6."""
        return self._within(24)

    def _within(self, bits_of_ipv4: int) -> str:
        if self.ip is None:
            return NO_ADDRESS
        bits = bits_of_ipv4 if ipaddress.ip_address(self.ip).version == 4 else 64
        return str(ipaddress.ip_network(f"{self.ip}/{bits}", strict=False))
