from __future__ import annotations

import base64
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from service.config import ConfigurationError
from service.keys import Key, _is_open_to_others, new_pem, read_pem, secret

SECRET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEF"
PKCS8 = (Encoding.PEM, PrivateFormat.PKCS8)
CHEAP = NoEncryption()


def written(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "key.pem"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def read(folder: Path, content: bytes, mode: int = 0o600, *, private_only_to_us: bool = True) -> Key:
    return read_pem(written(folder, content, mode), private_only_to_us=private_only_to_us)


def public_of(pem: bytes) -> bytes:
    public = load_pem_private_key(pem, None).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def fault(path: Path) -> str:
    with pytest.raises(ConfigurationError) as refused:
        read_pem(path, private_only_to_us=True)
    [line] = refused.value.faults
    assert "\n" not in line
    assert line.startswith(f"TOKEN_KEYS: {str(path)!r} ")
    return line


@pytest.mark.parametrize("algorithm", ["EdDSA", "RS256"])
def test_a_private_key_signs_and_its_public_key_verifies_under_the_same_name(tmp_path: Path, algorithm: str) -> None:
    pem = new_pem("EdDSA" if algorithm == "EdDSA" else "RS256")

    private, public = read(tmp_path, pem), read(tmp_path, public_of(pem))

    assert (private.can_sign, public.can_sign) == (True, False)
    assert private.algorithm == public.algorithm == algorithm
    assert private.kid == public.kid
    assert private.jwk == public.jwk


def test_a_secret_signs_and_has_no_public_part() -> None:
    key = secret(SECRET, "SECRET_KEY")

    assert (key.algorithm, key.can_sign, key.jwk) == ("HS256", True, None)
    assert key.verifying == key.signing == SECRET.encode()


def test_the_name_of_a_secret_is_what_it_was_before_there_were_others() -> None:
    assert secret(SECRET, "SECRET_KEY").kid == "08101ea5b4ff3552"


def test_a_secret_may_be_any_bytes() -> None:
    assert secret("\udcff" * 40, "SECRET_KEY").verifying == b"\xff" * 40


def test_the_name_of_an_rsa_key_is_its_thumbprint(tmp_path: Path) -> None:
    # The key and the thumbprint of RFC 7638 §3.1.
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj"
        "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ"
        "vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK"
        "nqDKgw"
    )
    number = int.from_bytes(base64.urlsafe_b64decode(modulus + "=="), "big")
    pem = RSAPublicNumbers(65537, number).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    key = read(tmp_path, pem)

    assert key.kid == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    assert key.jwk == {"kty": "RSA", "n": modulus, "e": "AQAB"}


def test_the_name_of_an_ed25519_key_is_its_thumbprint(tmp_path: Path) -> None:
    # The key and the thumbprint of RFC 8037 appendix A.
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    key = read(tmp_path, Ed25519PrivateKey.from_private_bytes(seed).private_bytes(*PKCS8, CHEAP))

    assert key.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert key.jwk == {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}


def test_a_key_does_not_show_its_secret_parts(tmp_path: Path) -> None:
    assert SECRET not in repr(secret(SECRET, "SECRET_KEY"))
    assert "Private" not in repr(read(tmp_path, new_pem("EdDSA")))


def test_keys_of_openssl_are_read(tmp_path: Path) -> None:
    made = generate_rsa(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, CHEAP)
    assert b"BEGIN RSA PRIVATE KEY" in made

    assert read(tmp_path, made).algorithm == "RS256"


OTHERS: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "holds no key in PEM"),
    "no pem": (lambda: b"\xff\0secret-4711", "holds no key in PEM"),
    "cut": (lambda: new_pem("EdDSA")[:60], "holds no key in PEM"),
    "garbage inside": (
        lambda: b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "holds no key in PEM",
    ),
    "certificate": (
        lambda: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "holds no key in PEM",
    ),
    "encrypted": (
        lambda: Ed25519PrivateKey.generate().private_bytes(*PKCS8, BestAvailableEncryption(b"pw-4711")),
        "is encrypted",
    ),
    "encrypted pkcs1": (
        lambda: generate_rsa(65537, 2048).private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"pw-4711")
        ),
        "is encrypted",
    ),
    "ec": (lambda: generate_ec(SECP256R1()).private_bytes(*PKCS8, CHEAP), "another kind"),
    "ec public": (lambda: public_of(generate_ec(SECP256R1()).private_bytes(*PKCS8, CHEAP)), "another kind"),
    "ed448": (lambda: Ed448PrivateKey.generate().private_bytes(*PKCS8, CHEAP), "another kind"),
    "ed448 public": (lambda: public_of(Ed448PrivateKey.generate().private_bytes(*PKCS8, CHEAP)), "another kind"),
    "short rsa": (lambda: generate_rsa(65537, 1024).private_bytes(*PKCS8, CHEAP), "too short, 1024 bits"),
    "short rsa public": (
        lambda: public_of(generate_rsa(65537, 1024).private_bytes(*PKCS8, CHEAP)),
        "too short, 1024 bits",
    ),
    "two keys": (lambda: new_pem("EdDSA") + new_pem("EdDSA"), "more than one key"),
    "huge": (lambda: b"x" * 2**20 + new_pem("EdDSA"), "holds no key in PEM"),
}


@pytest.mark.parametrize(("make", "said"), OTHERS.values(), ids=OTHERS.keys())
def test_what_is_no_key_of_ours_is_refused_in_one_line(tmp_path: Path, make: Callable[[], bytes], said: str) -> None:
    line = fault(written(tmp_path, make()))

    assert said in line
    assert "4711" not in line


def test_a_missing_file_is_said_in_one_line(tmp_path: Path) -> None:
    assert "No such file" in fault(tmp_path / "nowhere.pem")


def test_a_folder_is_said_in_one_line(tmp_path: Path) -> None:
    assert "is no file" in fault(tmp_path)


def test_a_pipe_is_said_in_one_line_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    assert "is no file" in fault(tmp_path / "pipe")


@pytest.mark.parametrize("name", ["a\0b", "a\nb", "\udcff"], ids=["nul", "line break", "not utf-8"])
def test_a_path_that_is_none_is_said_in_one_line(tmp_path: Path, name: str) -> None:
    fault(tmp_path / name)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660, 0o622, 0o601], ids=oct)
def test_a_private_key_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    assert "others may read" in fault(written(tmp_path, new_pem("EdDSA"), mode))


@pytest.mark.parametrize("mode", [0o600, 0o400], ids=oct)
def test_a_private_key_that_only_its_owner_may_touch_is_read(tmp_path: Path, mode: int) -> None:
    assert read(tmp_path, new_pem("EdDSA"), mode).can_sign


@pytest.mark.parametrize(("owner", "others_may"), [(0, False), (65534, True)], ids=["root", "another account"])
def test_the_group_may_read_a_private_key_that_root_owns(tmp_path: Path, owner: int, others_may: bool) -> None:
    # Only root can give a file away, so the owner is put into what the system says of one.
    status = list(written(tmp_path, new_pem("EdDSA"), 0o640).stat())
    status[stat.ST_UID] = owner

    assert _is_open_to_others(os.stat_result(status)) is others_may


def test_others_may_read_a_public_key(tmp_path: Path) -> None:
    assert read(tmp_path, public_of(new_pem("EdDSA")), 0o644).jwk


def test_outside_production_others_may_read_a_private_key(tmp_path: Path) -> None:
    assert read(tmp_path, new_pem("EdDSA"), 0o644, private_only_to_us=False).can_sign


def test_a_made_key_is_another_each_time() -> None:
    assert new_pem("EdDSA") != new_pem("EdDSA")
