from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from service.errors import Unavailable
from service.passwords import PasswordHasher

MakeHasher = Callable[..., PasswordHasher]


@pytest.fixture
def make_hasher() -> Iterator[MakeHasher]:
    made: list[PasswordHasher] = []

    def make(*, threads: int = 1, queue: int = 64, wait_seconds: float = 2) -> PasswordHasher:
        made.append(PasswordHasher(threads=threads, queue=queue, wait_seconds=wait_seconds))
        return made[-1]

    yield make
    for hasher in made:
        hasher.close()


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
    served = [asyncio.create_task(hasher.hash("x")) for _ in range(3)]
    await asyncio.sleep(0)

    with pytest.raises(Unavailable):
        await hasher.hash("x")
    assert all(await asyncio.gather(*served))


async def test_whoever_waits_too_long_is_refused(make_hasher: MakeHasher) -> None:
    hasher = make_hasher(threads=1, wait_seconds=0.05)
    go_on = threading.Event()
    blocked = asyncio.create_task(hasher._run(go_on.wait))
    await asyncio.sleep(0)

    with pytest.raises(Unavailable):
        await hasher.hash("x")
    go_on.set()
    assert await blocked


async def test_who_was_refused_leaves_no_place_taken(make_hasher: MakeHasher) -> None:
    hasher = make_hasher(threads=1, queue=1, wait_seconds=0.02)
    go_on = threading.Event()
    blocked = asyncio.create_task(hasher._run(go_on.wait))
    await asyncio.sleep(0)
    for _ in range(3):
        with pytest.raises(Unavailable):
            await hasher.hash("x")
    go_on.set()
    await blocked

    assert await hasher.hash("x")


async def test_a_cancelled_caller_keeps_its_thread_until_the_hash_is_done(make_hasher: MakeHasher) -> None:
    hasher = make_hasher(threads=1, queue=0)
    go_on = threading.Event()
    cancelled = asyncio.create_task(hasher._run(go_on.wait))
    await asyncio.sleep(0)
    cancelled.cancel()
    with suppress(asyncio.CancelledError):
        await cancelled

    with pytest.raises(Unavailable):
        await hasher.hash("x")
    go_on.set()


async def test_cancelled_callers_leave_no_place_taken(make_hasher: MakeHasher) -> None:
    hasher = make_hasher(threads=1, queue=5, wait_seconds=2)
    tasks = [asyncio.create_task(hasher.hash("x")) for _ in range(5)]
    await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert await asyncio.gather(*(hasher.hash("x") for _ in range(5)))


async def test_as_many_run_at_once_as_there_are_threads(make_hasher: MakeHasher) -> None:
    hasher = make_hasher(threads=2)
    both = threading.Barrier(2, timeout=5)

    assert sorted(await asyncio.gather(hasher._run(both.wait), hasher._run(both.wait))) == [0, 1]
