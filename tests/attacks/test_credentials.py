"""Logging in and registering with what nobody means well."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support.accounts import PASSWORD, Account
from tests.support.attacks import Arena, Attack, attacking
from tests.support.sockets import Answer

JSON = "Content-Type: application/json"
LONG_PASSWORD = "a very long password indeed "
NEW = {"username": "newcomer", "email": "newcomer@example.com", "password": "a fine password"}
OTHERS: dict[str, Any] = {
    "null": None,
    "true": True,
    "a number": 7,
    "a fraction": 1.5,
    "a list": ["a fine password"],
    "an object": {"$ne": None},
    "an empty list": [],
}


@pytest.fixture(scope="module")
def taken(arena: Arena) -> Account:
    """An account whose names can be written in many ways."""
    with attacking(arena) as attack:
        user_id = attack.sql(
            "INSERT INTO users (username, email, password_hash)"
            " VALUES ('FirstStrasse1', 'first.k@strasse.example', 'x') RETURNING id"
        )
    return Account(user_id, "FirstStrasse1", "first.k@strasse.example")


def register(attack: Attack, **members: Any) -> Answer:
    return attack.call("POST", "/api/users/", NEW | members)


def log_in(attack: Attack, email: object, password: object) -> Answer:
    return attack.call("POST", "/api/auth/login", {"email": email, "password": password})


def assert_invalid(answer: Answer, *pointers: str) -> None:
    assert (answer.status, answer.json()["code"]) == (400, "VALIDATION_ERROR"), answer
    assert {fault["pointer"] for fault in answer.json()["errors"]} == set(pointers), answer


def assert_refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.json()["code"]) == (status, code), answer


# Logging in


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("' OR '1'='1", "' OR '1'='1"),
        ("witness@example.com'--", "x"),
        ("witness@example.com' OR 1=1; DROP TABLE users; --", PASSWORD),
        ('" OR ""="', '" OR ""="'),
        ("%@example.com", PASSWORD),
        ("w_tness@example.com", PASSWORD),
        ("witness@example.com", "' OR '1'='1"),
        ("witness@example.com", "%"),
        ("witness@example.com", PASSWORD.upper()),
        ("witness@example.com", PASSWORD + " "),
        ("witness@example.com", " " + PASSWORD),
        ("witness@example.com", PASSWORD[:-1]),
        ("witness@example.com", PASSWORD.replace(" ", "\u00a0")),
        ("witness", PASSWORD),
        ("*)(uid=*))(|(uid=*", PASSWORD),
        ("$(id)@example.com", "`id`"),
        ("{{7*7}}@example.com", "${7*7}"),
        ("../../etc/passwd", "x"),
        ("witness@example.com\u200b", PASSWORD),
        ("\u202ewitness@example.com", PASSWORD),
        ("witness@example.com\u034f", PASSWORD),
        ("a" * 121 + "@example.com", PASSWORD),
        ("\ufdfa" * 100_000, PASSWORD),
        ("witness@example.com\r\nX-Injected: 1", PASSWORD),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_login_with_other_words_is_refused_like_any(attack: Attack, email: str, password: str) -> None:
    assert_refused(log_in(attack, email, password), 401, "INVALID_CREDENTIALS")


@pytest.mark.parametrize("length", [129, 5_000, 500_000], ids=["129 characters", "5,000", "500,000"])
def test_a_long_password_is_checked_and_wrong(attack: Attack, length: int) -> None:
    password = (LONG_PASSWORD * (length // len(LONG_PASSWORD) + 1))[:length]
    assert_refused(log_in(attack, "witness@example.com", password), 401, "INVALID_CREDENTIALS")


def test_a_body_just_within_the_limit_is_read(attack: Attack) -> None:
    document = json.dumps({"email": "witness@example.com", "password": "x" * 2**20})
    body = (document[: 2**20 - 2] + '"}').encode()
    answer = attack.request("POST", "/api/auth/login", JSON, body=body)
    assert len(body) == 2**20
    assert_refused(answer, 401, "INVALID_CREDENTIALS")


def test_a_body_just_over_the_limit_is_not_read(attack: Attack) -> None:
    document = json.dumps({"email": "witness@example.com", "password": "x" * 2**20})
    body = (document[: 2**20 - 1] + '"}').encode()
    answer = attack.request("POST", "/api/auth/login", JSON, body=body)
    assert len(body) == 2**20 + 1
    assert_refused(answer, 413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("member", ["email", "password"])
@pytest.mark.parametrize("value", OTHERS.values(), ids=OTHERS.keys())
def test_a_login_with_another_type_is_invalid(attack: Attack, member: str, value: Any) -> None:
    document = {"email": "witness@example.com", "password": PASSWORD} | {member: value}
    assert_invalid(attack.call("POST", "/api/auth/login", document), f"/{member}")


@pytest.mark.parametrize("member", ["email", "password"])
@pytest.mark.parametrize("blank", [None, ""], ids=["missing", "empty"])
def test_a_login_without_one_of_its_fields_says_so(attack: Attack, member: str, blank: str | None) -> None:
    document = {"email": "witness@example.com", "password": PASSWORD} | {member: blank}
    if blank is None:
        del document[member]
    answer = attack.call("POST", "/api/auth/login", document)
    assert_invalid(answer, f"/{member}")
    assert answer.json()["title"] == "Email and password required"


@pytest.mark.parametrize(
    "extra",
    [
        {"username": "witness"},
        {"role": "admin"},
        {"user_id": 1},
        {"expires_in": 10**9},
        {"__proto__": {"role": "admin"}},
        {"": ""},
        {"Email": "witness@example.com"},
        {"password ": "x"},
    ],
    ids=["username", "role", "user_id", "expires_in", "__proto__", "no name", "another case", "a space"],
)
def test_a_login_with_more_members_is_invalid(attack: Attack, extra: dict[str, Any]) -> None:
    document = {"email": "witness@example.com", "password": PASSWORD} | extra
    assert_invalid(attack.call("POST", "/api/auth/login", document), *[f"/{name}" for name in extra])


@pytest.mark.parametrize("member", ["email", "password"])
@pytest.mark.parametrize(
    ("text", "code"),
    [("witness@example.com\0", "VALIDATION_ERROR"), ("\ud800witness@example.com", "MALFORMED_REQUEST")],
    ids=["NUL", "a lone surrogate"],
)
def test_text_that_can_not_be_is_refused_at_login(attack: Attack, member: str, text: str, code: str) -> None:
    document = {"email": "witness@example.com", "password": PASSWORD} | {member: text}
    assert_refused(attack.call("POST", "/api/auth/login", document), 400, code)


def test_an_unknown_email_and_a_wrong_password_are_answered_alike(attack: Attack) -> None:
    def said(answer: Answer) -> tuple[int, dict[str, str], bytes]:
        request_id = answer.headers["x-request-id"]
        headers = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "date")}
        return answer.status, headers, answer.body.replace(request_id.encode(), b"")

    disabled = attack.member(is_active=False)
    emails = ["nobody@example.com", "witness@example.com", "no email at all", "x" * 500, disabled.email]
    answers = [said(log_in(attack, email, "certainly not this")) for email in emails]
    assert answers[0][0] == 401
    assert answers == [answers[0]] * len(emails)


def test_a_login_is_no_login_for_whom_it_is_not(attack: Attack, arena: Arena) -> None:
    """The email may be written in any case; the session is of that one account."""
    attack.may_change("sessions")
    answer = log_in(attack, " WITNESS@Example.COM\t", PASSWORD)
    assert (answer.status, answer.json()["user"]["id"]) == (200, arena.witness.id)
    assert b"argon2" not in answer.body
    assert answer.headers["cache-control"] == "no-store"


# Registering


@pytest.mark.parametrize(
    "extra",
    [
        {"role": "admin"},
        {"is_active": True},
        {"is_active": False},
        {"id": 1},
        {"password_hash": "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"},
        {"username_key": "witness"},
        {"created_at": "1970-01-01T00:00:00Z"},
        {"is_admin": True},
        {"__proto__": {"role": "admin"}},
        {"constructor": {"prototype": {"role": "admin"}}},
        {"__class__": "x"},
        {"roles": ["admin"]},
        {"user": {"role": "admin"}},
    ],
    ids=lambda extra: "-".join(f"{name} {type(value).__name__}" for name, value in extra.items()),
)
def test_a_registration_with_more_members_is_invalid(attack: Attack, extra: dict[str, Any]) -> None:
    answer = register(attack, **extra)
    assert_invalid(answer, *[f"/{name}" for name in extra])


@pytest.mark.parametrize("member", ["username", "email", "password"])
@pytest.mark.parametrize("value", OTHERS.values(), ids=OTHERS.keys())
def test_a_registration_with_another_type_is_invalid(attack: Attack, member: str, value: Any) -> None:
    assert_invalid(register(attack, **{member: value}), f"/{member}")


@pytest.mark.parametrize("member", ["username", "email", "password"])
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("new\0comer@example.com", "VALIDATION_ERROR"),
        ("new\ud800comer@example.com", "MALFORMED_REQUEST"),
        ("newcomer@example.com\udfff", "MALFORMED_REQUEST"),
    ],
    ids=["NUL", "a high surrogate", "a low surrogate"],
)
def test_text_that_can_not_be_is_refused_at_registration(attack: Attack, member: str, text: str, code: str) -> None:
    assert_refused(register(attack, **{member: text}), 400, code)


@pytest.mark.parametrize("length", [0, 7, 129, 1000, 1_000_000])
def test_a_password_of_another_length_is_invalid(attack: Attack, length: int) -> None:
    answer = register(attack, password=(LONG_PASSWORD * (length // 28 + 1))[:length])
    assert_invalid(answer, "/password")
    assert LONG_PASSWORD.strip().encode() not in answer.body


NAMES = {
    "empty": "",
    "two characters": "ab",
    "81 characters": "a" * 81,
    "a million": "a" * 1_000_000,
    "SQL": "x'; DROP TABLE users; --",
    "markup": "<script>alert(1)</script>",
    "a template": "{{7*7}}",
    "a path": "../../etc/passwd",
    "a space": "ad min",
    "spaces around": " newcomer ",
    "a tab": "new\tcomer",
    "a newline": "newcomer\n",
    "CRLF": "newcomer\r\nSet-Cookie: x=1",
    "only marks": "\u0301\u0301\u0301\u0301",
    "many accents": "a" + "\u0301" * 300,
    "zero width space": "wit\u200bness",
    "zero width joiner": "wit\u200dness",
    "word joiner": "wit\u2060ness",
    "byte order mark": "\ufeffwitness",
    "soft hyphen": "wit\u00adness",
    "right-to-left override": "\u202essentiw",
    "isolate": "\u2066witness\u2069",
    "grapheme joiner": "wit\u034fness",
    "variation selector": "witness\ufe0f",
    "variation selector 17": "witness\U000e0100",
    "a tag": "witness\U000e0041",
    "Hangul filler": "wit\u3164ness",
    "half-width Hangul filler": "wit\uffa0ness",
    "Hangul choseong filler": "wit\u115fness",
    "Hangul jungseong filler": "wit\u1160ness",
    "blank Braille": "wit\u2800ness",
    "no-break space": "wit\u00a0ness",
    "ideographic space": "wit\u3000ness",
    "Mongolian vowel separator": "wit\u180eness",
    "Khmer inherent vowel": "wit\u17b4ness",
    "a private character": "wit\ue000ness",
    "not assigned": "wit\u0378ness",
    "no character": "wit\uffffness",
    "replacement character": "wit\ufffdness",
    "emoji": "witness\U0001f600",
    "circled": "\u24e6\u24d8\u24e3\u24dd\u24d4\u24e2\u24e2",
}


@pytest.mark.parametrize("username", NAMES.values(), ids=NAMES.keys())
def test_a_username_that_is_none_is_invalid(attack: Attack, username: str) -> None:
    assert_invalid(register(attack, username=username), "/username")


EMAILS = {
    "empty": "",
    "no at": "newcomer",
    "no domain": "newcomer@",
    "no dot": "newcomer@localhost",
    "nothing before the at": "@example.com",
    "two ats": "new@comer@example.com",
    "a dot at the end": "newcomer@example.com.",
    "two dots": "newcomer@example..com",
    "two dots before the at": "new..comer@example.com",
    "121 characters": "a" * 109 + "@example.com",
    "half a million": "a" * 500_000 + "@example.com",
    "half a million of at": "@" * 500_000,
    "half a million of dots": "a@" + "a." * 250_000,
    "a copy for others": "newcomer@example.com\nBcc: everybody@example.com",
    "CRLF": "newcomer@example.com\r\nBcc: everybody@example.com",
    "CRLF escaped once more": "newcomer@example.com\\r\\nBcc: x@example.com",
    "a newline inside": "new\ncomer@example.com",
    "next line": "new\u0085comer@example.com",
    "line separator": "new\u2028comer@example.com",
    "a comma": "newcomer@example.com,everybody@example.com",
    "a semicolon": "newcomer@example.com;everybody@example.com",
    "a name before": "New <newcomer@example.com>",
    "quoted": '"new comer"@example.com',
    "a comment": "newcomer(x)@example.com",
    "a space": "new comer@example.com",
    "an address": "newcomer@[127.0.0.1]",
    "a port": "newcomer@example.com:25",
    "a path": "newcomer@example.com/x",
    "percent": "newcomer@exa%6dple.com",
    "full-width at": "newcomer\uff20example.com",
    "ideographic full stop": "newcomer@example\u3002com",
    "zero width space": "new\u200bcomer@example.com",
    "byte order mark": "new\ufeffcomer@example.com",
    "soft hyphen": "new\u00adcomer@example.com",
    "right-to-left override": "new\u202ecomer@example.com",
    "isolate": "\u2066newcomer\u2069@example.com",
    "a tag": "newcomer\U000e0041@example.com",
    "Hangul filler": "new\u3164comer@example.com",
    "half-width Hangul filler": "new\uffa0comer@example.com",
    "Hangul choseong filler": "new\u115fcomer@example.com",
    "no-break space": "new\u00a0comer@example.com",
    "a private character": "new\ue000comer@example.com",
    "not assigned": "new\u0378comer@example.com",
    "no character": "new\uffffcomer@example.com",
    "zero width space in the domain": "newcomer@exam\u200bple.com",
    "grapheme joiner in the domain": "newcomer@exam\u034fple.com",
    "variation selector in the domain": "newcomer@exam\ufe0fple.com",
    "blank Braille in the domain": "newcomer@exam\u2800ple.com",
    "Hangul filler in the domain": "newcomer@exam\u3164ple.com",
}


@pytest.mark.parametrize("email", EMAILS.values(), ids=EMAILS.keys())
def test_an_email_that_is_none_is_invalid(attack: Attack, email: str) -> None:
    assert_invalid(register(attack, email=email), "/email")


@pytest.mark.parametrize(
    "username",
    [
        "FirstStrasse1",
        "FIRSTSTRASSE1",
        "firststrasse1",
        "\ufb01rststrasse1",
        "firststra\u00dfe1",
        "FirstStra\u1e9ee1",
        "fir\ufb06strasse1",
        "first\u017ftrasse1",
        "\uff26irstStrasse1",
        "FirstStrasse\uff11",
        "\U0001d405irstStrasse1",
        "FirstStr\u00aasse1",
        "F\u2071rstStrasse1",
    ],
    ids=ascii,
)
def test_another_spelling_of_a_username_is_taken(attack: Attack, taken: Account, username: str) -> None:
    """Letter case, full-width and mathematical letters, ligatures, the sharp and the long s (Unicode NFKC)."""
    assert_refused(register(attack, username=username), 409, "USERNAME_TAKEN")


@pytest.mark.parametrize(
    "email",
    [
        "first.k@strasse.example",
        "  First.K@STRASSE.example\n",
        "\ufb01rst.k@strasse.example",
        "first.\u212a@strasse.example",
        "first\uff0ek@strasse.example",
        "\uff46irst.k@strasse.example",
        "first.k@stra\u00dfe.example",
        "first.k@\uff53trasse.example",
        "fir\u017ft.k@strasse.example",
        "first.\U0001d424@strasse.example",
    ],
    ids=ascii,
)
def test_another_spelling_of_an_email_is_taken(attack: Attack, taken: Account, email: str) -> None:
    assert_refused(register(attack, email=email), 409, "EMAIL_TAKEN")


@pytest.mark.parametrize(
    ("first", "second"),
    [("Turk\u0130sh", "turki\u0307sh"), ("d\u0131yar", "D\u0131yar"), ("\u01c6inovic", "D\u017dinovic")],
    ids=["dotted I", "dotless i", "a digraph"],
)
def test_letters_that_fold_in_their_own_way_make_no_second_account(attack: Attack, first: str, second: str) -> None:
    """The second is the first by Unicode's case folding: it is taken, or no name at all."""
    with attack.arranged():
        assert register(attack, username=first).status == 201
    answer = register(attack, username=second, email="second@example.com")
    assert answer.status in (400, 409)
    attack.sql("DELETE FROM users WHERE email = $1", NEW["email"])


@pytest.mark.parametrize(
    "members",
    [
        {"email": "o'reilly@example.com"},
        {"email": "new+comer@example.com"},
        {"password": "'; DROP TABLE users; --"},
        {"password": "\u202e\u200b\U0001f600 pass"},
        {"password": "x" * 128},
        {"username": "admin"},
        {"username": "..."},
        {"username": "null"},
    ],
    ids=["an apostrophe", "a plus", "SQL password", "unusual password", "long password", "admin", "dots", "null"],
)
def test_what_only_looks_like_an_attack_makes_an_ordinary_account(attack: Attack, members: dict[str, str]) -> None:
    wanted = NEW | members
    with attack.arranged():
        answer = register(attack, **members)
        made = attack.call("POST", "/api/auth/login", {"email": wanted["email"], "password": wanted["password"]})
    attack.sql("DELETE FROM users WHERE email = $1", wanted["email"])
    assert (answer.status, made.status) == (201, 200)
    assert made.json()["user"]["role"] == "user"
    assert made.json()["user"]["email"] == wanted["email"]
    assert b"password" not in answer.body


@pytest.mark.parametrize("value", ["hunter2-is-the-value", "\u202ehunter2-is-the-value"])
def test_a_rejected_value_is_not_said_again(attack: Attack, value: str) -> None:
    answer = attack.call(
        "POST", "/api/users/", {"username": f"<{value}>", "email": value, "password": [value], "role": value}
    )
    assert_invalid(answer, "/username", "/email", "/password", "/role")
    assert b"hunter2" not in answer.body


def test_a_name_of_a_member_is_not_said_at_length(attack: Attack) -> None:
    answer = register(attack, **{"x" * 900_000: 1})
    assert_refused(answer, 400, "VALIDATION_ERROR")
    assert len(answer.body) < 2_000


def test_of_two_taken_things_only_the_fact_is_told(attack: Attack, taken: Account) -> None:
    answer = register(attack, username=taken.username.lower(), email=taken.email.upper())
    assert answer.status == 409
    assert str(taken.id).encode() not in answer.body.replace(answer.headers["x-request-id"].encode(), b"")
    assert taken.email.encode() not in answer.body


BLANK = {
    "grapheme joiner": "new\u034fcomer@example.com",
    "variation selector": "newcomer\ufe0f@example.com",
    "variation selector 17": "newcomer\U000e0100@example.com",
    "Mongolian variation selector": "new\u180bcomer@example.com",
    "Khmer inherent vowel": "new\u17b4comer@example.com",
    "blank Braille": "new\u2800comer@example.com",
}


@pytest.mark.parametrize("email", BLANK.values(), ids=BLANK.keys())
def test_an_email_with_a_character_that_nobody_sees_is_invalid(attack: Attack, email: str) -> None:
    """Else two accounts have emails that look the same."""
    answer = register(attack, username=f"newcomer{next(attack.arena.numbers)}", email=email)
    assert_invalid(answer, "/email")
