"""Rows that look like life's: accounts, posts and comments out of one number. Nothing here knows SQL or the database.

`vocabulary` and `people` hold the words, `prose` makes sentences of them, `history` says who wrote what and when, and
`rows` puts all of it together.
"""
