"""The one error of the embedded PostgreSQL; nothing else lives here."""


class EmbeddedPostgresError(RuntimeError):
    """PostgreSQL cannot run here; the message is one line for people that says what to do."""
