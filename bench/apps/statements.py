"""One statement for each thing that is asked: SQLAlchemy's Core, columns instead of entities, built once."""

from __future__ import annotations

from bench.apps.tables import BlocklistEntry, Post, Session, User
from sqlalchemy import ARRAY, BigInteger, Uuid, any_, bindparam, exists, func, insert, select

COUNTED_ROWS = 10_000

PUBLIC = (User.id, User.username, User.is_active, User.created_at, User.updated_at)
PRIVATE = (*PUBLIC, User.email, User.role)
BLOCKED = exists().where(BlocklistEntry.id == any_(bindparam("blocked_ids", type_=ARRAY(Uuid))))
CALLER = select(*PRIVATE, BLOCKED.label("revoked")).where(User.id == bindparam("user_id", type_=BigInteger))
USERS = (
    select(*PRIVATE)
    .where(~User.is_removed)
    .order_by(User.created_at.desc(), User.id.desc())
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
)
COUNT = select(func.count()).select_from(select(User.id).where(~User.is_removed).limit(COUNTED_ROWS + 1).subquery())
POST = (
    select(Post.id, Post.title, Post.body, User.username.label("author"), Post.author_id)
    .add_columns(Post.created_at, Post.updated_at)
    .join(User, User.id == Post.author_id)
    .where(Post.id == bindparam("post_id"), ~Post.is_removed, ~User.is_removed)
)
NEW_POST = insert(Post).returning(Post.id, Post.created_at, Post.updated_at)
LOGIN = select(*PRIVATE, User.password_hash).where(User.email_key == func.postern_fold(bindparam("email")))
NEW_SESSION = insert(Session)
