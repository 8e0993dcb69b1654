"""The OpenAPI 3.1 document, made from the URL map and from what decorators and docstrings say of the views.

No resource is known in here: what the product is called and how it knows its callers comes as `About`.

    document    paths, operations and what they share
    answers     headers and answers: of success, and of each set of problems
    schemas     JSON Schemas of pydantic models, and examples that fit them
"""
