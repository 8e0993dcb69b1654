"""OAuth's form of a request for tokens, with whatever a form can hold."""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from tests.support.accounts import PASSWORD, Account
from tests.support.attacks import Arena, Attack, attacking
from tests.support.forgery import Forge, Forgery, decoded
from tests.support.sockets import Answer

TOKEN = "/api/auth/token"
FORM = "application/x-www-form-urlencoded"
DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5B\x5D-\x7E]+")  # RFC 6749 §5.2
NOT_RIGHT = "certainly not this"


@pytest.fixture
def attack(arena: Arena) -> Iterator[Attack]:
    with attacking(arena) as attack:
        yield attack
        for seen in attack.seen:
            assert seen.answer.headers["cache-control"] == "no-store", seen


@pytest.fixture(scope="module")
def victim(arena: Arena) -> Account:
    """Somebody with a session, to which nothing happens in these cases."""
    with attacking(arena) as attack:
        return attack.signed_in()


def post(
    attack: Attack, form: bytes | dict[str, str], *lines: str, content_type: str = FORM, target: str = TOKEN
) -> Answer:
    """Send a form, or what is none as it is."""
    body = form if isinstance(form, bytes) else urlencode(form).encode()
    return attack.request("POST", target, f"Content-Type: {content_type}", *lines, body=body)


def good(account: Account, **more: str) -> dict[str, str]:
    return {"grant_type": "password", "username": account.username, "password": PASSWORD} | more


def assert_refused(answer: Answer, error: str) -> None:
    assert (answer.status, answer.json()["error"]) == (400, error), answer
    assert answer.json().keys() == {"error", "error_description"}
    assert DESCRIPTION.fullmatch(answer.json()["error_description"])
    assert "www-authenticate" not in answer.headers


def assert_problem(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.json()["code"]) == (status, code), answer


def assert_pair_of(answer: Answer, account: Account) -> None:
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["pragma"] == "no-cache"
    document = answer.json()
    assert document.keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (document["token_type"], document["expires_in"]) == ("Bearer", 900)
    assert decoded(document["access_token"].split(".")[1])["sub"] == str(account.id)


# Grants


@pytest.mark.parametrize(
    "grant",
    [
        *("client_credentials", "authorization_code", "implicit", "none", "null"),
        *("urn:ietf:params:oauth:grant-type:jwt-bearer", "urn:ietf:params:oauth:grant-type:token-exchange"),
        *("PASSWORD", "Password", "password ", " password", "password\r\n", "password,refresh_token"),
        *("password refresh_token", "refresh-token", "refresh_token\t", "\uff50assword", "pa\u017f\u017fword"),
        *("' OR '1'='1", "__class__", "get", "{{7*7}}", "../password", "x" * 100_000),
    ],
    ids=lambda grant: ascii(grant)[:30],
)
def test_another_grant_is_not_supported(attack: Attack, victim: Account, grant: str) -> None:
    form = good(victim, grant_type=grant, refresh_token=victim.refresh_token)
    assert_refused(post(attack, form), "unsupported_grant_type")


@pytest.mark.parametrize("left_out", ["grant_type", "username", "password"])
@pytest.mark.parametrize("how", ["missing", "empty", "in another case", "with a blank", "as a list"])
def test_a_form_without_one_of_its_parameters_is_invalid(
    attack: Attack, victim: Account, left_out: str, how: str
) -> None:
    form = good(victim)
    value = form.pop(left_out)
    form |= {
        "missing": {},
        "empty": {left_out: ""},
        "in another case": {left_out.upper(): value},
        "with a blank": {left_out + " ": value},
        "as a list": {left_out + "[]": value},
    }[how]
    assert_refused(post(attack, form), "invalid_request")


@pytest.mark.parametrize(
    "form",
    [
        {"grant_type": "password", "refresh_token": "REFRESH"},
        {"grant_type": "refresh_token", "username": "USERNAME", "password": PASSWORD},
        {"grant_type": "refresh_token", "access_token": "ACCESS"},
        {"grant_type": "refresh_token", "token": "REFRESH"},
    ],
    ids=["password by refresh token", "refresh token by password", "access_token", "token"],
)
def test_what_belongs_to_another_grant_is_not_looked_at(attack: Attack, victim: Account, form: dict[str, str]) -> None:
    has = {"REFRESH": victim.refresh_token, "ACCESS": victim.access_token, "USERNAME": victim.username}
    attack.keeps_secret(victim.refresh_token, victim.access_token)
    assert_refused(post(attack, {name: has.get(value, value) for name, value in form.items()}), "invalid_request")


@pytest.mark.parametrize("grant", ["password", "refresh_token"])
@pytest.mark.parametrize(
    "more",
    [
        {"client_id": "admin", "client_secret": "secret-of-a-client"},
        {"scope": "admin openid *"},
        {"role": "admin", "is_active": "false"},
        {"sub": "1", "user_id": "1", "id": "1", "sid": "00000000-0000-0000-0000-000000000000"},
        {"expires_in": "1000000000", "exp": "99999999999"},
        {"audience": "x", "resource": "https://example.com", "assertion": "x.y.z"},
        {"redirect_uri": "https://evil.example", "callback": "alert"},
        {"__proto__": "x", "": "x", "a[b]": "x", "x" * 1000: "x"},
    ],
    ids=["client", "scope", "role", "whose", "lifetime", "audience", "redirect", "odd names"],
)
def test_parameters_that_are_not_known_change_nothing(attack: Attack, grant: str, more: dict[str, str]) -> None:
    ann = attack.signed_in()
    form = good(ann) if grant == "password" else {"grant_type": grant, "refresh_token": ann.refresh_token}
    with attack.arranged():
        answer = post(attack, form | more)
    assert_pair_of(answer, ann)
    token = answer.json()["access_token"]
    assert_problem(attack.call("GET", "/api/auth/admin-only", token=token), 403, "ADMIN_REQUIRED")


# Who


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("' OR '1'='1", "' OR '1'='1"),
        ("witness'--", PASSWORD),
        ("witness'; DROP TABLE users; --", PASSWORD),
        ("witness' UNION SELECT 1, 'x' --", PASSWORD),
        ("witnes%", PASSWORD),
        ("w_tness", PASSWORD),
        ("%@example.com", PASSWORD),
        ("witness\\", PASSWORD),
        ("witness\u200b", PASSWORD),
        ("\u202ewitness", PASSWORD),
        ("witness@", PASSWORD),
        ("@witness", PASSWORD),
        ("witness@example.com@example.com", PASSWORD),
        ("witness,other", PASSWORD),
        ("1", PASSWORD),
        ("user:1", PASSWORD),
        ("*)(uid=*))(|(uid=*", PASSWORD),
        ("$(id)", "`id`"),
        ("{{7*7}}", "${7*7}"),
        ("witness", "' OR '1'='1"),
        ("witness", PASSWORD.upper()),
        ("witness", PASSWORD + " "),
        ("witness", " " + PASSWORD),
        ("witness", PASSWORD[:-1]),
        ("witness", PASSWORD.replace(" ", "\u00a0")),
        ("witness", PASSWORD.replace(" ", "+")),
        ("witness", quote(PASSWORD)),
        ("witness\r\nX-Injected: 1", PASSWORD),
        ("witness", PASSWORD + "\r\nX-Injected: 1"),
        ('witness\n{"level": "error", "logger": "postern"}', PASSWORD),
        ("\ufdfa" * 20_000, PASSWORD),
        ("a\u0301" * 20_000, PASSWORD),
        ("x" * 900_000, PASSWORD),
        ("witness", "x" * 900_000),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_other_words_are_refused_like_any(attack: Attack, username: str, password: str) -> None:
    answer = post(attack, {"grant_type": "password", "username": username, "password": password})
    assert_refused(answer, "invalid_grant")
    assert answer.json()["error_description"] == "Invalid credentials"
    assert not {"x-injected", "set-cookie", "location"} & answer.headers.keys()


def test_unknown_and_wrong_are_answered_alike_to_the_byte(attack: Attack) -> None:
    def said(username: str) -> tuple[int, dict[str, str], bytes]:
        answer = post(attack, {"grant_type": "password", "username": username, "password": NOT_RIGHT})
        headers = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "date")}
        return answer.status, headers, answer.body

    known, disabled = attack.member(), attack.member(is_active=False)
    names = ["nobody", "nobody@example.com", "no name at all", "x" * 500, "x@" * 500]
    names += [account.username for account in (known, disabled)] + [account.email for account in (known, disabled)]
    answers = [said(name) for name in names]
    assert answers[0][0] == 400
    assert answers == [answers[0]] * len(names)


def test_a_disabled_account_is_an_invalid_grant(attack: Attack) -> None:
    ann = attack.member(is_active=False)
    assert_refused(post(attack, good(ann)), "invalid_grant")
    assert_refused(post(attack, good(ann, username=ann.email)), "invalid_grant")


# Forms


@pytest.mark.parametrize("place", ["grant_type", "username", "password", "scope"])
@pytest.mark.parametrize(
    "text",
    [b"%00", b"a%00b", b"%ff", b"%c0%80", b"%c1%a1", b"%ed%a0%80", b"%f4%90%80%80", b"%e2%82", b"\xff", b"\x00"],
    ids=["NUL", "NUL within", "FF", "long NUL", "long a", "surrogate", "past Unicode", "cut", "raw FF", "raw NUL"],
)
def test_text_that_can_not_be_is_an_invalid_request(attack: Attack, victim: Account, place: str, text: bytes) -> None:
    form = {name: value.encode() for name, value in good(victim).items()} | {place: text}
    body = b"&".join(name.encode() + b"=" + value.replace(b" ", b"+") for name, value in form.items())
    assert_refused(post(attack, body), "invalid_request")


@pytest.mark.parametrize("name", ["us%ffername", "%c0%80", "x%ed%a0%80"], ids=["FF", "long NUL", "surrogate"])
def test_a_name_that_can_not_be_is_an_invalid_request(attack: Attack, victim: Account, name: str) -> None:
    assert_refused(post(attack, f"{urlencode(good(victim))}&{name}=x".encode()), "invalid_request")


@pytest.mark.parametrize("name", ["%00", "username%00", "x%00y"])
def test_a_name_with_a_nul_is_an_invalid_request(attack: Attack, victim: Account, name: str) -> None:
    assert_refused(post(attack, f"{urlencode(good(victim, password=NOT_RIGHT))}&{name}=x".encode()), "invalid_request")


@pytest.mark.parametrize("text", ["%", "%z", "%zz", "%u0041", "%%", "%0"], ids=ascii)
def test_half_an_escape_is_only_text(attack: Attack, victim: Account, text: str) -> None:
    body = urlencode(good(victim)) + text
    assert_refused(post(attack, body.encode()), "invalid_grant")


@pytest.mark.parametrize("name", ["grant_type", "username", "password"])
@pytest.mark.parametrize("order", ["before", "behind"])
@pytest.mark.parametrize("same", [True, False], ids=["the same value", "another value"])
def test_a_parameter_that_is_repeated_is_an_invalid_request(
    attack: Attack, victim: Account, name: str, order: str, same: bool
) -> None:
    form = urlencode(good(victim))
    again = urlencode({name: good(victim)[name] if same else "something else"})
    body = f"{again}&{form}" if order == "before" else f"{form}&{again}"
    assert_refused(post(attack, body.encode()), "invalid_request")


def test_a_name_that_is_escaped_is_the_same_name(attack: Attack, victim: Account) -> None:
    body = urlencode(good(victim)) + "&%75sername=somebody"
    assert_refused(post(attack, body.encode()), "invalid_request")


@pytest.mark.parametrize(
    "filler", ["a{0}=x", "a{0}=", "", "a", "="], ids=["x", "no value", "nothing", "no =", "no name"]
)
@pytest.mark.parametrize("fields", [51, 1_000, 100_000], ids=["51", "1,000", "100,000"])
def test_a_form_of_many_fields_is_an_invalid_request(attack: Attack, victim: Account, filler: str, fields: int) -> None:
    fillers = [filler.format(number) for number in range(fields - 3)]
    assert_refused(post(attack, "&".join([urlencode(good(victim)), *fillers]).encode()), "invalid_request")


def test_a_form_of_fifty_fields_is_read(attack: Attack, victim: Account) -> None:
    form = good(victim, password=NOT_RIGHT) | {f"a{number}": "x" for number in range(47)}
    assert len(form) == 50
    assert_refused(post(attack, form), "invalid_grant")


@pytest.mark.parametrize("size", [2**20 + 1, 2**20 + 100_000, 3 * 2**20], ids=["a byte more", "100 kB more", "3 MiB"])
def test_a_huge_form_is_a_problem(attack: Attack, victim: Account, size: int) -> None:
    body = urlencode(good(victim)).encode() + b"&scope="
    assert_problem(post(attack, body + b"x" * (size - len(body))), 413, "PAYLOAD_TOO_LARGE")


def test_a_form_just_within_the_limit_is_read(attack: Attack, victim: Account) -> None:
    body = urlencode(good(victim, password=NOT_RIGHT)).encode() + b"&scope="
    assert_refused(post(attack, body + b"x" * (2**20 - len(body))), "invalid_grant")


@pytest.mark.parametrize("separator", [";", "\n", "\r\n", "%26", "\0", ","], ids=ascii)
def test_nothing_but_an_ampersand_parts_a_form(attack: Attack, victim: Account, separator: str) -> None:
    answer = post(attack, urlencode(good(victim)).replace("&", separator).encode())
    assert_refused(answer, "invalid_request" if separator == "\0" else "unsupported_grant_type")


MULTIPART = (
    b'--x\r\nContent-Disposition: form-data; name="grant_type"\r\n\r\npassword\r\n'
    b'--x\r\nContent-Disposition: form-data; name="username"\r\n\r\nwitness\r\n'
    b'--x\r\nContent-Disposition: form-data; name="password"\r\n\r\n' + PASSWORD.encode() + b"\r\n--x--\r\n"
)
JSON = b'{"grant_type": "password", "username": "witness", "password": "correct horse battery"}'
PLAIN = b"grant_type=password&username=witness&password=correct+horse+battery"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (JSON, "application/json"),
        (JSON, FORM),
        (MULTIPART, "multipart/form-data; boundary=x"),
        (MULTIPART, FORM),
        (PLAIN, "application/json"),
        (PLAIN, "multipart/form-data; boundary=x"),
        (PLAIN, "text/plain"),
        (PLAIN, ""),
        (PLAIN, "application/x-www-form-urlencoded-not"),
        (PLAIN, "text/plain, application/x-www-form-urlencoded"),
        (PLAIN.decode().encode("utf-16"), FORM + "; charset=utf-16"),
        (PLAIN.decode().encode("utf-8-sig"), FORM),
        (b"[" * 100_000, FORM),
        (b"", FORM),
        (b"&" * 49, FORM),
        (b"=" * 100, FORM),
    ],
    ids=[
        *("JSON", "JSON as a form", "multipart", "multipart as a form", "a form as JSON", "a form as multipart"),
        *("a form as text", "no type", "nearly the type", "two types", "UTF-16", "a BOM"),
        *("brackets", "nothing", "ampersands", "equals signs"),
    ],
)
def test_what_is_no_form_is_an_invalid_request(attack: Attack, body: bytes, content_type: str) -> None:
    assert_refused(post(attack, body, content_type=content_type), "invalid_request")


def test_a_form_that_would_unpack_to_much_is_not_unpacked(attack: Attack) -> None:
    body = gzip.compress(PLAIN + b"&scope=" + b"x" * 10_000_000)
    answer = post(attack, body, "Content-Encoding: gzip")
    assert answer.status in (400, 415)


# Credentials elsewhere

BASIC = base64.b64encode(f"witness:{PASSWORD}".encode()).decode()
GRANT = {"grant_type": "password"}


@pytest.mark.parametrize("form", [{}, GRANT, GRANT | {"username": "witness"}], ids=["nothing", "grant", "name"])
@pytest.mark.parametrize(
    ("target", "line"),
    [
        (TOKEN + "?" + PLAIN.decode(), "X-Nothing: 1"),
        (TOKEN, f"Authorization: Basic {BASIC}"),
        (TOKEN, "Cookie: username=witness; password=" + quote(PASSWORD)),
        (TOKEN, "X-Password: " + PASSWORD),
    ],
    ids=["query", "Basic", "cookie", "own header"],
)
def test_credentials_elsewhere_are_not_used(attack: Attack, form: dict[str, str], target: str, line: str) -> None:
    attack.keeps_secret(BASIC)
    assert_refused(post(attack, form, line, target=target), "invalid_request")


@pytest.mark.parametrize(
    "line",
    [
        f"Authorization: Basic {BASIC}",
        "Authorization: Basic !!!",
        "Authorization: Basic",
        "Authorization: Bearer x.y.z",
        "Authorization: ,",
        "Authorization:",
    ],
)
def test_client_authentication_changes_nothing(attack: Attack, victim: Account, line: str) -> None:
    assert_refused(post(attack, good(victim, password=NOT_RIGHT), line), "invalid_grant")
    with attack.arranged():
        assert_pair_of(post(attack, good(victim), line), victim)


# Refresh tokens

OTHER_KEY = b"somebody-elses-0123456789-abcdefghijklmnopqr"
FORGERIES: dict[str, Forgery] = {
    "access token": lambda f: f.other,
    "another key": lambda f: f.with_header(key=OTHER_KEY),
    "alg none": lambda f: f.with_header(alg="none", key=b""),
    "no signature": lambda f: f.token.rpartition(".")[0] + ".",
    "claims of another user": lambda f: f"{f.segments()[0]}.{f.stranger.split('.')[1]}.{f.segments()[2]}",
    "another user's id": lambda f: f.with_claims(sub=decoded(f.stranger.split(".")[1])["sub"]),
    "another user's session": lambda f: f.with_claims(sid=decoded(f.stranger.split(".")[1])["sid"]),
    "expired": lambda f: f.with_times(iat=-100, nbf=-100, exp=-1),
    "of the future": lambda f: f.with_times(iat=3_600, nbf=3_600, exp=7_200),
    "of another issuer": lambda f: f.with_claims(iss="other"),
    "of another audience": lambda f: f.with_claims(aud="other"),
    "session unknown": lambda f: f.with_claims(sid="00000000-0000-4000-8000-000000000000"),
    "user unknown": lambda f: f.with_claims(sub=str(2**63 - 1)),
    "user past all": lambda f: f.with_claims(sub=str(2**63)),
    "session no id": lambda f: f.with_claims(sid="' OR '1'='1"),
    "words": lambda f: "not a token",
    "dots": lambda f: "..",
    "over 4 KiB": lambda f: "x" * 5_000,
    "very long": lambda f: f.token + "x" * 900_000,
    "with a scheme": lambda f: "Bearer " + f.token,
    "with a newline": lambda f: f.token + "\r\n",
    "with a blank before": lambda f: " " + f.token,
    "two": lambda f: f.token + "," + f.token,
    "quoted": lambda f: f'"{f.token}"',
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
def test_what_is_no_refresh_token_in_force_is_an_invalid_grant(
    attack: Attack, victim: Account, forgery: Forgery
) -> None:
    stranger = attack.signed_in()
    forge = Forge(victim.refresh_token, victim.access_token, stranger.refresh_token)
    form = {"grant_type": "refresh_token", "refresh_token": forgery(forge)}
    assert_refused(post(attack, form), "invalid_grant")


@pytest.mark.parametrize("text", [b"%00", b"%ff", b"%ed%a0%80"], ids=["NUL", "FF", "surrogate"])
def test_a_refresh_token_of_text_that_can_not_be_is_an_invalid_request(
    attack: Attack, victim: Account, text: bytes
) -> None:
    body = b"grant_type=refresh_token&refresh_token=" + victim.refresh_token.encode() + text
    assert_refused(post(attack, body), "invalid_request")


def test_a_refresh_token_sent_twice_is_not_exchanged(attack: Attack, victim: Account) -> None:
    body = f"grant_type=refresh_token&refresh_token={victim.refresh_token}&refresh_token={victim.refresh_token}"
    assert_refused(post(attack, body.encode()), "invalid_request")


def test_a_refresh_token_in_the_header_is_not_looked_at(attack: Attack, victim: Account) -> None:
    line = f"Authorization: Bearer {victim.refresh_token}"
    assert_refused(post(attack, {"grant_type": "refresh_token"}, line), "invalid_request")


# Problems, as anywhere


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "PROPFIND", "TRACE"])
def test_another_method_is_a_problem(attack: Attack, method: str) -> None:
    answer = attack.request(method, TOKEN + "?" + PLAIN.decode())
    assert answer.status == 405
    assert "POST" in answer.headers["allow"]
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "application/json;q=0", "*/*;q=0"])
def test_who_accepts_no_json_gets_a_problem_and_no_session(attack: Attack, victim: Account, accept: str) -> None:
    assert_problem(post(attack, good(victim), f"Accept: {accept}"), 406, "NOT_ACCEPTABLE")


@pytest.mark.parametrize("path", ["/api/auth/token/", "/api/auth/TOKEN", "/api/auth/token%00", "/api/auth/token;x=1"])
def test_a_path_beside_it_is_none(attack: Attack, victim: Account, path: str) -> None:
    answer: Any = post(attack, good(victim), target=path)
    assert answer.status in (400, 404)
    assert b'"access_token"' not in answer.body
