"""Collections over SQLAlchemy on asyncpg, and the units of work that hold them. Statements live here and nowhere else.

Who commits: the unit of work, once, when its block ends normally. No repository does.
"""
