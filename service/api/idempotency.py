"""`Idempotency-Key`: `@idempotent` inside of everything else, so that what is refused is never kept."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from flask import Response, request
from pydantic import BaseModel

from service.api.context import get_context
from service.errors import FieldFault, ValidationFailed
from service.services.idempotency import ALWAYS, AlreadyAnswered, Answer, Once
from service.services.principal import Principal
from service.web import conditional
from service.web.operation import View, describe
from service.web.operations import Reply

_KEY = re.compile("[!-~]{8,128}")


def idempotent(reply: Callable[[Any], Reply]) -> Callable[[View], View]:
    """Let what the view makes be made once for each `Idempotency-Key`: the view gets ``once`` for its use case.

    ``reply`` renders what the use case returns. A repeated request gets the first one's answer, with
    `Idempotency-Replayed: true`.

    Raises, in the view's place:
        ValidationFailed: the key is not 8 to 128 visible ASCII characters.
        IdempotencyInProgress, IdempotencyKeyReused
    """

    def rendered(result: Any) -> Answer:
        answer = reply(result)
        body = conditional.document(answer.value)
        return Answer(HTTPStatus.CREATED, body.decode(), answer.headers.get("Location", ""), conditional.tag_of(body))

    def decorate(view: View) -> View:
        @wraps(view)
        async def once_only(body: BaseModel, **arguments: Any) -> Reply | Response:
            once = _once(body, arguments.get("principal"), rendered)
            try:
                if once is not ALWAYS:
                    await once.look(get_context().reading.answers)
                return reply(await view(body=body, once=once, **arguments))
            except AlreadyAnswered as again:
                return _replayed(again.answer)

        return describe(once_only, idempotent=True)

    return decorate


def _once(body: BaseModel, principal: Principal | None, rendered: Callable[[Any], Answer]) -> Once:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return ALWAYS
    if not _KEY.fullmatch(key):
        message = "8 to 128 visible ASCII characters are needed"
        raise ValidationFailed(faults=(FieldFault("Idempotency-Key", "idempotency_key", message),))
    rule = request.url_rule.endpoint if request.url_rule else ""
    asked = [rule, request.view_args, body.model_dump(exclude_unset=True)]
    # Somebody without a name has no keys of their own: two may have the same one, and never get each other's answer.
    whose = [rule, key, principal.id if principal else asked]
    seals, lifetime = get_context().seals, get_context().settings.idempotency_seconds
    return Once(
        scopes=seals.digests("idempotency key", _content(whose)),
        requests=seals.digests("idempotent request", _content(asked)),
        lifetime=datetime.timedelta(seconds=lifetime),
        answer=rendered,
    )


def _content(what: list[Any]) -> bytes:
    return json.dumps(what, default=str, sort_keys=True).encode()


def _replayed(answer: Answer) -> Response:
    response = Response(answer.body, answer.status, content_type="application/json")
    response.headers["Idempotency-Replayed"] = "true"
    if answer.location:
        response.headers["Location"] = answer.location
    response.set_etag(answer.etag)
    return response
