"""Accounts, sessions and the token blocklist."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import INET

revision = "0001"
down_revision = None

TIMESTAMP = sa.DateTime(timezone=True)

# What makes two names the same: compatibility forms and letter case (Unicode NFKC, then case folding where this
# PostgreSQL has it, else the lower case). Immutable, so that a generated column may use it.
FOLD = """
DO $do$
BEGIN
    EXECUTE 'CREATE FUNCTION postern_fold(value text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE'
        || ' RETURN normalize('
        || CASE
            WHEN current_setting('server_version_num')::int >= 180000
            THEN 'casefold(normalize(value, NFKC) COLLATE pg_catalog.pg_unicode_fast)'
            ELSE 'lower(normalize(value, NFKC))'
        END
        || ', NFKC)';
END;
$do$
"""


def upgrade() -> None:
    op.execute(FOLD)
    op.create_table(
        "users",
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("username", sa.String(80), nullable=False),
        sa.Column("email", sa.String(120), nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False, server_default="user"),
        sa.Column("is_active", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("created_at", TIMESTAMP, nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", TIMESTAMP, nullable=False, server_default=sa.func.now()),
        sa.Column("username_key", sa.Text, sa.Computed("postern_fold(username)", persisted=True), nullable=False),
        sa.Column("email_key", sa.Text, sa.Computed("postern_fold(email)", persisted=True), nullable=False),
        sa.CheckConstraint("role IN ('user', 'admin')", name=op.f("ck_users_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email_key", name=op.f("uq_users_email_key")),
        sa.UniqueConstraint("username_key", name=op.f("uq_users_username_key")),
    )
    op.create_index(op.f("ix_users_created_at_id"), "users", ["created_at", "id"])
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid, nullable=False, server_default=sa.text("gen_random_uuid()")),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("refresh_jti", sa.Uuid, nullable=False),
        sa.Column("parent_jti", sa.Uuid, nullable=True),
        sa.Column("created_at", TIMESTAMP, nullable=False, server_default=sa.func.now()),
        sa.Column("last_used_at", TIMESTAMP, nullable=False, server_default=sa.func.now()),
        sa.Column("expires_at", TIMESTAMP, nullable=False),
        sa.Column("ends_at", TIMESTAMP, nullable=False),
        sa.Column("ended_at", TIMESTAMP, nullable=True),
        sa.Column("ip", INET, nullable=True),
        sa.Column("user_agent", sa.String(256), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"])
    op.create_index(op.f("ix_sessions_expires_at"), "sessions", ["expires_at"])
    op.create_table(
        "token_blocklist",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("expires_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token_blocklist")),
    )
    op.create_index(op.f("ix_token_blocklist_expires_at"), "token_blocklist", ["expires_at"])


def downgrade() -> None:
    op.drop_table("token_blocklist")
    op.drop_table("sessions")
    op.drop_table("users")
    op.execute("DROP FUNCTION postern_fold")
