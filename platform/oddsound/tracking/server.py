"""Whether an MLflow server is there and lets us in: one cheap question, answered within seconds.

And how long MLflow's client may take over one of its own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import requests
from mlflow.exceptions import MlflowException
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request

from oddsound.errors import AccessError, OddsoundError, TrackingError

PROBE_S = 5
"""To connect, and again for the answer; nothing is tried twice."""
REQUEST_S = 20
"""The longest silence of a server in the middle of a call."""
# With MLflow's own 7 retries and 120 s a dead server holds every call for minutes (measured), and one that
# is slow makes a run twice over. Whoever calls tries again, and looks first at what has arrived.
# A proxy that says "Retry-After: 3600" would hold it for an hour.
_SHORT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": str(REQUEST_S),
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
}
_QUESTION = "/api/2.0/mlflow/experiments/search"
_ANSWER = {"experiments", "next_page_token"}
_CREDENTIALS = (
    "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, of an account that "
    "may write there"
)


def be_short() -> None:
    """Have MLflow's client give up early, where the user hasn't said how long it may take."""
    for name, value in _SHORT.items():
        os.environ.setdefault(name, value)


def knock(uri: str, where: str) -> None:
    """Ask the server at `uri`, shown as `where`, for one experiment, with the user's credentials.

    Raises AccessError where it refuses them, TrackingError where nobody answers, where it isn't MLflow
    that answers and where MLflow is ill: each in one line with the remedy.
    """
    try:
        answer = http_request(  # type: ignore[no-untyped-call]
            get_default_host_creds(uri),  # type: ignore[no-untyped-call]
            _QUESTION,
            "POST",
            json={"max_results": 1},
            max_retries=0,
            timeout=PROBE_S,
            raise_on_status=False,
            respect_retry_after_header=False,
        )
    except (MlflowException, requests.RequestException) as error:
        raise _unanswered(error, where) from error
    _judge(answer, where)


def refused(error: BaseException) -> bool:
    """Whether `error`, MLflow's or of HTTP, says that somebody else might have been let in."""
    response = getattr(error, "response", None)
    status = response.status_code if isinstance(response, requests.Response) else None
    return status in (401, 403) or getattr(error, "error_code", "") in (
        "UNAUTHENTICATED",
        "PERMISSION_DENIED",
        "CUSTOMER_UNAUTHORIZED",
    )


def access_error(where: str, why: str) -> AccessError:
    remedy = _CREDENTIALS
    if "host header" in why.lower():
        remedy = "name the address that you use in the server's --allowed-hosts"
    return AccessError(f"MLflow at {where} doesn't let us in ({why}): {remedy}")


def cause(error: BaseException) -> str:
    """The first line of what `error` comes of: MLflow, requests and urllib3 wrap it up in each other."""
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, OddsoundError):
        error = inner
        inside = [part for part in error.args if isinstance(part, BaseException)]
        inner = inside[0] if inside else error.__cause__ or error.__context__
    return first_line(error)


def first_line(error: object) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:300]


def _unanswered(error: Exception, where: str) -> TrackingError:
    if isinstance(error.__cause__ or error.__context__, requests.exceptions.SSLError):
        return TrackingError(
            f"MLflow at {where}: its certificate isn't trusted ({cause(error)}); give the one that signed it "
            "in MLFLOW_TRACKING_SERVER_CERT_PATH"
        )
    return TrackingError(
        f"no MLflow server answers at {where} ({cause(error)}); start it or correct --tracking-uri; finished "
        "trials are safe on disk"
    )


def _judge(answer: requests.Response, where: str) -> None:
    status = answer.status_code
    if status in (401, 403):
        raise access_error(where, f"{status}: {first_line(_said(answer))}")
    if status == 429 or (status >= 500 and status != 501):
        raise TrackingError(
            f"MLflow at {where} is ill (it answers {status}); see to the server; finished trials are safe on "
            "disk"
        )
    document = _json(answer)
    if status != 200 or document is None or document.keys() - _ANSWER:
        raise TrackingError(
            f"what answers at {where} is no MLflow server (status {status}); give the address that its pages "
            "have in a browser up to the #, as --tracking-uri"
        )


def _said(answer: requests.Response) -> str:
    """Its reason, without a page of HTML."""
    document = _json(answer)
    text = str(document.get("message", "")) if document is not None else answer.text.strip()
    return answer.reason if not text or text.startswith("<") else text


def _json(answer: requests.Response) -> Mapping[str, object] | None:
    """The answer's JSON object; None where it is something else."""
    try:
        document = answer.json()
    except requests.exceptions.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None
