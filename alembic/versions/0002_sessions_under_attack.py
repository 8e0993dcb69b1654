"""What a session's current pair is signed again from, rate counts and failed logins."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    # The defaults let processes of the version before go on until they are replaced, and are constant or now(), so that
    # the table is not rewritten. A password change does not reach access tokens that such a process has made: they are
    # good for their 15 minutes. No release has had that version.
    nil, now = sa.text("'00000000-0000-0000-0000-000000000000'::uuid"), sa.func.now()
    op.add_column("sessions", sa.Column("access_jti", sa.Uuid, nullable=False, server_default=nil))
    op.add_column("sessions", sa.Column("kid", sa.Text, nullable=False, server_default=""))
    op.add_column("sessions", sa.Column("issued_at", TIMESTAMP, nullable=False, server_default=now))
    op.add_column("sessions", sa.Column("access_expires_at", TIMESTAMP, nullable=False, server_default=now))
    op.create_table(
        "rate_counts",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("expires_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_rate_counts")),
        prefixes=["UNLOGGED"],
    )
    op.create_index(op.f("ix_rate_counts_expires_at"), "rate_counts", ["expires_at"])
    op.create_table(
        "login_failures",
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("network", sa.Text, nullable=False),
        sa.Column("failures", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("locked_until", TIMESTAMP, nullable=True),
        sa.Column("expires_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("account", "network", name=op.f("pk_login_failures")),
    )
    op.create_index(op.f("ix_login_failures_expires_at"), "login_failures", ["expires_at"])


def downgrade() -> None:
    op.drop_table("login_failures")
    op.drop_table("rate_counts")
    for column in ("access_expires_at", "issued_at", "kid", "access_jti"):
        op.drop_column("sessions", column)
