from __future__ import annotations

from importlib import resources

import pytest
from service.errors import ValidationFailed
from service.services.password_rules import check_new_password


def check(password: str) -> None:
    check_new_password(password, username="Ann-Bell_é", email="Ann.Bell@Example.com", pointer="/password")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "password1 password1",
        "Ann-Bell",
        "Ann-Bell_é1",
        "Ann-Bell_e",
        "ann.bell",
        "ann.bell@example.org",
        "12345678\N{SNOWMAN}",
        "\N{SNOWMAN}" * 8,
        "        ",
        "",
    ],
    ids=ascii,
)
async def test_a_password_that_is_neither_a_name_nor_common_is_good(password: str) -> None:
    check(password)


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("Ann-Bell_é", "password_is_name"),
        ("ANN-BELL_É", "password_is_name"),
        ("ann-bell_e\u0301", "password_is_name"),
        (" ann-bell_é ", "password_is_name"),
        ("\uff21\uff2e\uff2e-\uff22\uff25\uff2c\uff2c_é", "password_is_name"),
        ("ann.bell@example.com", "password_is_name"),
        ("ANN.BELL@EXAMPLE.COM", "password_is_name"),
        ("ann.bell\uff20example.com", "password_is_name"),
        ("password", "password_common"),
        ("PASSWORD", "password_common"),
        ("\u3000password\t", "password_common"),
        ("\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44", "password_common"),
        ("12345678", "password_common"),
        ("\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18", "password_common"),
        ("ILOVEYOU", "password_common"),
    ],
    ids=ascii,
)
async def test_a_password_that_is_easy_to_guess_is_refused(password: str, code: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        check(password)

    (fault,) = refused.value.faults
    assert (fault.pointer, fault.code) == ("/password", code)


def test_every_listed_password_is_refused() -> None:
    """None is written so that folding misses it, and none is lost to what the file says of itself."""
    listed = resources.files("service").joinpath("common_passwords.txt").read_text(encoding="utf-8").splitlines()
    passwords = [line for line in listed if not line.startswith("# ")]

    assert len(passwords) > 3000
    for password in passwords:
        with pytest.raises(ValidationFailed):
            check(password)
    assert len(set(passwords)) == len(passwords)
