"""Sentences, titles and bodies: English to the eye, nonsense to the mind.

Words follow Zipf's law, so that a full-text search finds one in every third post and another in one of a million. Most
of the work is done before: what is drawn for one post are a few numbers, each of which picks something ready.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from random import Random

from service.seeding import vocabulary

_SENTENCES = 6_000
_TITLES = 3_000
_REMARKS = 3_000
_LENGTHS = (1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 6)
"""Sentences of a body, each as often as any other."""
_LONG_ONE_IN = 200
_LONG_SENTENCES = 40
_PARAGRAPH = 5
"""Sentences."""

_OPENINGS = (
    "Thanks, that helped.",
    "I don't think so.",
    "Good point!",
    "The same here.",
    "Well said.",
    "Not in my experience.",
    "Could you say more about it?",
    "This made my day.",
    "Count me in.",
    "Really?",
)
_ABOUT_PLACES = (
    "It all began in",
    "That is how they do it in",
    "We shall see more of this in",
    "Somebody wrote to us about it from",
    "You will find nothing like it in",
    "The rest is known to everybody in",
    "I heard of it from a friend in",
    "Ask me again when I am back from",
)
_LOG_UNIFORM = vocabulary.PLACES + 1
"""To the power of a number between 0 and 1 it is a rank, from 1, of which each comes half as often as its half."""


class Prose:
    """Makes up what people write; the same seed, the same prose."""

    def __init__(self, seed: int) -> None:
        self._random = Random(f"{seed}/prose")
        grammar = _Grammar(self._random)
        self._sentences = [grammar.sentence() for _ in range(_SENTENCES)]
        self._titles = [grammar.title() for _ in range(_TITLES)]
        self._remarks = [grammar.sentence() for _ in range(_REMARKS)]
        self._places = _places(self._random)

    def post(self) -> tuple[str, str]:
        """Return a title and a body."""
        one = self._random.random
        place = self._places[int(_LOG_UNIFORM ** one()) - 1]
        title = self._titles[int(one() * _TITLES)]
        if one() < 0.3:
            title = f"{title} in {place}"
        long = one() * _LONG_ONE_IN < 1
        count = _LONG_SENTENCES if long else _LENGTHS[int(one() * len(_LENGTHS))]
        sentences = self._random.choices(self._sentences, k=count)
        sentences.append(f"{_ABOUT_PLACES[int(one() * len(_ABOUT_PLACES))]} {place}.")
        if count <= _PARAGRAPH:
            return title, " ".join(sentences)
        paragraphs = (sentences[start : start + _PARAGRAPH] for start in range(0, len(sentences), _PARAGRAPH))
        return title, "\n\n".join(map(" ".join, paragraphs))

    def remark(self) -> str:
        """Return what somebody says about a post."""
        one = self._random.random
        kind = one()
        if kind < 0.15:
            return _OPENINGS[int(one() * len(_OPENINGS))]
        remark = self._remarks[int(one() * _REMARKS)]
        return f"{_OPENINGS[int(one() * len(_OPENINGS))]} {remark}" if kind < 0.4 else remark


class _Grammar:
    """Makes sentences and titles of words, of which the first of each kind come most often."""

    def __init__(self, random: Random) -> None:
        self._choose = random.choice
        self._noun = _by_frequency(random, vocabulary.NOUNS)
        self._adjective = _by_frequency(random, vocabulary.ADJECTIVES)
        self._verb = _by_frequency(random, vocabulary.VERBS)
        self._adverb = _by_frequency(random, vocabulary.ADVERBS)
        self._moment = _by_frequency(random, vocabulary.MOMENTS)

    def sentence(self) -> str:
        """Return a sentence of 5 to 15 words."""
        sentence = self._fill(self._choose(_SENTENCE_PATTERNS))
        return sentence[0].upper() + sentence[1:]

    def title(self) -> str:
        """Return a title of 2 to 8 words, without a full stop."""
        title = self._fill(self._choose(_TITLE_PATTERNS))
        return title[0].upper() + title[1:]

    def _fill(self, pattern: str) -> str:
        adjective, noun = self._adjective(), self._noun()
        article = "an" if adjective[0] in "aeiou" else "a"
        return pattern.format(
            a=f"{adjective} {noun}",
            one=f"{article} {adjective} {noun}",
            n=self._noun(),
            m=self._noun(),
            o=self._noun(),
            q=self._adjective(),
            v=self._verb(),
            w=self._verb(),
            ly=self._adverb(),
            when=self._moment(),
        )


_SENTENCE_PATTERNS = (
    "the {a} {v} the {n}.",
    "{when} we {v} the {a} and {w} the {n}.",
    "nobody knows why the {n} {v} {one}.",
    "when the {n} {v} the {m}, the {a} was already {q}.",
    "I {v} the {n} {ly}, and the {m} stayed as {q} as it was.",
    "after the {n} came the {m}, and with it {one}.",
    "is the {n} really as {q} as the {m}?",
    "my {n} {v} your {m} {when}.",
    "a {q} {n} is worth more than {one} in the {m}.",
    "they {v} it {ly}, {w} it {when}, and went back to the {n}.",
    "there was {one} between the {n} and the {m}.",
    "whoever {v} the {n} must have seen the {a}.",
    "if you ask the {n}, the {m} has never been so {q}.",
    "the {n}, the {m} and the {o} were {ly} {v} {when}.",
)
_TITLE_PATTERNS = (
    "the {a}",
    "how we {v} the {n}",
    "why the {n} {v} the {m}",
    "{one} for the {n}",
    "the {n} and the {m}",
    "notes on the {a}",
    "what the {n} {v} {when}",
    "in praise of the {a}",
    "{n}, {m} and {o}",
    "a {q} {n} {when}",
    "on {q} {n} and {ly} {v} {m}",
)


def _by_frequency(random: Random, words: Sequence[str]) -> Callable[[], str]:
    """Return what draws words by Zipf's law: the second half as often as the first, the third a third as often."""
    weights = list(accumulate(1 / rank for rank in range(1, len(words) + 1)))
    return lambda: random.choices(words, cum_weights=weights)[0]


def _places(random: Random) -> list[str]:
    places = [vocabulary.place(number) for number in range(vocabulary.PLACES)]
    random.shuffle(places)
    return places
