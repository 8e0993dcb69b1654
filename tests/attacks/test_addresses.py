"""Paths, queries and headers that say where a request goes and where it comes from."""

from __future__ import annotations

import pytest
from tests.support.accounts import Account
from tests.support.attacks import Arena, Attack, attacking
from tests.support.processes import wait_until
from tests.support.sockets import Answer

EVIL = "evil.example"


@pytest.fixture(scope="module")
def ann(arena: Arena) -> Account:
    with attacking(arena) as attack:
        return attack.signed_in(role="admin")


def assert_refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.json()["code"]) == (status, code), answer


IDS = {
    "0": "0",
    "00": "00",
    "-1": "-1",
    "-0": "-0",
    "+1": "+1",
    "2^63": str(2**63),
    "2^64": str(2**64),
    "2^64 + 1": str(2**64 + 1),
    "10^400": "1" + "0" * 400,
    "10^3900": "1" + "0" * 3900,
    "hexadecimal": "0x1",
    "a decimal": "1.0",
    "an exponent": "1e0",
    "an underscore": "1_0",
    "a comma": "1,2",
    "Arabic digits": "%D9%A1",
    "full-width digits": "%EF%BC%91",
    "superscript": "%C2%B9",
    "a space behind": "1%20",
    "a space before": "%201",
    "a newline behind": "1%0a",
    "a plus behind": "1+",
    "a parameter": "1;v=2",
    "a wildcard": "*",
    "SQL": "1%20OR%201=1",
    "a union": "1%27%20UNION%20SELECT%201--",
    "null": "null",
    "NaN": "NaN",
    "true": "true",
    "a list": "[1]",
    "an object": "%7B%22$gt%22:0%7D",
    "me": "me",
    "an extension": "1.json",
}


@pytest.mark.parametrize("place", IDS.values(), ids=IDS.keys())
def test_what_is_no_id_is_not_found(attack: Attack, ann: Account, place: str) -> None:
    connection = attack.connect()
    for method, document in [("GET", None), ("PUT", {"username": "x.y.z"}), ("PATCH", {}), ("DELETE", None)]:
        answer = connection.call(method, f"/api/users/{place}", document, ann.access_token)
        assert_refused(answer, 404, "NOT_FOUND")


def test_an_id_that_nobody_has_is_not_found(attack: Attack, ann: Account) -> None:
    connection = attack.connect()
    for method, document in [("GET", None), ("PUT", {"username": "x.y.z"}), ("DELETE", None)]:
        answer = connection.call(method, f"/api/users/{2**63 - 1}", document, ann.access_token)
        assert_refused(answer, 404, "NOT_FOUND")


PATHS = {
    "dots": "/api/users/../auth/admin-only",
    "dots to the front": "/api/../livez",
    "dots at the start": "/../api/auth/me",
    "a dot": "/api/./auth/me",
    "escaped dots": "/api/users/%2e%2e/auth/me",
    "twice escaped dots": "/api/users/%252e%252e/auth/me",
    "a double slash": "/api//auth/me",
    "a double slash first": "//api/auth/me",
    "a host": f"//{EVIL}/api/auth/me",
    "a double slash behind": "/api/users//",
    "a slash behind": "/api/auth/me/",
    "an escaped slash": "/api%2fauth%2fme",
    "an escaped slash in an id": "/api/users/1%2f..%2f..%2fauth%2fme",
    "an escaped backslash": "/api%5cauth%5cme",
    "a backslash": "/api\\auth\\me",
    "a semicolon": "/api/auth/me;jsessionid=1",
    "an extension": "/api/auth/me.json",
    "upper case": "/API/AUTH/ME",
    "a space behind": "/api/auth/me%20",
    "a newline": "/api/auth/me%0a",
    "CRLF": "/api/auth/me%0d%0aSet-Cookie:%20x=1",
    "a question mark escaped": "/api/auth/me%3fx=1",
    "full-width letters": "/api/auth/%EF%BD%8D%EF%BD%85",
    "a zero width space": "/api/auth/m%E2%80%8Be",
    "a file": "/etc/passwd",
    "the environment": "/.env",
    "the repository": "/.git/config",
    "the debugger": "/console",
    "a debugger's query": "/?__debugger__=yes&cmd=resource&f=debugger.js",
    "static files": "/static/../asgi.py",
    "actuator": "/actuator/env",
}


@pytest.mark.parametrize("target", PATHS.values(), ids=PATHS.keys())
def test_another_way_to_write_a_path_leads_nowhere(attack: Attack, ann: Account, target: str) -> None:
    answer = attack.call("GET", target, token=ann.access_token)
    if "__debugger__" in target:
        assert answer.json()["name"] == "postern"
        return
    assert_refused(answer, 404, "NOT_FOUND")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "target",
    [
        "/api/users/%00",
        "/api/users/1%00",
        "/api/auth/me%00.json",
        "/api/users/%ff",
        "/api/users/%c0%af",
        "/api/users/%ed%a0%80",
        "/api/users/?page=%00",
        "/api/users/?page=%ff",
        "/api/users/?%00=1",
        "/api/users/?%ff=1",
        "/%ff",
    ],
)
def test_an_escape_that_is_no_text_is_malformed(attack: Attack, ann: Account, target: str) -> None:
    assert_refused(attack.call("GET", target, token=ann.access_token), 400, "MALFORMED_REQUEST")


QUERIES = {
    "unknown": "nothing=1",
    "unknown beside a known": "page=1&admin=true",
    "no name": "=1",
    "another case": "Page=1",
    "in brackets": "page[]=1",
    "an object": "page[$gt]=0",
    "repeated": "page=1&page=2",
    "repeated the same": "per_page=5&per_page=5",
    "page 0": "page=0",
    "page -1": "page=-1",
    "page 10,001": "page=10001",
    "page 10^9": "page=1000000000",
    "page 2^63": "page=9223372036854775808",
    "page 10^400": "page=1" + "0" * 400,
    "page empty": "page=",
    "page without a value": "page",
    "page with a sign": "page=%2B1",
    "page with a space": "page=%201",
    "page with a plus": "page=+1",
    "page a decimal": "page=1.0",
    "page an exponent": "page=1e0",
    "page hexadecimal": "page=0x1",
    "page with an underscore": "page=1_0",
    "page in Arabic digits": "page=%D9%A1",
    "page NaN": "page=NaN",
    "page true": "page=true",
    "page SQL": "page=1%20OR%201=1",
    "page stacked": "page=1;DROP%20TABLE%20users",
    "page with CRLF": "page=1%0d%0aX-Injected:%201",
    "per_page 0": "per_page=0",
    "per_page -1": "per_page=-1",
    "per_page SQL": "per_page=1%27--",
    "per_page empty": "per_page=",
    "a semicolon between": "page=1;per_page=1",
    "a thousand": "&".join(f"p{number}=1" for number in range(400)),
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
def test_a_query_of_another_shape_is_invalid(attack: Attack, ann: Account, query: str) -> None:
    answer = attack.call("GET", f"/api/users/?{query}", token=ann.access_token)
    assert_refused(answer, 400, "VALIDATION_ERROR")
    assert "x-injected" not in answer.headers
    assert len(answer.body) < 16_384


@pytest.mark.parametrize("target", ["/api/auth/me", "/api/auth/admin-only", "/api/users/1"])
@pytest.mark.parametrize("query", ["user_id=1", "_method=DELETE", "is_admin=true"])
def test_a_route_without_parameters_takes_none(attack: Attack, ann: Account, target: str, query: str) -> None:
    assert_refused(attack.call("GET", f"{target}?{query}", token=ann.access_token), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("size", ["101", "1000000", "1" + "0" * 30], ids=["101", "10^6", "10^30"])
def test_a_page_holds_no_more_than_a_hundred(attack: Attack, ann: Account, size: str) -> None:
    answer = attack.call("GET", f"/api/users/?per_page={size}", token=ann.access_token)
    assert (answer.status, answer.json()["per_page"]) == (200, 100)
    assert len(answer.json()["users"]) <= 100


def test_the_last_page_is_empty_and_not_dear(attack: Attack, ann: Account) -> None:
    answer = attack.call("GET", "/api/users/?page=10000&per_page=100", token=ann.access_token)
    assert (answer.status, answer.json()["users"]) == (200, [])


@pytest.mark.parametrize(
    "target", ["/" + "a" * 5000, "/api/users/?page=" + "1" * 5000, "/api/users/" + "1" * 5000, "/" + "%41" * 2000]
)
def test_a_long_url_is_refused(attack: Attack, target: str) -> None:
    assert_refused(attack.request("GET", target), 414, "URI_TOO_LONG")


# Headers that would say otherwise


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"])
@pytest.mark.parametrize("method", ["DELETE", "PUT"])
def test_the_method_is_that_of_the_request(attack: Attack, ann: Account, header: str, method: str) -> None:
    token = f"Authorization: Bearer {ann.access_token}"
    posted = attack.request("POST", f"/api/users/{ann.id}?_method={method}", f"{header}: {method}", token)
    assert_refused(posted, 405, "METHOD_NOT_ALLOWED")
    got = attack.request("GET", f"/api/users/{ann.id}", f"{header}: {method}", token)
    assert (got.status, got.json()["id"]) == (200, ann.id)


@pytest.mark.parametrize(
    "header", ["X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Forwarded-Uri", "X-Forwarded-Path", "Referer"]
)
def test_the_path_is_that_of_the_request(attack: Attack, ann: Account, header: str) -> None:
    token = f"Authorization: Bearer {ann.access_token}"
    assert attack.request("GET", "/livez", f"{header}: /api/auth/admin-only", token).json() == {"status": "ok"}
    assert attack.request("GET", "/api/auth/admin-only", f"{header}: /livez").status == 401


@pytest.mark.parametrize(
    "line",
    [
        "X-Forwarded-For: 203.0.113.9",
        "X-Forwarded-For: 203.0.113.9, 203.0.113.10",
        "X-Real-IP: 203.0.113.9",
        "Forwarded: for=203.0.113.9;proto=https;host=evil.example",
        "X-Client-IP: 203.0.113.9",
        "True-Client-IP: 203.0.113.9",
        "CF-Connecting-IP: 203.0.113.9",
        "X_Forwarded_For: 203.0.113.9",
        "X-Forwarded-For: ' OR 1=1",
    ],
    ids=lambda line: line.partition(",")[0],
)
def test_nobody_but_a_proxy_of_ours_says_where_a_client_is(attack: Attack, arena: Arena, line: str) -> None:
    answer = attack.request("GET", "/livez", line, "X-Forwarded-Proto: https")
    assert "strict-transport-security" not in answer.headers
    (server,), request_id = arena.servers, answer.headers["x-request-id"]
    wait_until(lambda: server.access_lines(request_id))
    assert [access["client"] for access in server.access_lines(request_id)] == ["127.0.0.1"]


@pytest.mark.parametrize(
    "line",
    [
        "X-Forwarded-For: 203.0.113.9",
        "Forwarded: for=203.0.113.9",
    ],
    ids=["X-Forwarded-For", "Forwarded"],
)
def test_a_session_remembers_no_address_that_its_client_made_up(attack: Attack, arena: Arena, line: str) -> None:
    ann = attack.signed_in()
    with attack.arranged():
        token = f"Authorization: Bearer {ann.refresh_token}"
        assert attack.request("POST", "/api/auth/refresh", line, token).status == 200
    assert arena.database.execute("SELECT host(ip) FROM sessions WHERE user_id = $1", ann.id) == "127.0.0.1"


HOSTS = {
    "another": EVIL,
    "with a port": f"{EVIL}:80",
    "a port of no kind": f"{EVIL}:99999",
    "a port of words": "a:b",
    "with a user": f"a@{EVIL}",
    "with a path": f"{EVIL}/x",
    "with a query": f"{EVIL}?x",
    "a list": f"a, {EVIL}",
    "empty": "",
    "brackets": "[::1",
    "an address": "[::1]:80",
    "not ASCII": "\u00e4.example",
    "markup": "<script>",
    "SQL": "' OR 1=1",
    "a space": "a b",
    "dots": "..",
    "5 KB": "a" * 5000,
}


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS.keys())
def test_a_host_is_never_repeated(attack: Attack, host: str) -> None:
    """Links are paths, so that no answer, kept by a cache or not, leads to a host that a client named."""
    for target in ("/", "/api/users/", "/nowhere", "/problems/not-found"):
        connection = attack.connect()
        answer = connection.send(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1")).answer()
        assert answer.status in (200, 400, 401, 404)
        said = answer.body.decode() + str(answer.headers)
        assert len(host) < 9 or host not in said


@pytest.mark.parametrize(
    "lines",
    [
        [f"X-Forwarded-Host: {EVIL}"],
        [f"X-Forwarded-Server: {EVIL}"],
        [f"Forwarded: host={EVIL}"],
        ["X-Forwarded-Prefix: //evil.example"],
        ["X-Script-Name: //evil.example", "Script-Name: //evil.example"],
        ["X-Forwarded-Proto: javascript"],
        ["X-Forwarded-Port: 1"],
        [f"Origin: https://{EVIL}", f"Referer: https://{EVIL}/"],
    ],
    ids=lambda lines: lines[0].partition(":")[0],
)
def test_where_a_new_account_is_said_to_be_is_a_path(attack: Attack, lines: list[str]) -> None:
    body = b'{"username": "located", "email": "located@example.com", "password": "a fine password"}'
    with attack.arranged():
        answer = attack.request("POST", "/api/users/", "Content-Type: application/json", *lines, body=body)
    attack.sql("DELETE FROM users WHERE username = 'located'")
    assert answer.headers["location"] == f"/api/users/{answer.json()['id']}"
    assert EVIL not in str(answer.headers)
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("origin", [f"https://{EVIL}", "null", "http://127.0.0.1", "*", "https://a\u00e4"], ids=ascii)
def test_no_origin_is_let_in_unless_it_is_on_the_list(attack: Attack, origin: str) -> None:
    asked = [f"Origin: {origin}", "Access-Control-Request-Method: DELETE", "Access-Control-Request-Headers: x"]
    for method in ("GET", "OPTIONS"):
        answer = attack.request(method, "/api/auth/me", *asked)
        assert not [name for name in answer.headers if name == "access-control-allow-origin"]


@pytest.mark.parametrize(
    "request_id",
    [
        "short",
        "a" * 65,
        "with space in it",
        "<script>alert(1)</script>",
        "\u00e4\u00f6\u00fc\u00e4\u00f6\u00fc\u00e4\u00f6",
        "a" * 8 + "\t" + "b" * 8,
        "../../etc/passwd",
        '{"level":"error"}',
    ],
    ids=["short", "long", "spaces", "markup", "not ASCII", "a tab", "a path", "JSON"],
)
def test_a_request_id_of_another_form_is_replaced(attack: Attack, request_id: str) -> None:
    answer = attack.request("GET", "/nowhere", f"X-Request-ID: {request_id}")
    assert answer.headers["x-request-id"] != request_id
    assert request_id.encode() not in answer.body


@pytest.mark.parametrize(
    "agent",
    ["Mozilla' OR 1=1 --", "a" * 10_000, "\u00ff" * 300, "${jndi:ldap://127.0.0.1:9/x}", "%s%n%x"],
    ids=["SQL", "10 KB", "not ASCII", "a lookup", "a format"],
)
def test_whatever_a_client_calls_itself_it_may_log_in(attack: Attack, agent: str) -> None:
    ann = attack.signed_in()
    attack.may_change("sessions")
    answer = attack.request(
        "POST", "/api/auth/refresh", f"User-Agent: {agent}", f"Authorization: Bearer {ann.refresh_token}"
    )
    assert answer.status == 200


@pytest.mark.parametrize("query", ["page=%ff", "page=%00", "%ff=1"])
def test_who_has_no_token_is_told_so_before_the_query_is_read(attack: Attack, query: str) -> None:
    """The contract's order: 401, then what is malformed."""
    assert_refused(attack.request("GET", f"/api/users/?{query}"), 401, "TOKEN_MISSING")


def test_a_path_that_is_none_is_not_found_whatever_the_headers(attack: Attack) -> None:
    """The contract's order: 404, then what is malformed."""
    answer = attack.request("GET", "/nowhere", "Authorization: Bearer a", "Authorization: Bearer b")
    assert_refused(answer, 404, "NOT_FOUND")


def test_another_media_type_is_refused_before_two_tokens_are(attack: Attack) -> None:
    """The contract's order: 415, then what is malformed."""
    lines = ["Authorization: Bearer a", "Authorization: Bearer b", "Content-Type: text/plain"]
    assert_refused(attack.request("POST", "/api/auth/login", *lines, body=b"x"), 415, "UNSUPPORTED_MEDIA_TYPE")
