"""Who has an account: names from several scripts, which are nobody's, and the addresses that go with them.

The number of an account and of the seed are in both, so that accounts of different seeds never have the same name, and
whoever tests under load can compute the address of each.
"""

from __future__ import annotations

from random import Random

_GIVEN = """
anna ben clara david elena felix grace hugo ida jonas klara liam maria noah olivia paul rosa simon tessa victor wanda
yusuf zoe amina boris carmen dmitri esther farid greta hana ivan jana karim lucia mateo nadia oskar priya rafael sofia
tariq ursula vera william ximena yara zofia aiko bjorn chiara diego emre fatima
""".split()
_FAMILY = """
smith garcia novak kowalska muller rossi silva jensen ivanova haddad tanaka kim nguyen okafor mensah cohen dubois
andersson virtanen papadopoulos horvath popescu yilmaz sharma khan santos moreau bakker keller lindqvist oneill fraser
byrne castillo romero fischer weber lehmann moretti ferrari costa pereira nilsson larsen korhonen balogh dvorak
""".split()
_ELSEWHERE = """
αλέξανδρος ελένη γιώργος σοφία дмитрий анастасия сергей ольга мария ирина դավիթ մարիամ ნინო გიორგი דוד מרים أحمد فاطمة
خالد ليلى 田中 山本 さくら ひろし 김민준 이서연 王伟 李娜 陈静 josé françois zoë jürgen øyvind łukasz ñusta đorđe
""".split()
_MARKS = (".", "_", "-", "")


class People:
    """Makes up people, one after the other."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = Random(f"{seed}/people")

    def username(self, number: int) -> str:
        """Return the next one's name: 3 to 80 letters, digits, dots and the like, as the contract wants it."""
        one = self._random.random
        if one() < 0.04:
            name = _ELSEWHERE[int(one() * len(_ELSEWHERE))]
        else:
            given, family = _GIVEN[int(one() * len(_GIVEN))], _FAMILY[int(one() * len(_FAMILY))]
            mark = _MARKS[int(one() * len(_MARKS))]
            name = given + mark + family if one() < 0.8 else given[0] + mark + family
        return f"{name}{number}_{self._seed}"


def email(number: int, seed: int) -> str:
    """Return the address of an account, which nobody can have (RFC 2606)."""
    return f"user{number}@seed-{seed}.example.com"
