"""Which passwords may be set: none that an attacker tries first (NIST SP 800-63B, 5.1.1.2).

Their length is the schemas' affair.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from importlib import resources

from service.errors import FieldFault, ValidationFailed


def check_new_password(password: str, *, username: str, email: str, pointer: str) -> None:
    """Refuse a password that is easy to guess; ``pointer`` names its field.

    Raises:
        ValidationFailed: it is the account's name or email, or among the most common ones, in any letter case.
    """
    folded = _fold(password)
    if folded in (_fold(username), _fold(email)):
        _refuse(pointer, "password_is_name", "The password must not be the username or the email")
    if folded in _common_passwords():
        _refuse(pointer, "password_common", "The password is one of the most common ones")


def _refuse(pointer: str, code: str, message: str) -> None:
    raise ValidationFailed(faults=(FieldFault(pointer, code, message),))


@cache
def _common_passwords() -> frozenset[str]:
    lines = resources.files("service").joinpath("common_passwords.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()
