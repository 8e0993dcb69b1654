"""postern: a REST service for accounts, tokens, posts and comments."""

__version__ = "0.1.0"
