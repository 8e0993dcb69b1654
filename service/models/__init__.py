"""Tables: columns, constraints and their names. No behaviour, no queries.

What operators' SQL may rely on is in the contract; every column beside those is generated or has a server default.
"""

from service.models.attempts import LoginFailures, RateCount
from service.models.base import Base
from service.models.idempotency import KeptAnswer
from service.models.posts import Comment, Post
from service.models.sessions import BlocklistEntry, Session
from service.models.users import User

SCHEMA_HEAD = "0003"
"""The migration this code needs. Revisions are numbered, so that one text comparison tells at or past it."""

__all__ = [
    "SCHEMA_HEAD",
    "Base",
    "BlocklistEntry",
    "Comment",
    "KeptAnswer",
    "LoginFailures",
    "Post",
    "RateCount",
    "Session",
    "User",
]
