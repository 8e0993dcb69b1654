"""The words that prose is made of, the most frequent first; no grammar, and no chance.

Beside the English words, which all but a handful of posts share, there are coined names of places, as many as
`PLACES` says: their frequencies fall until the last ones are in one post of a million, or in none.
"""

from __future__ import annotations

NOUNS = """
time day house garden river letter window kitchen road engine story book train market teacher neighbour bridge table
question answer morning evening winter summer city village mountain harbour library station bicycle painter doctor
farmer sailor lamp clock mirror camera telephone piano violin song poem picture map journey ship boat island beach
forest tree apple orchard bread cheese soup coffee tea cup bottle basket blanket pillow chair bench door key lock wall
roof chimney cellar attic stair floor carpet curtain candle fire smoke rain snow storm wind cloud star moon sun planet
telescope experiment theory number triangle puzzle riddle game chess player team match goal prize medal race runner
horse dog cat bird sparrow owl fox bear wolf rabbit squirrel hedgehog beetle spider butterfly fish salmon whale
lighthouse anchor compass sail rope knot hammer saw nail workshop factory machine wheel gear spring battery cable
signal radio keyboard screen printer server database network router packet protocol compiler parser function variable
loop array pointer kernel driver cache queue thread process scheduler deadline budget invoice contract meeting agenda
report summary draft editor publisher newspaper headline column archive museum statue gallery theatre stage curator
composer conductor orchestra trumpet drum melody rhythm festival parade fountain avenue tunnel ferry passenger ticket
luggage passport border customs hostel tent campfire lantern backpack trail summit glacier valley meadow pasture barn
tractor harvest wheat barley mill baker recipe oven pancake dumpling pepper cinnamon saffron vinegar mustard pickle
""".split()

ADJECTIVES = """
good new old small long quiet young early cold warm green blue red dark bright empty heavy simple strange clever honest
gentle patient careful narrow broad hidden broken wooden iron golden silver dusty muddy frozen distant nearby familiar
forgotten famous ordinary curious stubborn cheerful gloomy sleepy hungry thirsty nervous brave modest generous lonely
silent noisy rapid sluggish fragile sturdy hollow crooked smooth rough sharp blunt sweet bitter sour salty fragrant
mysterious obvious temporary permanent accidental deliberate reliable doubtful splendid miserable enormous tiny
asynchronous concurrent recursive immutable redundant obsolete experimental portable waterproof magnetic luminous
""".split()

VERBS = """
found made saw took kept left lost bought sold moved opened closed painted repaired cleaned carried followed watched
heard described explained measured counted compared replaced restored improved ignored forgot remembered admired
avoided borrowed returned delivered collected discovered examined tested built rebuilt designed sketched photographed
recorded translated published reviewed corrected simplified doubled halved delayed cancelled postponed accelerated
benchmarked refactored deployed documented abandoned inherited rescued polished sharpened soaked roasted pickled
""".split()

ADVERBS = """
again later slowly quickly quietly suddenly finally carefully often rarely nearly almost gladly reluctantly patiently
secretly openly gently firmly twice somehow elsewhere eventually unexpectedly deliberately accidentally reasonably
thoroughly occasionally stubbornly cheerfully hastily
""".split()

MOMENTS = (
    "yesterday, today, tonight, overnight, on Monday, on Tuesday, on Wednesday, on Thursday, on Friday, last night, "
    "at the weekend, last week, last month, last year, in January, in March, in May, in July, in September, at noon, "
    "at midnight, before breakfast, after lunch, during the night, in the end"
).split(", ")

_BEGINNINGS = """
Alder Amber Ash Bel Birch Bram Cald Cor Dor Dun Elm Fal Fen Gar Glen Hal Hart Hol Ivar Kel Kor Lind Lor Mar Mel Mor
Nar Nor Oak Orm Pell Quin Ral Ros Sel Stan Tal Thorn Ul Vel Wen Yar Zel
""".split()
_MIDDLES = "a e i o u ae an ar el en er il in ir ol on or ul un ur and end ing old ern ist".split()
_ENDS = """
bach beck bridge bury by cliff combe croft dale den don fell field ford gate grave ham haven holm hurst lake land ley
low mere mouth ness ney pool port quay ridge scar shaw side stead stoke thorpe ton vale wick worth
""".split()
PLACES = len(_BEGINNINGS) * len(_MIDDLES) * len(_ENDS)
"""How many places there are: about 50,000."""


def place(number: int) -> str:
    """Return a coined name of a place; numbers from 0 to `PLACES` have different ones."""
    number, beginning = divmod(number, len(_BEGINNINGS))
    middle, end = divmod(number, len(_ENDS))
    return _BEGINNINGS[beginning] + _MIDDLES[middle] + _ENDS[end]
