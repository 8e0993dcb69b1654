"""Posts, comments, kept answers, and what lists of accounts are sorted and searched by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0003"
down_revision = "0002"

TIMESTAMP = sa.DateTime(timezone=True)
USERNAME_ORDER = 'left(username_key COLLATE "C", 80)'

# Every three characters that follow one another. An extension (pg_trgm) would do it too, where it can be had.
TRIGRAMS = """
CREATE FUNCTION postern_trigrams(value text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN ARRAY(SELECT substr(value, place, 3) FROM generate_series(1, char_length(value) - 2) AS place)
"""

# What posts are searched by. PostgreSQL's parser takes quadratic time for a run of characters that looks over and over
# like the beginning of an address, a path or a tag: so runs are cut, and nothing is a tag.
WORDS = """
CREATE FUNCTION postern_words(value text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN regexp_replace(translate(value, '<>', '  '), '\\S{100}', '\\& ', 'g')
"""

# RFC 9562 §5.7, for rows that SQL inserts without an id: 48 bits of milliseconds over a random UUID, whose version 4
# becomes 7 by its bits 52 and 53. PostgreSQL has one of its own since 18.
UUID7 = """
CREATE FUNCTION postern_uuid7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN encode(
    set_bit(
        set_bit(
            overlay(
                uuid_send(gen_random_uuid())
                PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                FROM 1 FOR 6
            ),
            52, 1
        ),
        53, 1
    ),
    'hex'
)::uuid
"""


def upgrade() -> None:
    op.execute(TRIGRAMS)
    op.execute(UUID7)
    op.execute(WORDS)
    # Building these keeps writes of accounts out, and reads not: what keeps those out comes last, and takes a moment.
    order = sa.text(USERNAME_ORDER)
    op.create_index("ix_users_is_active_created_at_id", "users", ["is_active", "created_at", "id"])
    op.create_index("ix_users_username_order", "users", [order, "id"])
    op.create_index("ix_users_is_active_username_order", "users", ["is_active", order, "id"])
    trigrams = sa.text("postern_trigrams(username_key)")
    op.create_index("ix_users_trigrams", "users", [trigrams], postgresql_using="gin")
    op.create_table(
        "posts",
        sa.Column("id", sa.Uuid, nullable=False, server_default=sa.text("postern_uuid7()")),
        sa.Column("author_id", sa.BigInteger, nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created_at", TIMESTAMP, nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", TIMESTAMP, nullable=False, server_default=sa.func.now()),
        sa.Column("is_removed", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column(
            "search",
            TSVECTOR,
            # With the author among the words, one index finds what somebody wrote about something.
            sa.Computed(
                "to_tsvector('english', postern_words(title || ' ' || body))"
                " || array_to_tsvector(ARRAY['author ' || author_id])",
                persisted=True,
            ),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name=op.f("fk_posts_author_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_posts")),
    )
    # With what a list's rows have to be, so that it steps over what is hidden, or before a page, by the index alone.
    op.create_index(
        op.f("ix_posts_created_at_id"),
        "posts",
        ["created_at", "id"],
        postgresql_include=["author_id", "is_removed"],
    )
    op.create_index(
        op.f("ix_posts_author_id_created_at_id"),
        "posts",
        ["author_id", "created_at", "id"],
        postgresql_include=["is_removed"],
    )
    op.create_index(op.f("ix_posts_search"), "posts", ["search"], postgresql_using="gin")
    op.create_index("ix_posts_is_removed", "posts", ["id"], postgresql_where=sa.text("is_removed"))
    op.create_table(
        "comments",
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("post_id", sa.Uuid, nullable=False),
        sa.Column("author_id", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created_at", TIMESTAMP, nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", TIMESTAMP, nullable=False, server_default=sa.func.now()),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name=op.f("fk_comments_author_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name=op.f("fk_comments_post_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comments")),
    )
    op.create_index(op.f("ix_comments_author_id"), "comments", ["author_id"])
    op.create_index(
        op.f("ix_comments_post_id_created_at_id"),
        "comments",
        ["post_id", "created_at", "id"],
        postgresql_include=["author_id"],
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("scope", sa.LargeBinary, nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("status", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("etag", sa.Text, nullable=False),
        sa.Column("expires_at", TIMESTAMP, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_idempotency_keys_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_expires_at"), "idempotency_keys", ["expires_at"])
    op.create_index(op.f("ix_idempotency_keys_user_id"), "idempotency_keys", ["user_id"])
    op.add_column("users", sa.Column("is_removed", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index("ix_users_is_removed", "users", ["id"], postgresql_where=sa.text("is_removed"))


def downgrade() -> None:
    op.execute("DELETE FROM users WHERE is_removed")  # or those that are deleted would be back
    for table in ("idempotency_keys", "comments", "posts"):
        op.drop_table(table)
    for index in ("is_removed", "trigrams", "is_active_username_order", "username_order", "is_active_created_at_id"):
        op.drop_index(f"ix_users_{index}", "users")
    op.drop_column("users", "is_removed")
    op.execute("DROP FUNCTION postern_words(text)")
    op.execute("DROP FUNCTION postern_uuid7()")
    op.execute("DROP FUNCTION postern_trigrams(text)")
