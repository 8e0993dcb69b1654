from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterator

import argon2
import pytest
from service.errors import Unavailable
from service.passwords import NICENESS, PasswordHasher

MakeHasher = Callable[..., PasswordHasher]


@pytest.fixture
def make_hasher() -> Iterator[MakeHasher]:
    made: list[PasswordHasher] = []

    def make(*, threads: int = 1, queue: int = 64, wait_seconds: float = 2, **parameters: int) -> PasswordHasher:
        cost = {"passes": 2, "memory_kib": 19_456} | parameters
        made.append(PasswordHasher(**cost, threads=threads, queue=queue, wait_seconds=wait_seconds))
        return made[-1]

    yield make
    for hasher in made:
        hasher.close()


def spied_on(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes that are checked from now on."""
    checked: list[str] = []
    verify = argon2.PasswordHasher.verify

    def spy(hasher: argon2.PasswordHasher, password_hash: str, password: str) -> bool:
        checked.append(password_hash)
        return verify(hasher, password_hash, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", spy)
    return checked


async def test_a_password_belongs_to_its_hash(make_hasher: MakeHasher) -> None:
    hasher = make_hasher()

    assert await hasher.verify("correct horse", await hasher.hash("correct horse"))


async def test_another_password_does_not(make_hasher: MakeHasher) -> None:
    hasher = make_hasher()

    assert not await hasher.verify("correct horsf", await hasher.hash("correct horse"))


async def test_equal_passwords_have_different_hashes(make_hasher: MakeHasher) -> None:
    hasher = make_hasher()

    assert await hasher.hash("correct horse") != await hasher.hash("correct horse")


async def test_hashes_are_argon2id_as_owasp_asks(make_hasher: MakeHasher) -> None:
    assert (await make_hasher().hash("x")).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize("password", ["", "x" * 5000, "pässwörd", "\N{SNOWMAN}" * 100], ids=["", "long", "é", "snow"])
async def test_any_text_can_be_a_password(make_hasher: MakeHasher, password: str) -> None:
    hasher = make_hasher()

    assert await hasher.verify(password, await hasher.hash(password))


async def test_nobody_has_no_password(make_hasher: MakeHasher) -> None:
    assert not await make_hasher().verify("correct horse", None)


async def test_the_hash_of_nobody_looks_like_any_other(make_hasher: MakeHasher) -> None:
    hasher = make_hasher(passes=3, memory_kib=64)
    real = await hasher.hash("x")

    assert argon2.extract_parameters(hasher._nobodys_hash) == argon2.extract_parameters(real)
    assert len(hasher._nobodys_hash) == len(real)


@pytest.mark.parametrize(
    "password_hash",
    [
        "",
        "x",
        "correct horse",
        "!",
        "$argon2id$",
        "$argon2id$v=19$m=19456,t=2,p=1$",
        "$argon2id$v=19$m=19456,t=2,p=1$é$é",
        "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$",
        "$argon2id$v=19$m=8,t=0,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ",
        "$2b$12$KIXQ4O8h6gS4QhV8KpQ5Ue5m8Hq1Q6b0bq5m8Hq1Q6b0bq5m8Hq1Q",
        "é",
    ],
)
async def test_a_malformed_hash_belongs_to_no_password(make_hasher: MakeHasher, password_hash: str) -> None:
    assert not await make_hasher().verify("correct horse", password_hash)


@pytest.mark.parametrize(
    "cost", ["m=262145,t=1,p=1", "m=262144,t=5,p=1", "m=4194304,t=1,p=1", "m=4096,t=1,p=17", "m=8,t=4000000000,p=1"]
)
async def test_an_absurdly_dear_hash_is_not_even_checked(
    make_hasher: MakeHasher, cost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasher = make_hasher(passes=1, memory_kib=8)
    checked = spied_on(monkeypatch)

    assert not await hasher.verify("correct horse", f"$argon2id$v=19${cost}$c2FsdHNhbHQ$c2FsdHNhbHQ")
    assert checked == [hasher._nobodys_hash]


@pytest.mark.parametrize("password_hash", [None, "x", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$"])
async def test_who_has_no_good_hash_costs_as_much_as_who_has(
    make_hasher: MakeHasher, password_hash: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasher = make_hasher(passes=1, memory_kib=8)
    checked = spied_on(monkeypatch)

    assert not await hasher.verify("correct horse", password_hash)
    assert checked[-1] == hasher._nobodys_hash


async def test_a_hash_of_other_parameters_is_outdated(make_hasher: MakeHasher) -> None:
    old, new = make_hasher(passes=1, memory_kib=8), make_hasher(passes=2, memory_kib=16)

    assert new.is_outdated(await old.hash("x"))
    assert not new.is_outdated(await new.hash("x"))


async def test_the_loop_goes_on_meanwhile(make_hasher: MakeHasher) -> None:
    hasher = make_hasher()
    hashing = asyncio.create_task(hasher.hash("x"))
    turns = 0
    while not hashing.done():
        await asyncio.sleep(0.001)
        turns += 1

    assert turns > 1


async def test_whoever_comes_to_a_full_queue_is_refused_at_once(make_hasher: MakeHasher) -> None:
    hasher = make_hasher(threads=1, queue=2)
    leave, served = asyncio.Event(), []

    async def stay() -> None:
        async with hasher.place():
            await leave.wait()
            served.append(await hasher.hash("x"))

    staying = [asyncio.create_task(stay()) for _ in range(3)]  # one has a place, two wait
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await stay()
    leave.set()
    await asyncio.gather(*staying)

    assert len(served) == 3


async def test_whoever_waits_too_long_is_refused_and_leaves_no_place_taken(make_hasher: MakeHasher) -> None:
    hasher = make_hasher(threads=1, queue=1, wait_seconds=0.02)
    async with hasher.place():
        for _ in range(3):
            with pytest.raises(Unavailable):
                async with hasher.place():
                    pytest.fail("a second place")

    async with hasher.place():
        assert await hasher.hash("x")


async def test_cancelled_callers_leave_no_place_taken(make_hasher: MakeHasher) -> None:
    hasher = make_hasher(threads=1, queue=4)

    async def in_place() -> str:
        async with hasher.place():
            return await hasher.hash("x")

    tasks = [asyncio.create_task(in_place()) for _ in range(5)]
    await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert await asyncio.gather(*(in_place() for _ in range(5)))


async def test_those_who_are_refused_are_told_to_come_one_after_the_other(make_hasher: MakeHasher) -> None:
    hasher = make_hasher(threads=1, queue=0)
    async with hasher.place():
        told = []
        for _ in range(2000):
            with pytest.raises(Unavailable) as refused:
                async with hasher.place():
                    pytest.fail("a second place")
            told.append(int(refused.value.headers["Retry-After"]))

    assert told[0] == 1
    assert told == sorted(told)
    assert 1 < told[-1] <= 30


async def test_as_many_run_at_once_as_there_are_threads(make_hasher: MakeHasher) -> None:
    hasher = make_hasher(threads=2)
    both = threading.Barrier(2, timeout=5)

    assert sorted(await asyncio.gather(hasher._run(both.wait), hasher._run(both.wait))) == [0, 1]


async def test_hashing_lets_all_others_go_first(make_hasher: MakeHasher, monkeypatch: pytest.MonkeyPatch) -> None:
    niceness: list[int] = []
    make_hash = argon2.PasswordHasher.hash

    def look(hasher: argon2.PasswordHasher, password: str) -> str:
        niceness.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return make_hash(hasher, password)

    hasher, own = make_hasher(passes=1, memory_kib=8), os.getpriority(os.PRIO_PROCESS, 0)
    monkeypatch.setattr(argon2.PasswordHasher, "hash", look)

    await hasher.hash("correct horse")

    assert niceness == [min(19, own + NICENESS) if sys.platform == "linux" else own]
    assert os.getpriority(os.PRIO_PROCESS, 0) == own


async def last_turn_of_a_hundred(hasher: PasswordHasher) -> int:
    turns = []
    async with hasher.place():
        for _ in range(100):
            with pytest.raises(Unavailable) as refused:
                async with hasher.place():
                    pytest.fail("there is one place")
            turns.append(int(refused.value.headers["Retry-After"]))
    assert turns == sorted(turns)
    return turns[-1]


async def test_turns_are_as_far_apart_as_passwords_have_lately_taken(make_hasher: MakeHasher) -> None:
    hasher = make_hasher(queue=0, passes=1, memory_kib=8)
    assert await last_turn_of_a_hundred(hasher) == 1
    for _ in range(40):
        async with hasher.place():
            await hasher.hash("x")
            await asyncio.sleep(0.02)

    assert await last_turn_of_a_hundred(hasher) in (2, 3)


async def test_whoever_is_refused_in_a_place_makes_no_turn_shorter(make_hasher: MakeHasher) -> None:
    hasher = make_hasher(queue=0, passes=4, memory_kib=19_456)
    for _ in range(100):
        async with hasher.place():
            pass

    assert await last_turn_of_a_hundred(hasher) > 1
