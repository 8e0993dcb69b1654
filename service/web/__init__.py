"""HTTP machinery on Flask that knows no resource: bodies, queries, answers, problem documents, converters."""
