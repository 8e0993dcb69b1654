"""The classic stack of the guides: Flask, Flask-SQLAlchemy and Flask-JWT-Extended on psycopg, in plain views.

``app`` is for gunicorn, ``asgi`` the same under asgiref's `WsgiToAsgi`.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import uuid
from typing import Annotated, Any

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from asgiref.wsgi import WsgiToAsgi
from flask import Flask, abort, request
from flask_jwt_extended import JWTManager, create_access_token, create_refresh_token, current_user, jwt_required
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BigInteger, DateTime, FetchedValue, ForeignKey, func, select
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

SECRET_KEY = os.environ["SECRET_KEY"]
KID = hashlib.sha256(b"kid:" + SECRET_KEY.encode()).hexdigest()[:16]
ACCESS = datetime.timedelta(seconds=int(os.environ.get("ACCESS_TOKEN_SECONDS", "900")))
REFRESH, SESSION = datetime.timedelta(days=30), datetime.timedelta(days=90)


Number = Annotated[int, mapped_column(BigInteger)]
Time = Annotated[datetime.datetime, mapped_column(DateTime(timezone=True))]

app = Flask(__name__)
app.config.update(
    SQLALCHEMY_DATABASE_URI=os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://", 1),
    SQLALCHEMY_ENGINE_OPTIONS={"pool_size": 10, "max_overflow": 0},
    JWT_SECRET_KEY=SECRET_KEY,
    JWT_ACCESS_TOKEN_EXPIRES=ACCESS,
    JWT_REFRESH_TOKEN_EXPIRES=REFRESH,
    JWT_ENCODE_ISSUER="postern",
    JWT_DECODE_ISSUER="postern",
    JWT_ENCODE_AUDIENCE="postern",
    JWT_DECODE_AUDIENCE="postern",
)
db: Any = SQLAlchemy(app, model_class=type("Base", (DeclarativeBase,), {}))
jwt = JWTManager(app)
hasher = PasswordHasher()


class User(db.Model):
    """An account."""

    __tablename__ = "users"

    id: Mapped[Number] = mapped_column(primary_key=True)
    username: Mapped[str]
    email: Mapped[str]
    password_hash: Mapped[str]
    role: Mapped[str]
    is_active: Mapped[bool]
    created_at: Mapped[Time]
    updated_at: Mapped[Time]
    is_removed: Mapped[bool]
    email_key: Mapped[str] = mapped_column(deferred=True)

    def to_dict(self, *, private: bool = False) -> dict[str, Any]:
        """Return the account as everybody sees it, or as its user and admins do."""
        shown = {
            "id": self.id,
            "username": self.username,
            "is_active": self.is_active,
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.updated_at),
        }
        return shown | {"email": self.email, "role": self.role} if private else shown


class Post(db.Model):
    """A post, with its author."""

    __tablename__ = "posts"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=FetchedValue())
    author_id: Mapped[Number] = mapped_column(ForeignKey("users.id"))
    title: Mapped[str]
    body: Mapped[str]
    created_at: Mapped[Time] = mapped_column(server_default=FetchedValue())
    updated_at: Mapped[Time] = mapped_column(server_default=FetchedValue())
    is_removed: Mapped[bool] = mapped_column(server_default=FetchedValue())
    author: Mapped[User] = relationship(lazy="joined", innerjoin=True)

    def to_dict(self) -> dict[str, Any]:
        """Return the post as it is shown."""
        return {
            "id": str(self.id),
            "title": self.title,
            "body": self.body,
            "author": self.author.username,
            "author_id": self.author_id,
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.updated_at),
        }


class Session(db.Model):
    """A login."""

    __tablename__ = "sessions"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    user_id: Mapped[Number] = mapped_column(ForeignKey("users.id"))
    refresh_jti: Mapped[uuid.UUID]
    access_jti: Mapped[uuid.UUID]
    kid: Mapped[str]
    issued_at: Mapped[Time]
    access_expires_at: Mapped[Time]
    expires_at: Mapped[Time]
    ends_at: Mapped[Time]
    ip: Mapped[str | None] = mapped_column(INET)
    user_agent: Mapped[str | None]


class BlocklistEntry(db.Model):
    """The id of a session, or of a generation of tokens, that is revoked."""

    __tablename__ = "token_blocklist"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


@jwt.token_in_blocklist_loader
def is_revoked(_: dict[str, Any], claims: dict[str, Any]) -> bool:
    """Tell whether the token's session, or its generation in it, is revoked."""
    ids = [uuid.UUID(claims["sid"]), generation(uuid.UUID(claims["jti"]))]
    return db.session.scalar(select(BlocklistEntry.id).where(BlocklistEntry.id.in_(ids)).limit(1)) is not None


@jwt.user_lookup_loader
def find_user(_: dict[str, Any], claims: dict[str, Any]) -> User | None:
    """Return whose token it is."""
    user = db.session.get(User, int(claims["sub"]))
    return user if user is not None and user.is_active else None


@jwt.token_verification_loader
def is_access_token(header: dict[str, Any], claims: dict[str, Any]) -> bool:
    """Tell whether a token is of the right kind, which the header says, and whole."""
    return header.get("typ") == "at+jwt" and claims.keys() >= {"exp", "iat", "nbf", "iss", "aud", "sid"}


@jwt.token_verification_failed_loader
def refuse_kind(_header: dict[str, Any], _claims: dict[str, Any]) -> tuple[dict[str, str], int]:
    """Answer 401 where the library says 400."""
    return {"error": "Invalid token"}, 401


@jwt.invalid_token_loader
def refuse_invalid(_: str) -> tuple[dict[str, str], int]:
    """Answer 401 where the library says 422."""
    return {"error": "Invalid token"}, 401


@app.get("/api/auth/me")
@jwt_required()
def me() -> Any:
    """Get one's own account."""
    return current_user.to_dict(private=True)


@app.get("/api/users/")
@jwt_required()
def list_users() -> Any:
    """List the accounts, newest first."""
    listed = select(User).where(~User.is_removed).order_by(User.created_at.desc(), User.id.desc())
    page = db.paginate(listed, max_per_page=100, error_out=False)
    is_admin, caller_id = current_user.role == "admin", current_user.id
    return {
        "users": [user.to_dict(private=is_admin or user.id == caller_id) for user in page.items],
        "per_page": page.per_page,
        "next_cursor": None,  # the service's is sealed with a key
        "total": page.total,
        "pages": page.pages,
        "current_page": page.page,
    }


@app.get("/api/posts/<uuid:post_id>")
def get_post(post_id: uuid.UUID) -> Any:
    """Get one post."""
    post = db.session.scalar(select(Post).where(Post.id == post_id, ~Post.is_removed))
    if post is None or post.author.is_removed:
        abort(404)
    return post.to_dict()


@app.post("/api/posts/")
@jwt_required()
def create_post() -> Any:
    """Write a post."""
    new = document(title=200, body=65_536)
    post = Post(author_id=current_user.id, title=new["title"], body=new["body"])
    db.session.add(post)
    db.session.flush()
    shown = post.to_dict()  # before the commit, behind which all is read anew
    db.session.commit()
    return shown, 201


@app.post("/api/auth/login")
def log_in() -> Any:
    """Log in; a session begins."""
    login = document(email=480, password=4096)
    user = db.session.scalar(select(User).where(User.email_key == func.postern_fold(login["email"].strip())))
    if user is None or not matches(user.password_hash, login["password"]):
        abort(401)
    if not user.is_active:
        abort(403)
    now, session_id, refresh_jti = datetime.datetime.now(datetime.UTC), uuid.uuid4(), uuid.uuid4()
    access_jti, second = uuid.UUID(bytes=refresh_jti.bytes[:8] + uuid.uuid4().bytes[8:]), now.replace(microsecond=0)
    answer = {
        "access_token": create_access_token(
            str(user.id),
            additional_claims={"jti": str(access_jti), "sid": str(session_id)},
            additional_headers={"typ": "at+jwt", "kid": KID},
        ),
        "refresh_token": create_refresh_token(
            str(user.id),
            additional_claims={"jti": str(refresh_jti), "sid": str(session_id)},
            additional_headers={"typ": "rt+jwt", "kid": KID},
        ),
        "token_type": "Bearer",
        "expires_in": int(ACCESS.total_seconds()),
        "user": user.to_dict(private=True),
    }
    session = Session(
        id=session_id,
        user_id=user.id,
        refresh_jti=refresh_jti,
        access_jti=access_jti,
        kid=KID,
        issued_at=now,
        access_expires_at=second + ACCESS,
        expires_at=second + REFRESH,
        ends_at=second + SESSION,
        ip=request.remote_addr,
        user_agent=request.headers.get("User-Agent"),
    )
    db.session.add(session)
    db.session.commit()
    return answer


def document(**limits: int) -> dict[str, str]:
    """Return the request's body: an object of just these members, texts of so many characters at most."""
    body: Any = request.get_json()
    if not isinstance(body, dict) or body.keys() != limits.keys():
        abort(400)
    if not all(isinstance(body[name], str) and 0 < len(body[name]) <= limit for name, limit in limits.items()):
        abort(400)
    return dict(body)


def generation(jti: uuid.UUID) -> uuid.UUID:
    """Return what the jtis of a session have in common until its password is changed."""
    return uuid.UUID(bytes=jti.bytes[:8] + bytes(8))


def rfc3339(time: datetime.datetime) -> str:
    """Write a time of UTC."""
    return time.isoformat().replace("+00:00", "Z")


def matches(password_hash: str, password: str) -> bool:
    """Tell whether a password is the one of the hash."""
    try:
        return hasher.verify(password_hash, password)
    except VerifyMismatchError:
        return False


asgi = WsgiToAsgi(app)  # type: ignore[no-untyped-call]  # asgiref has no types here
