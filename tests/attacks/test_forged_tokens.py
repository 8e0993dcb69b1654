"""Tokens that are not what was issued, each on every route that takes one."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import replace
from typing import Any

import pytest
from tests.support.accounts import Account
from tests.support.attacks import SECRET_KEY, Arena, Attack, attacking
from tests.support.forgery import ABSENT, Forge, Forgery, encoded, guarded_routes, key_id

KEY = SECRET_KEY.encode()
OTHER_KEY = "somebody-elses-0123456789-abcdefghijklmnopqr"
ROUTES = guarded_routes()
JWK = {"kty": "oct", "alg": "HS256", "k": encoded(OTHER_KEY.encode())}
NESTED = "[" * 1000 + "]" * 1000


@pytest.fixture(scope="module")
def victim(arena: Arena) -> Account:
    """An admin, so that a token that got through could do whatever a route does."""
    with attacking(arena) as attack:
        return attack.signed_in(role="admin")


@pytest.fixture(scope="module")
def stranger(arena: Arena) -> Account:
    with attacking(arena) as attack:
        return attack.signed_in()


@pytest.fixture(scope="module")
def access(victim: Account, stranger: Account) -> Forge:
    return Forge(victim.access_token, victim.refresh_token, stranger.access_token)


@pytest.fixture(scope="module")
def refresh(victim: Account, stranger: Account) -> Forge:
    return Forge(victim.refresh_token, victim.access_token, stranger.refresh_token)


def resigned(forge: Forge, **header: Any) -> str:
    """A token under another key, which the header names or brings along."""
    return forge.with_header(key=OTHER_KEY.encode(), **header)


def altered(segment: str, place: int) -> str:
    return segment[:place] + ("A" if segment[place] != "A" else "B") + segment[place + 1 :]


def joined(*segments: str) -> str:
    return ".".join(segments)


def repeated(forge: Forge, name: str, first: str, last: str) -> bytes:
    """The claims with one of them twice."""
    return json.dumps(forge.claims).replace(f'"{name}":', f'"{name}": {first}, "{name}": {last}, "was":').encode()


def with_claim(name: str, value: object) -> Forgery:
    return lambda forge: forge.with_claims(**{name: value})


SIGNATURES: dict[str, Forgery] = {
    "alg none": lambda f: joined(encoded(f.header | {"alg": "none"}), f.segments()[1], ""),
    "alg None": lambda f: joined(encoded(f.header | {"alg": "None"}), f.segments()[1], ""),
    "alg nOnE": lambda f: joined(encoded(f.header | {"alg": "nOnE"}), f.segments()[1], ""),
    "alg none with the old signature": lambda f: joined(encoded(f.header | {"alg": "none"}), *f.segments()[1:]),
    "alg none, signed": lambda f: f.with_header(alg="none"),
    "alg none, signed with nothing": lambda f: f.with_header(alg="none", key=b""),
    "alg hs256": lambda f: f.with_header(alg="hs256"),
    "alg empty": lambda f: f.with_header(alg=""),
    "alg missing": lambda f: f.with_header(alg=ABSENT),
    "alg null": lambda f: f.with_header(alg=None),
    "alg in a list": lambda f: f.with_header(alg=["HS256"]),
    "alg an object": lambda f: f.with_header(alg={"HS256": 1}),
    "alg a number": lambda f: f.with_header(alg=256),
    "HS384 with our key": lambda f: f.with_header(alg="HS384", digest="sha384"),
    "HS512 with our key": lambda f: f.with_header(alg="HS512", digest="sha512"),
    "HS256 said, SHA-512 used": lambda f: f.with_header(digest="sha512"),
    "alg RS256": lambda f: f.with_header(alg="RS256"),
    "alg ES256": lambda f: f.with_header(alg="ES256"),
    "alg EdDSA": lambda f: f.with_header(alg="EdDSA"),
    "alg dir": lambda f: f.with_header(alg="dir"),
    "another key": resigned,
    "no key": lambda f: f.with_header(key=b""),
    "a key of one NUL": lambda f: f.with_header(key=b"\0"),
    "our key but for its last byte": lambda f: f.with_header(key=KEY[:-1]),
    "our key and a newline": lambda f: f.with_header(key=KEY + b"\n"),
    "signature empty": lambda f: joined(*f.segments()[:2], ""),
    "signature of NULs": lambda f: joined(*f.segments()[:2], encoded(bytes(32))),
    "signature cut by a character": lambda f: f.token[:-1],
    "signature cut by half": lambda f: f.token[:-22],
    "signature longer by a character": lambda f: f.token + "A",
    "signature twice": lambda f: f.token + f.segments()[2],
    "signature's first character another": lambda f: joined(*f.segments()[:2], altered(f.segments()[2], 0)),
    "signature's last bits set": lambda f: f.token[:-1] + chr(ord(f.token[-1]) + 1),
    "signature of another of our tokens": lambda f: joined(*f.segments()[:2], f.stranger.split(".")[2]),
    "header of the other kind": lambda f: joined(f.other.split(".")[0], *f.segments()[1:]),
    "claims of somebody else": lambda f: joined(f.segments()[0], f.stranger.split(".")[1], f.segments()[2]),
    "claims of the other kind": lambda f: joined(f.segments()[0], f.other.split(".")[1], f.segments()[2]),
    "claims altered": lambda f: joined(f.segments()[0], altered(f.segments()[1], 9), f.segments()[2]),
}

FORMS: dict[str, Forgery] = {
    "= appended": lambda f: f.token + "=",
    "== appended": lambda f: f.token + "==",
    "a dot appended": lambda f: f.token + ".",
    "a dot before": lambda f: "." + f.token,
    "a segment more": lambda f: f.token + "." + f.segments()[2],
    "five segments": lambda f: joined(f.segments()[0], "", "", *f.segments()[1:]),
    "two segments": lambda f: joined(*f.segments()[:2]),
    "one segment": lambda f: f.segments()[0],
    "two dots": lambda f: "..",
    "two tokens": lambda f: f.token + "," + f.token,
    "token twice": lambda f: f.token + f.token,
    "in quotes": lambda f: f'"{f.token}"',
    "a word behind": lambda f: f.token + " again",
    "+ and / for - and _": lambda f: joined(*f.segments()[:2], "+/" + f.segments()[2][2:]),
    "percent-escaped": lambda f: f.token.replace(".", "%2E"),
    "upper case": lambda f: f.token.upper(),
    "as JSON": lambda f: json.dumps(
        dict(zip(("protected", "payload", "signature"), f.segments(), strict=True)), separators=(",", ":")
    ),
    "over 4 KiB": lambda f: f.with_claims(filling="x" * 4096),
    "8 KiB of nothing": lambda f: "A" * 8192,
    "the word null": lambda f: "null",
    "the word undefined": lambda f: "undefined",
    "an SQL string": lambda f: "'OR'1'='1",
}

HEADERS: dict[str, Forgery] = {
    "typ missing": lambda f: f.with_header(typ=ABSENT),
    "typ JWT": lambda f: f.with_header(typ="JWT"),
    "typ null": lambda f: f.with_header(typ=None),
    "typ empty": lambda f: f.with_header(typ=""),
    "typ of both": lambda f: f.with_header(typ=["at+jwt", "rt+jwt"]),
    "typ in upper case": lambda f: f.with_header(typ=f.header["typ"].upper()),
    "typ with a space": lambda f: f.with_header(typ=f.header["typ"] + " "),
    "kid missing": lambda f: f.with_header(kid=ABSENT),
    "kid unknown": lambda f: f.with_header(kid="0123456789abcdef"),
    "kid of the other key": lambda f: f.with_header(kid=key_id(OTHER_KEY)),
    "kid and signature of the other key": lambda f: resigned(f, kid=key_id(OTHER_KEY)),
    "kid in upper case": lambda f: f.with_header(kid=f.header["kid"].upper()),
    "kid empty": lambda f: f.with_header(kid=""),
    "kid null": lambda f: f.with_header(kid=None),
    "kid in a list": lambda f: f.with_header(kid=[f.header["kid"]]),
    "kid a number": lambda f: f.with_header(kid=0),
    "kid a path to nothing": lambda f: f.with_header(kid="../../../../../../dev/null", key=b""),
    "kid a path": lambda f: f.with_header(kid="/proc/sys/kernel/randomize_va_space", key=b"2\n"),
    "kid SQL": lambda f: f.with_header(kid="x' UNION SELECT 'key' --", key=b"key"),
    "kid a command": lambda f: f.with_header(kid="|sleep 5", key=b""),
    "kid an address": lambda f: f.with_header(kid="http://127.0.0.1:9/key", key=b""),
    "kid a lone surrogate": lambda f: f.with_header(kid="\ud800"),
    "kid NUL": lambda f: f.with_header(kid=f.header["kid"] + "\0"),
    "jku": lambda f: f.with_header(jku="http://127.0.0.1:9/jwks.json"),
    "jku and its key": lambda f: resigned(f, jku="http://127.0.0.1:9/jwks.json"),
    "jwk": lambda f: f.with_header(jwk=JWK),
    "jwk and its key": lambda f: resigned(f, jwk=JWK),
    "x5u": lambda f: f.with_header(x5u="http://127.0.0.1:9/cert.pem"),
    "x5c": lambda f: f.with_header(x5c=["MIIB"]),
    "crit": lambda f: f.with_header(crit=["exp"]),
    "crit empty": lambda f: f.with_header(crit=[]),
    "crit b64": lambda f: f.with_header(crit=["b64"], b64=True),
    "b64 false": lambda f: f.with_header(crit=["b64"], b64=False),
    "zip": lambda f: f.with_header(zip="DEF"),
    "cty": lambda f: f.with_header(cty="JWT"),
    "an unknown member": lambda f: f.with_header(role="admin"),
    "a claim": lambda f: f.with_header(exp=2**40),
    "HS256, then none": lambda f: f.sign(json.dumps(f.header).replace("}", ',"alg":"none"}').encode()),
    "a list": lambda f: f.sign(json.dumps([f.header]).encode()),
    "null": lambda f: f.sign(b"null"),
    "a text": lambda f: f.sign(b'"HS256"'),
    "empty object": lambda f: f.sign(b"{}"),
    "no JSON": lambda f: f.sign(b"{alg: HS256}"),
    "not UTF-8": lambda f: f.sign(b'{"alg":"HS256\xff"}'),
    "nested": lambda f: f.sign(NESTED.encode()),
}

WRONG_TYPES: dict[str, object] = {
    "null": None,
    "true": True,
    "a fraction": 1.5,
    "a list": [],
    "an object": {},
    "empty": "",
    "a word": "x",
}
CLAIMS: dict[str, Forgery] = {
    f"{name} {kind}": with_claim(name, value)
    for name in ("iss", "aud", "sub", "jti", "sid", "iat", "nbf", "exp")
    for kind, value in {"missing": ABSENT, **WRONG_TYPES}.items()
}
CLAIMS |= {
    "sub a number": lambda f: f.with_claims(sub=int(f.claims["sub"])),
    "sub with a zero before": lambda f: f.with_claims(sub="0" + f.claims["sub"]),
    "sub 01": lambda f: f.with_claims(sub="01"),
    "sub with a sign": lambda f: f.with_claims(sub="+" + f.claims["sub"]),
    "sub with a space before": lambda f: f.with_claims(sub=" " + f.claims["sub"]),
    "sub with a newline behind": lambda f: f.with_claims(sub=f.claims["sub"] + "\n"),
    "sub with a NUL behind": lambda f: f.with_claims(sub=f.claims["sub"] + "\0"),
    "sub in Arabic digits": lambda f: f.with_claims(
        sub=f.claims["sub"].translate({48 + n: 0x660 + n for n in range(10)})
    ),
    "sub in full-width digits": lambda f: f.with_claims(
        sub=f.claims["sub"].translate({48 + n: 0xFF10 + n for n in range(10)})
    ),
    "sub with an underscore": lambda f: f.with_claims(sub="1_0"),
    "sub a decimal": lambda f: f.with_claims(sub=f.claims["sub"] + ".0"),
    "sub 0": lambda f: f.with_claims(sub="0"),
    "sub negative": lambda f: f.with_claims(sub="-" + f.claims["sub"]),
    "sub 2^63": lambda f: f.with_claims(sub=str(2**63)),
    "sub 2^64 + 1": lambda f: f.with_claims(sub=str(2**64 + 1)),
    "sub 10^30": lambda f: f.with_claims(sub=str(10**30)),
    "sub 10^2000": lambda f: f.with_claims(sub=str(10**2000)),
    "sub SQL": lambda f: f.with_claims(sub="1 OR 1=1"),
    "sub of nobody": lambda f: f.with_claims(sub=str(2**63 - 1)),
    "sub a lone surrogate": lambda f: f.with_claims(sub="\ud800"),
    "sub in a list": lambda f: f.with_claims(sub=[f.claims["sub"]]),
    "exp a text": lambda f: f.with_claims(exp=str(f.claims["exp"])),
    "exp with a fraction": lambda f: f.with_claims(exp=f.claims["exp"] - 0.5),
    "exp a whole float": lambda f: f.with_claims(exp=float(f.claims["exp"])),
    "exp with an exponent": lambda f: f.with_text("exp", "1e11"),
    "exp 10^30": lambda f: f.with_claims(exp=10**30),
    "exp 10^1000": lambda f: f.with_text("exp", "1" + "0" * 1000),
    "exp infinite": lambda f: f.with_text("exp", "Infinity"),
    "exp 1e999": lambda f: f.with_text("exp", "1e999"),
    "exp NaN": lambda f: f.with_text("exp", "NaN"),
    "iat a text": lambda f: f.with_claims(iat=str(f.claims["iat"])),
    "iat a whole float": lambda f: f.with_claims(iat=float(f.claims["iat"])),
    "iat NaN": lambda f: f.with_text("iat", "NaN"),
    "iat negative": lambda f: f.with_claims(iat=-1),
    "iat 0": lambda f: f.with_claims(iat=0),
    # Some seconds more than the tolerance: the server's clock goes on while the token is on its way.
    "iat ahead": lambda f: f.with_times(iat=35),
    "iat behind exp": lambda f: f.with_times(iat=20, exp=10),
    "nbf ahead": lambda f: f.with_times(nbf=35),
    "nbf 10^30": lambda f: f.with_claims(nbf=10**30),
    "nbf a whole float": lambda f: f.with_claims(nbf=float(f.claims["nbf"])),
    "lives a second too long": lambda f: f.with_claims(exp=f.claims["exp"] + 1),
    "lives for ever": lambda f: f.with_claims(exp=2**33),
    "iss another": lambda f: f.with_claims(iss="somebody"),
    "iss in upper case": lambda f: f.with_claims(iss=f.claims["iss"].upper()),
    "iss in a list": lambda f: f.with_claims(iss=[f.claims["iss"]]),
    "aud another": lambda f: f.with_claims(aud="somebody"),
    "aud in a list": lambda f: f.with_claims(aud=[f.claims["aud"]]),
    "aud with others in a list": lambda f: f.with_claims(aud=[f.claims["aud"], "somebody"]),
    "jti in upper case": lambda f: f.with_claims(jti="F" * 8 + f.claims["jti"][8:]),
    "jti in braces": lambda f: f.with_claims(jti="{" + f.claims["jti"] + "}"),
    "jti as urn": lambda f: f.with_claims(jti="urn:uuid:" + f.claims["jti"]),
    "jti without hyphens": lambda f: f.with_claims(jti=f.claims["jti"].replace("-", "")),
    "sid in upper case": lambda f: f.with_claims(sid="F" * 8 + f.claims["sid"][8:]),
    "sid in braces": lambda f: f.with_claims(sid="{" + f.claims["sid"] + "}"),
    "sid as urn": lambda f: f.with_claims(sid="urn:uuid:" + f.claims["sid"]),
    "sid without hyphens": lambda f: f.with_claims(sid=f.claims["sid"].replace("-", "")),
    "sid with a space": lambda f: f.with_claims(sid=f.claims["sid"] + " "),
    "sid a number": lambda f: f.with_claims(sid=uuid.UUID(f.claims["sid"]).int),
    "a list": lambda f: f.sign(claims=json.dumps([f.claims]).encode()),
    "a text": lambda f: f.sign(claims=json.dumps(json.dumps(f.claims)).encode()),
    "null": lambda f: f.sign(claims=b"null"),
    "a number": lambda f: f.sign(claims=b"7"),
    "empty object": lambda f: f.sign(claims=b"{}"),
    "no JSON": lambda f: f.sign(claims=b"sub=1"),
    "two values": lambda f: f.sign(claims=json.dumps(f.claims).encode() * 2),
    "cut": lambda f: f.sign(claims=json.dumps(f.claims).encode()[:-1]),
    "not UTF-8": lambda f: f.sign(claims=json.dumps(f.claims).encode()[:-1] + b',"x":"\xff"}'),
    "compressed": lambda f: f.sign(claims=b"\x1f\x8b\x08\0" + bytes(40)),
    "nested": lambda f: f.sign(claims=NESTED.encode()),
    "sub nested": lambda f: f.with_text("sub", NESTED),
    "sub twice, somebody then nobody": lambda f: f.sign(claims=repeated(f, "sub", '"1"', '"0"')),
    "exp twice, then NaN": lambda f: f.sign(claims=repeated(f, "exp", "99999999999", "NaN")),
    "a token inside": lambda f: f.sign(claims=f.token.encode()),
}

EXPIRED: dict[str, Forgery] = {
    "exp a second ago": lambda f: f.with_times(iat=-100, nbf=-100, exp=-1),
    "exp this second": lambda f: f.with_times(iat=-100, nbf=-100, exp=0),
    "exp an hour ago": lambda f: f.with_times(iat=-3700, nbf=-3700, exp=-3600),
    "exp past, and another fault in the claims": lambda f: replace(
        f, token=f.with_times(iat=-100, nbf=-100, exp=-1)
    ).sign(claims=f.claims | {"exp": int(time.time()) - 1, "iss": "somebody", "sub": "0"}),
}

WRONG_TYPE: dict[str, Forgery] = {
    "a good one": lambda f: f.other,
    "somebody else's claims": lambda f: f.with_header(typ=replace(f, token=f.other).header["typ"]),
    "expired": lambda f: replace(f, token=f.other).with_times(iat=-100, exp=-1),
}


def refused_everywhere(attack: Attack, access: Forge, refresh: Forge, victim: Account, forgery: Forgery) -> set[Any]:
    """Send the forgery to every route; return how it was refused."""
    connection = attack.connect()
    refusals = set()
    for route in ROUTES:
        forged = forgery(refresh if route.takes_refresh_token else access)
        answer = connection.call(route.method, route.target(victim.id), route.body, forged)
        assert answer.status == 401, (route, answer)
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"', (route, answer)
        refusals.add(answer.json()["code"])
    return refusals


def cases(forgeries: dict[str, Forgery]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("forgery", forgeries.values(), ids=forgeries.keys())


def test_the_routes_that_take_a_token_are_known() -> None:
    found = {(route.method, route.rule) for route in ROUTES}
    assert found >= {
        ("GET", "/api/auth/me"),
        ("GET", "/api/auth/admin-only"),
        ("DELETE", "/api/auth/logout"),
        ("POST", "/api/auth/refresh"),
        ("GET", "/api/users/"),
        ("GET", "/api/users"),
        ("GET", "/api/users/<int:user_id>"),
        ("PUT", "/api/users/<int:user_id>"),
        ("PATCH", "/api/users/<int:user_id>"),
        ("DELETE", "/api/users/<int:user_id>"),
    }
    assert [route.rule for route in ROUTES if route.takes_refresh_token] == ["/api/auth/refresh"]


@cases(SIGNATURES)
def test_a_token_that_we_did_not_sign_is_invalid(
    attack: Attack, access: Forge, refresh: Forge, victim: Account, forgery: Forgery
) -> None:
    assert refused_everywhere(attack, access, refresh, victim, forgery) == {"INVALID_TOKEN"}


@cases(FORMS)
def test_a_token_of_another_form_is_invalid(
    attack: Attack, access: Forge, refresh: Forge, victim: Account, forgery: Forgery
) -> None:
    assert refused_everywhere(attack, access, refresh, victim, forgery) == {"INVALID_TOKEN"}


@cases(HEADERS)
def test_a_token_with_another_header_is_invalid(
    attack: Attack, access: Forge, refresh: Forge, victim: Account, forgery: Forgery
) -> None:
    assert refused_everywhere(attack, access, refresh, victim, forgery) == {"INVALID_TOKEN"}


@cases(CLAIMS)
def test_a_token_with_a_claim_that_is_wrong_is_invalid(
    attack: Attack, access: Forge, refresh: Forge, victim: Account, forgery: Forgery
) -> None:
    assert refused_everywhere(attack, access, refresh, victim, forgery) == {"INVALID_TOKEN"}


@cases(EXPIRED)
def test_a_token_whose_time_is_over_has_expired(
    attack: Attack, access: Forge, refresh: Forge, victim: Account, forgery: Forgery
) -> None:
    assert refused_everywhere(attack, access, refresh, victim, forgery) == {"TOKEN_EXPIRED"}


@cases(WRONG_TYPE)
def test_a_token_of_the_other_kind_is_of_the_wrong_type(
    attack: Attack, access: Forge, refresh: Forge, victim: Account, forgery: Forgery
) -> None:
    assert refused_everywhere(attack, access, refresh, victim, forgery) == {"WRONG_TOKEN_TYPE"}


@pytest.mark.parametrize("exp", [0, -1, -(10**30), 1], ids=["0", "-1", "-10^30", "1970"])
def test_a_token_from_before_all_time_is_refused(
    attack: Attack, access: Forge, refresh: Forge, victim: Account, exp: int
) -> None:
    refusals = refused_everywhere(attack, access, refresh, victim, lambda forge: forge.with_claims(exp=exp))
    assert refusals <= {"INVALID_TOKEN", "TOKEN_EXPIRED"}


def test_a_refresh_token_does_not_work_with_another_users_session(
    attack: Attack, refresh: Forge, stranger: Account
) -> None:
    forged = replace(refresh, token=stranger.refresh_token).with_claims(sub=refresh.claims["sub"])
    answer = attack.call("POST", "/api/auth/refresh", token=forged)
    assert (answer.status, answer.json()["code"]) == (401, "INVALID_TOKEN")


def test_a_refresh_token_of_a_session_that_never_was_is_invalid(attack: Attack, refresh: Forge) -> None:
    answer = attack.call("POST", "/api/auth/refresh", token=refresh.with_claims(sid=str(uuid.uuid4())))
    assert (answer.status, answer.json()["code"]) == (401, "INVALID_TOKEN")


@pytest.mark.parametrize(
    "forgery",
    [
        lambda f: f.sign(),
        lambda f: f.with_times(iat=20, nbf=20),
        lambda f: f.with_claims(role="admin", unknown={"a": [None]}),
        lambda f: f.with_claims(filling="x" * 2000),
    ],
    ids=["as issued", "a little ahead", "with unknown claims", "long"],
)
def test_a_token_as_we_issue_it_is_good(attack: Attack, access: Forge, victim: Account, forgery: Forgery) -> None:
    """What a forgery is refused for is its own fault, and not that of the forge."""
    answer = attack.call("GET", "/api/auth/me", token=forgery(access))
    assert (answer.status, answer.json()["id"]) == (200, victim.id)


def test_every_route_without_a_token_misses_one(attack: Attack, victim: Account) -> None:
    connection = attack.connect()
    for route in ROUTES:
        answer = connection.call(route.method, route.target(victim.id), route.body)
        assert (answer.status, answer.json()["code"]) == (401, "TOKEN_MISSING"), route
        assert answer.headers["www-authenticate"] == "Bearer"


def test_head_is_guarded_as_get_is(attack: Attack, access: Forge, victim: Account) -> None:
    connection = attack.connect()
    for route in (route for route in ROUTES if route.method == "GET"):
        assert connection.call("HEAD", route.target(victim.id), token=resigned(access)).status == 401, route


def test_options_do_nothing(attack: Attack, access: Forge, victim: Account) -> None:
    connection = attack.connect()
    for target in sorted({route.target(victim.id) for route in ROUTES}):
        assert connection.call("OPTIONS", target, token=access.token).status in (200, 204, 405), target


def test_a_demoted_admins_token_says_nothing_of_roles(attack: Attack, stranger: Account) -> None:
    forge = Forge(stranger.access_token, stranger.refresh_token, stranger.access_token)
    forged = forge.with_claims(role="admin", is_admin=True, scope="admin", roles=["admin"])
    answer = attack.call("GET", "/api/auth/admin-only", token=forged)
    assert (answer.status, answer.json()["code"]) == (403, "ADMIN_REQUIRED")


NO_JSON: dict[str, Forgery] = {
    "claims with a byte order mark": lambda f: f.sign(claims=b"\xef\xbb\xbf" + json.dumps(f.claims).encode()),
    "claims in UTF-16": lambda f: f.sign(claims=json.dumps(f.claims).encode("utf-16")),
    "claims in UTF-32": lambda f: f.sign(claims=json.dumps(f.claims).encode("utf-32-le")),
    "claims with an encoded surrogate": lambda f: f.sign(
        claims=json.dumps(f.claims).encode()[:-1] + b', "x": "\xed\xa0\x80"}'
    ),
    "NaN in the claims": lambda f: f.with_text("x", "NaN"),
    "Infinity in the claims": lambda f: f.with_text("x", "-Infinity"),
    "header with a byte order mark": lambda f: f.sign(b"\xef\xbb\xbf" + json.dumps(f.header).encode()),
    "header in UTF-16": lambda f: f.sign(json.dumps(f.header).encode("utf-16")),
}


@cases(NO_JSON)
def test_a_token_of_what_is_no_json_is_invalid(attack: Attack, forgery: Forgery) -> None:
    """RFC 7519 §7.2: header and claims are UTF-8 and completely valid JSON."""
    ann, bob = attack.signed_in(role="admin"), attack.signed_in()
    access = Forge(ann.access_token, ann.refresh_token, bob.access_token)
    refresh = Forge(ann.refresh_token, ann.access_token, bob.refresh_token)
    assert refused_everywhere(attack, access, refresh, ann, forgery) == {"INVALID_TOKEN"}
