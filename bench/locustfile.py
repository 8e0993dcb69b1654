"""A mixed day for locust, nine requests of ten being reads, and a budget that it passes or fails:

    locust -f bench/locustfile.py --headless -u 50 -r 10 -t 30s --host http://127.0.0.1:8000

The service has to run with RATE_LIMIT_ENABLED=false, since all users come from one address. Each registers, logs in,
and then reads, writes, changes what it wrote, refreshes, and now and then logs out and in again. What the contract does
not promise is a failure: another status, or another account's answer.

`--budget-error-rate` and `--budget-p95-ms` bound what all requests together may show. In the end there is a line for
each bound that was passed, and locust exits with 1; it exits with 0 if there is none. A run without a request fails.
Nothing of ours is imported here, and nothing but locust is needed.
"""

from __future__ import annotations

import math
import random
import time
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from locust import FastHttpUser, between, events, task
from locust.runners import WorkerRunner

PASSWORD = "a password of the load test"
WORDS = ("the", "of", "river", "time", "garden", "letter", "winter", "road", "house", "stone", "morning", "island")
RETRY_SECONDS = 5
RENEW_AT = 0.8
"""Of an access token's life: then it is exchanged, as careful clients do."""


class Member(FastHttpUser):
    """Somebody who does three things a second. The weights are parts of 200."""

    wait_time = between(0.1, 0.5)
    network_timeout = connection_timeout = 15.0
    seen: ClassVar[deque[str]] = deque(maxlen=500)
    """Ids of posts that anybody has met in a list."""

    def on_start(self) -> None:
        """Register and log in, again and again if need be: each refusal counts as a failure."""
        self.name = f"load-{uuid.uuid4().hex}"
        self.account = {"email": f"{self.name}@example.com", "password": PASSWORD}
        self.once = fresh_key()
        self.pair: dict[str, Any] | None = None
        self.renew_at = 0.0
        self.retry_seconds = float(RETRY_SECONDS)
        self.cursor = ""
        self.own: deque[tuple[str, str]] = deque(maxlen=20)
        self.until(self.register)
        self.until(self.log_in)

    @task(30)
    def read_me(self) -> None:
        """Ask who one is; somebody else's account is a failure, too."""
        self.ask("GET", "/api/auth/me", signed=True, about=self.name)

    @task(20)
    def list_users(self) -> None:
        """Turn the pages of the accounts, with their count."""
        self.ask("GET", "/api/users/", query=f"?page={random.randint(1, 5)}", signed=True)

    @task(50)
    def list_posts(self) -> None:
        """Read the newest posts, and sometimes go on behind them."""
        listed = self.ask("GET", "/api/posts/", query=f"?cursor={self.cursor}")
        if listed is None:
            return
        self.seen.extend(post["id"] for post in listed["posts"])
        goes_on = random.random() < 0.5
        self.cursor = (listed["next_cursor"] or "") if goes_on else ""

    @task(50)
    def read_post(self) -> None:
        """Read a post."""
        if self.seen:
            self.ask("GET", "/api/posts/{post}", post=random.choice(self.seen))

    @task(30)
    def list_comments(self) -> None:
        """Read what others say to it."""
        if self.seen:
            self.ask("GET", "/api/posts/{post}/comments/", post=random.choice(self.seen))

    @task(6)
    def write_post(self) -> None:
        """Write a post."""
        document = {"title": prose(6), "body": prose(120)}
        written = self.ask("POST", "/api/posts/", expected=201, signed=True, document=document, once=fresh_key())
        if written is not None:
            self.own.append((written["id"], written["etag"]))
            self.seen.append(written["id"])

    @task(7)
    def write_comment(self) -> None:
        """Comment on somebody's post."""
        if self.seen:
            what: dict[str, Any] = {"document": {"body": prose(30)}, "post": random.choice(self.seen)}
            self.ask("POST", "/api/posts/{post}/comments/", expected=201, signed=True, once=fresh_key(), **what)

    @task(4)
    def change_post(self) -> None:
        """Change a post of one's own, provided that nobody else has."""
        if not self.own:
            self.write_post()
            return
        post, etag = self.own.popleft()
        document = {"body": prose(120)}
        changed = self.ask("PATCH", "/api/posts/{post}", signed=True, document=document, if_match=etag, post=post)
        if changed is not None:
            self.own.append((post, changed["etag"]))

    @task(2)
    def refresh(self) -> None:
        """Exchange the refresh token; whoever gets no new pair logs in again."""
        if self.pair is not None:
            self.keep(self.ask("POST", "/api/auth/refresh", token=self.pair["refresh_token"]))

    @task(1)
    def log_out_and_in(self) -> None:
        """End the session, and begin another."""
        self.ask("DELETE", "/api/auth/logout", signed=True)
        self.pair = None
        self.until(self.log_in)

    def register(self) -> bool:
        """Make the account; with its key, so that an answer that was lost comes again."""
        document = {"username": self.name, **self.account}
        return self.ask("POST", "/api/users/", expected=201, document=document, once=self.once) is not None

    def log_in(self) -> bool:
        """Begin a session."""
        self.keep(self.ask("POST", "/api/auth/login", document=self.account))
        return self.pair is not None

    def keep(self, pair: dict[str, Any] | None) -> None:
        self.pair = pair
        if pair is not None:
            self.renew_at = time.monotonic() + RENEW_AT * pair["expires_in"]

    def until(self, done: Callable[[], bool]) -> None:
        """Try again until it is done, as late as the service asks for; locust ends who still tries at the end."""
        while not done():
            time.sleep(self.retry_seconds)

    def access_token(self) -> str:
        """Return one that is good for a while, of a new session where the old one is lost."""
        if self.pair is not None and time.monotonic() > self.renew_at:
            self.refresh()
        if self.pair is None:
            self.until(self.log_in)
        assert self.pair is not None
        return str(self.pair["access_token"])

    def ask(
        self,
        method: str,
        route: str,
        *,
        expected: int = 200,
        query: str = "",
        signed: bool = False,
        token: str = "",
        document: dict[str, str] | None = None,
        once: str = "",
        if_match: str = "",
        about: str = "",
        **place: str,
    ) -> dict[str, Any] | None:
        """Return the answer's document, with its `etag` if it has one; None where it is not what was expected, which
        counts as a failure of this route. `about` is the account's name that has to be in it.
        """
        token = self.access_token() if signed else token
        fields = {"Authorization": token and f"Bearer {token}", "Idempotency-Key": once, "If-Match": if_match}
        with self.client.request(
            method,
            route.format(**place) + query,
            name=route,
            json=document,
            headers={field: value for field, value in fields.items() if value},
            catch_response=True,
            allow_redirects=False,
        ) as answer:
            if answer.status_code == 401:
                self.pair = None
            said = document_of(answer)
            if fault := fault_of(answer, said, expected, about):
                self.retry_seconds = float((answer.headers or {}).get("Retry-After", RETRY_SECONDS))
                answer.failure(fault)
                return None
            answer.success()
            return (said or {}) | {"etag": answer.headers.get("ETag", "")}


def document_of(answer: Any) -> dict[str, Any] | None:
    try:
        said = answer.json()
    except (TypeError, ValueError):  # no answer at all, or no JSON
        return None
    return said if isinstance(said, dict) else None


def fault_of(answer: Any, said: dict[str, Any] | None, expected: int, about: str) -> str:
    """Say what came instead, in words that are the same for each request, for locust counts by them; else nothing."""
    if answer.status_code == 0:
        return f"no answer: {type(answer.error).__name__}"
    if answer.status_code == 429:
        return "429: the limits of rate are on; start the service with RATE_LIMIT_ENABLED=false"
    if answer.status_code != expected:
        return f"{answer.status_code} {(said or {}).get('code', '')}".rstrip()
    if said is None:
        return f"{answer.status_code} without a JSON document"
    return "the account of somebody else" if about and said.get("username") != about else ""


def prose(words: int) -> str:
    return " ".join(random.choices(WORDS, k=words))


def fresh_key() -> str:
    return uuid.uuid4().hex


def limit(text: str) -> float:
    """Read a bound; `inf` is none.

    Raises:
        ValueError: it is below nought, or not a number: nothing would ever be beyond that.
    """
    value = float(text)
    if math.isnan(value) or value < 0:
        raise ValueError(text)
    return value


@events.init_command_line_parser.add_listener
def add_budget(parser: Any) -> None:
    """Let locust take the budget, as options or from the environment."""
    group = parser.add_argument_group("Budget", "Beyond it locust exits with 1.")
    group.add_argument(
        "--budget-error-rate",
        type=limit,
        default=0.001,
        env_var="LOCUST_BUDGET_ERROR_RATE",
        help="part of all requests that may fail; 0.001 by default",
    )
    group.add_argument(
        "--budget-p95-ms",
        type=limit,
        default=200,
        env_var="LOCUST_BUDGET_P95_MS",
        help="milliseconds within which 95 of 100 answers have to come; 200 by default",
    )


@events.quitting.add_listener
def judge(environment: Any, **_: Any) -> None:
    """Hold the run against its budget: the exit status is set now, the verdict comes below locust's tables."""
    if isinstance(environment.runner, WorkerRunner):
        return  # the master has everybody's figures
    breaches = breaches_of(environment)
    total = environment.stats.total
    p95 = total.get_response_time_percentile(0.95)
    good = f"budget kept: {total.num_requests} requests, error rate {total.fail_ratio:.3%}, p95 {p95:.0f} ms"
    environment.process_exit_code = 1 if breaches else 0
    lines = [f"budget broken: {breach}" for breach in breaches] or [good]
    environment.events.quit.add_listener(lambda **_: print(*lines, sep="\n", flush=True))


def breaches_of(environment: Any) -> list[str]:
    """Return a line for each bound that the run has passed."""
    stats, options = environment.stats, environment.parsed_options
    total = stats.total
    if not total.num_requests:
        return ["no request was made"]
    breaches = []
    if total.fail_ratio > options.budget_error_rate:
        worst = max(stats.errors.values(), key=lambda error: error.occurrences)
        breaches.append(
            f"error rate {total.fail_ratio:.3%} is over {options.budget_error_rate:.3%}, most often"
            f" {worst.method} {worst.name}: {worst.error}"
        )
    p95 = total.get_response_time_percentile(0.95)
    if p95 > options.budget_p95_ms:
        slowest = max(stats.entries.values(), key=lambda entry: entry.get_response_time_percentile(0.95))
        breaches.append(
            f"p95 {p95:.0f} ms is over {options.budget_p95_ms:g} ms, slowest {slowest.method} {slowest.name}:"
            f" {slowest.get_response_time_percentile(0.95):.0f} ms"
        )
    if exceptions := environment.runner.exceptions:
        first = next(iter(exceptions.values()))
        count = sum(found["count"] for found in exceptions.values())
        breaches.append(f"{count} tasks ended in an exception (tracebacks are above), the first: {first['msg']}")
    return breaches
