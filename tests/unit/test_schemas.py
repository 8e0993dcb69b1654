from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from service.api.schemas.auth import Login
from service.api.schemas.users import NewUser, UserChanges, UserQuery

GOOD: dict[str, Any] = {"username": "ann", "email": "ann@example.com", "password": "8 signs."}


def refused(**changes: Any) -> list[tuple[int | str, ...]]:
    """Where `NewUser` refuses these."""
    with pytest.raises(ValidationError) as error:
        NewUser.model_validate(GOOD | changes)
    return [fault["loc"] for fault in error.value.errors()]


@pytest.mark.parametrize(
    "username",
    ["ann", "a" * 80, "A.n-n_1", "...", "Ännchen", "Łukasz", "Ольга", "李小龍", "अजय", "٣٤٥", "\u0131\u0131\u0131"],
)
def test_letters_digits_and_three_signs_make_a_username(username: str) -> None:
    assert NewUser.model_validate(GOOD | {"username": username}).username == username


@pytest.mark.parametrize(
    "username",
    [
        pytest.param("", id="empty"),
        pytest.param("an", id="2 letters"),
        pytest.param("a" * 81, id="81 letters"),
        pytest.param("a n", id="space"),
        pytest.param(" ann", id="space before"),
        pytest.param("ann\n", id="line break"),
        pytest.param("ann@x", id="at sign"),
        pytest.param("ann/x", id="slash"),
        pytest.param("ann\u200d", id="zero width joiner"),
        pytest.param("ann\u200b", id="zero width space"),
        pytest.param("ann\u2060", id="word joiner"),
        pytest.param("ann\u00ad", id="soft hyphen"),
        pytest.param("ann\u00a0", id="no-break space"),
        pytest.param("ann\u202e", id="right-to-left override"),
        pytest.param("ann\ufeff", id="byte order mark"),
        pytest.param("ann\u115f", id="hangul choseong filler"),
        pytest.param("ann\u1160", id="hangul jungseong filler"),
        pytest.param("ann\u3164", id="hangul filler"),
        pytest.param("ann\uffa0", id="halfwidth hangul filler"),
        pytest.param("ann\u2800", id="blank braille"),
        pytest.param("ann\ufe0f", id="variation selector"),
        pytest.param("ann\u0301\u0302", id="marks that compose with nothing"),
        pytest.param("ann²", id="superscript"),
        pytest.param("annⅣ", id="roman numeral"),
        pytest.param("ann\N{SNOWMAN}", id="symbol"),
        pytest.param("ann\U0001f600", id="emoji"),
        pytest.param("ann\ue000", id="private use"),
        pytest.param("ann\u0378", id="unassigned"),
        pytest.param(7, id="a number"),
        pytest.param(None, id="null"),
        pytest.param(["ann"], id="a list"),
    ],
)
def test_nothing_else_makes_a_username(username: object) -> None:
    assert refused(username=username) == [("username",)]


def test_a_username_is_composed() -> None:
    assert NewUser.model_validate(GOOD | {"username": "a\u0308nn"}).username == "änn"


def test_a_usernames_length_is_that_of_what_is_stored() -> None:
    assert refused(username="a\u0308n") == [("username",)]


def test_a_username_that_was_sent_in_parts_may_be_as_long_as_any() -> None:
    assert NewUser.model_validate(GOOD | {"username": "a\u0308" * 80}).username == "ä" * 80


@given(st.text(min_size=3, max_size=80))
@settings(max_examples=300, deadline=None)
def test_every_accepted_username_is_of_letters_digits_and_three_signs(username: str) -> None:
    try:
        accepted = NewUser.model_validate(GOOD | {"username": username}).username
    except ValidationError:
        return
    assert 3 <= len(accepted) <= 80
    assert all(unicodedata.category(letter)[0] in "LN" or letter in "_.-" for letter in accepted)


@pytest.mark.parametrize(
    "email",
    [
        "a@b.example.com",
        "a+b@example.com",
        "first.last@example.com",
        "o'brien@example.com",
        "jörg@exämple.com",
        "用户@例子.公司",
        "a@" + "b" * 63 + ".com",
        "a" * 108 + "@example.com",
        "a@1.example.com",
    ],
)
def test_an_email_with_a_dotted_domain_is_accepted(email: str) -> None:
    assert NewUser.model_validate(GOOD | {"email": email}).email == email


@pytest.mark.parametrize("around", [" ", "\t", "\n", "\u00a0", "\u3000"])
def test_an_email_is_trimmed(around: str) -> None:
    assert NewUser.model_validate(GOOD | {"email": f"{around}a@example.com{around}"}).email == "a@example.com"


def test_an_emails_length_is_that_of_the_trimmed_one() -> None:
    assert len(NewUser.model_validate(GOOD | {"email": "  " + "a" * 108 + "@example.com  "}).email) == 120


@pytest.mark.parametrize(
    "email",
    [
        "",
        " ",
        "ann",
        "ann@",
        "@example.com",
        "ann@localhost",
        "ann@example.",
        "ann@.com",
        "ann@example..com",
        "ann@-example.com",
        "ann@example-.com",
        "ann@exa_.com",
        "ann@" + "b" * 64 + ".com",
        "a" * 109 + "@example.com",
        "ann@@example.com",
        "ann@a@example.com",
        ".ann@example.com",
        "ann.@example.com",
        "a..n@example.com",
        "a n@example.com",
        "ann@exam ple.com",
        "ann@example.com\nbcc: x@example.com",
        "ann <ann@example.com>",
        '"ann"@example.com',
        "ann@[127.0.0.1]",
        "ann\u200b@example.com",
        "ann\u3164@example.com",
        "ann@exam\u200dple.com",
        "ann\u202e@example.com",
        "ann@example.com\u0000",
        None,
        5,
        {},
    ],
    ids=ascii,
)
def test_what_is_no_email_is_refused(email: object) -> None:
    assert refused(email=email) == [("email",)]


@pytest.mark.parametrize(
    "password", ["12345678", "x" * 128, " " * 8, "\N{SNOWMAN}" * 128], ids=["8", "128", "", "snow"]
)
def test_a_password_has_8_to_128_characters(password: str) -> None:
    assert NewUser.model_validate(GOOD | {"password": password}).password == password


@pytest.mark.parametrize("password", ["", "1234567", "x" * 129, None, 12345678], ids=repr)
def test_any_other_password_is_refused(password: object) -> None:
    assert refused(password=password) == [("password",)]


@pytest.mark.parametrize("name", GOOD)
def test_a_new_user_has_all_three(name: str) -> None:
    with pytest.raises(ValidationError):
        NewUser.model_validate({key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize("name", ["id", "role", "is_active", "password_hash", "Username", ""])
def test_a_new_user_has_nothing_else(name: str) -> None:
    assert refused(**{name: "user"}) == [(name,)]


@pytest.mark.parametrize("body", [[], None, "x", 5, True], ids=repr)
@pytest.mark.parametrize("model", [NewUser, UserChanges, Login], ids=lambda model: model.__name__)
def test_a_body_is_an_object(model: type[NewUser], body: object) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(body)


def test_changes_hold_at_least_one_member() -> None:
    with pytest.raises(ValidationError):
        UserChanges.model_validate({})


@pytest.mark.parametrize(
    "changes",
    [
        {"role": "root"},
        {"role": None},
        {"is_active": 1},
        {"is_active": "true"},
        {"is_active": None},
        {"username": None},
        {"email": None},
        {"password": "8 signs."},
        {"id": 1},
    ],
    ids=str,
)
def test_changes_of_another_kind_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        UserChanges.model_validate(changes)


@pytest.mark.parametrize(("asked", "given_"), [("1", 1), ("100", 100), ("101", 100), ("1000", 100), ("9" * 30, 100)])
def test_more_than_100_a_page_means_100(asked: str, given_: int) -> None:
    assert UserQuery.model_validate({"per_page": asked}).per_page == given_


@pytest.mark.parametrize("value", ["0", "-1", "", "x", "1.0", "1e2", "+1", " 1", "1_0", "٣", "0x1", "²"])
@pytest.mark.parametrize("name", ["page", "per_page"])
def test_pages_are_whole_numbers_in_ascii_digits(name: str, value: str) -> None:
    with pytest.raises(ValidationError):
        UserQuery.model_validate({name: value})


@pytest.mark.parametrize("page", ["10001", "9" * 30])
def test_pages_end_at_10000(page: str) -> None:
    with pytest.raises(ValidationError):
        UserQuery.model_validate({"page": page})


def test_pages_begin_with_the_first_20_rows() -> None:
    query = UserQuery.model_validate({})

    assert (query.page, query.per_page, query.cursor, query.sort) == (1, 20, None, "-created_at")
