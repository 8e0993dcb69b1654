"""Who wrote what and when: moments in the past, and whose. No words.

Moments are whole microseconds since 1970, in UTC; those of one kind rise, and no two are the same. Nobody writes before
they have an account, and nothing is answered before it is there.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from random import Random

SECOND = 1_000_000
"""Microseconds, as are all moments here."""
HOUR = 3600 * SECOND
DAYS = 3 * 365
"""How far back it goes."""
_GROWTH = 4
"""How much more happens in the last hour than in the first."""
_BY_HOUR = (2, 1, 1, 1, 1, 2, 3, 5, 7, 8, 8, 8, 9, 8, 7, 7, 8, 9, 10, 11, 11, 9, 6, 4)
_BY_WEEKDAY = (10, 10, 10, 9, 7, 8, 10)
"""From Thursday, which 1 January 1970 was."""
_SKEW = 10 / 3
"""How much more the popular have: of a million posts, the first has about 16 in a thousand of all comments."""
_SCATTER = 2_654_435_761
"""A prime above all counts: the multiples of it, modulo a count, are all numbers below that in another order."""
_DELAY = 3 * HOUR
"""Half of all comments come earlier after their post."""
_DELAY_SPREAD = 1.5
_EDITED = 0.05
"""The share of posts and comments."""
_LAST_POST, _LAST_USER = 60 * SECOND, 120 * SECOND
"""So long before the end, for somebody to answer."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be made: how many of each kind, out of which number, and up to which moment.

    Posts need users, and comments need posts.
    """

    users: int
    posts: int
    comments: int
    seed: int
    until: int

    @property
    def since(self) -> int:
        """The moment at which it all begins."""
        return self.until - DAYS * 24 * HOUR


class History:
    """What happened, by a plan; the same plan, the same history. Users and posts go by their place in time, from 0."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._random = Random(f"{plan.seed}/history")
        self.joined = self._moments(plan.users, plan.until - _LAST_USER)
        if self.joined:
            self.joined[0] = plan.since
        self.posted = self._moments(plan.posts, plan.until - _LAST_POST)

    def comments(self) -> Iterator[tuple[int, int]]:
        """Yield the moment and the post of each comment.

        They are drawn post by post and sorted, for which each takes about 60 bytes of memory.
        """
        one, posts, until = self._random.random, len(self.posted), self._plan.until
        offset = int(posts * one())
        drawn = []
        for _ in range(self._plan.comments):
            post = (int(posts * one() ** _SKEW) * _SCATTER + offset) % posts
            begin = self.posted[post] + SECOND
            moment = begin + self._delay()
            if moment >= until:
                moment = begin + int((until - begin) * one())
            drawn.append(moment * posts + post)
        drawn.sort()
        moments = _rising((both // posts for both in drawn), self._plan.since, until)
        for moment, both in zip(moments, drawn, strict=True):
            yield moment, both % posts

    def writer(self) -> Callable[[int], int]:
        """Return what tells the author of something, to be asked with moments that rise."""
        one, joined, users = self._random.random, self.joined, len(self.joined)
        there, offset = 0, int(users * one())

        def write(moment: int) -> int:
            nonlocal there
            while there < users and joined[there] < moment:
                there += 1
            author = (int(users * one() ** _SKEW) * _SCATTER + offset) % users
            return author if author < there else int(there * one())

        return write

    def edited(self, moment: int) -> int:
        """Return when something that was made at this moment was changed last: mostly then, seldom later."""
        if self._random.random() > _EDITED:
            return moment
        return min(moment + self._delay(), self._plan.until)

    def _delay(self) -> int:
        chance = self._random.random()
        return int(_DELAY * (chance / (1 - chance)) ** _DELAY_SPREAD)

    def _moments(self, count: int, until: int) -> array[int]:
        """Return as many moments, more of them by day than by night, and the more the later."""
        since = self._plan.since
        hours = range((until - since) // HOUR)
        weights = list(accumulate(_weight(since // HOUR + hour, hour / len(hours)) for hour in hours))
        one = self._random.random
        drawn = self._random.choices(hours, cum_weights=weights, k=count)
        return _rising(sorted(since + hour * HOUR + int(one() * HOUR) for hour in drawn), since, until)


def _weight(hour: int, part: float) -> float:
    """Return how much happens in an hour, counted from 1970, after this part of all time."""
    return _BY_HOUR[hour % 24] * _BY_WEEKDAY[hour // 24 % 7] * (1 + (_GROWTH - 1) * part)


def _rising(moments: Iterable[int], since: int, until: int) -> array[int]:
    """Return moments that are sorted as moments between these two of which no two are the same."""
    rising, last = array("q"), since
    for moment in moments:
        last = max(moment, last + 1)
        rising.append(last)
    for place in reversed(range(len(rising))):
        if rising[place] < until:
            break
        rising[place] = until = until - 1
    return rising
