from __future__ import annotations

import pytest
from flask import Flask
from service.api.caller import USER_AGENT_LIMIT, caller
from service.services.caller import NO_ADDRESS, Caller


@pytest.mark.parametrize(
    ("ip", "address", "network"),
    [
        ("198.51.100.7", "198.51.100.7/32", "198.51.100.0/24"),
        ("198.51.100.255", "198.51.100.255/32", "198.51.100.0/24"),
        ("0.0.0.0", "0.0.0.0/32", "0.0.0.0/24"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64", "2001:db8:1:3::/64"),
        ("::1", "::/64", "::/64"),
        (None, NO_ADDRESS, NO_ADDRESS),
    ],
)
def test_what_counts_as_one_address_and_as_one_network(ip: str | None, address: str, network: str) -> None:
    where = Caller(ip, None)

    assert (where.address, where.network) == (address, network)


@pytest.mark.parametrize(
    ("remote", "ip"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("::FFFF:C633:6407", "198.51.100.7"),
        ("2001:0DB8:0:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:198.51.100.7%1", "198.51.100.7"),
        ("unix:", None),
        ("", None),
        ("testclient", None),
        ("198.51.100.256", None),
        ("%", None),
    ],
)
def test_an_address_has_one_spelling(remote: str, ip: str | None) -> None:
    with Flask("asked").test_request_context(environ_base={"REMOTE_ADDR": remote}):
        assert caller().ip == ip


def test_a_server_may_know_no_address() -> None:
    with Flask("asked").test_request_context() as request:
        request.request.environ.pop("REMOTE_ADDR", None)
        request.request.remote_addr = None

        assert caller().ip is None


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("phone/1", "phone/1"),
        ("", None),
        ("\0", None),
        ("a\0b", "ab"),
        ("x" * 1000, "x" * USER_AGENT_LIMIT),
        ("\0" * 300 + "x", "x"),
    ],
    ids=["short", "empty", "U+0000", "U+0000 inside", "long", "long of U+0000"],
)
def test_a_user_agent_is_cut_to_what_is_kept(sent: str, kept: str | None) -> None:
    with Flask("asked").test_request_context(environ_base={"HTTP_USER_AGENT": sent}):
        assert caller().user_agent == kept
