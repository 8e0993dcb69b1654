"""Where views find the context of their process."""

from __future__ import annotations

from typing import cast

from flask import Flask, current_app

from service.context import Context
from service.errors import Unavailable

KEY = "postern"


def attach(app: Flask, context: Context | None) -> None:
    """Let the app's views find the context; None while there is none."""
    app.extensions[KEY] = context


def get_context() -> Context:
    """Return the context of the app that serves the request.

    Raises:
        Unavailable: the server has not opened the lifespan, or closed it already.
    """
    context = current_app.extensions.get(KEY)
    if context is None:
        raise Unavailable
    return cast(Context, context)
