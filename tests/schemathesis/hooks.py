"""What stands between Schemathesis and the stack: a proxy, and a browser that keeps one cookie."""

import itertools

import schemathesis

_clients = itertools.count(1)
_COOKIE = "docket_refresh"
# The newest refresh token: each is good for one use.
_kept = {}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Names the client, as a proxy does at the end of the list: an address that was not used before.

    Limits count by it, so from one address nearly every sign-in would only be told to come later.
    """
    number = next(_clients)
    client = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    case.headers["X-Forwarded-For"] = client
    if case.operation.path == "/api/auth/logout":
        # With the session that the run itself refreshes, that would end.
        case.cookies.pop(_COOKIE, None)
    elif _COOKIE in case.cookies and case.cookies[_COOKIE].startswith(_kept.get("session", "?")):
        case.cookies[_COOKIE] = _kept["token"]


@schemathesis.hook
def after_call(context, case, response):
    """Keeps the next refresh token of the run's own session."""
    if case.operation.path == "/api/auth/refresh" and response.status_code == 200:
        for cookie in response.headers.get("set-cookie", []):
            token = cookie.split(";")[0].removeprefix(f"{_COOKIE}=")
            _kept.update(token=token, session=token.rpartition(".")[0])
