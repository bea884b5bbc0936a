"""Every error is a problem document, and none says more than a caller should know."""

from http import HTTPStatus

import pytest
from structlog.testing import capture_logs

from tests.kernel.conftest import EdgeClient
from tests.support.kernel.bare_app import ERRORS
from tocsin.kernel import http_client
from tocsin.kernel.errors import DatabaseUnavailableError, UpstreamError
from tocsin.kernel.problems import Problem, status_of


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("forbidden", HTTPStatus.FORBIDDEN, "forbidden"),
        ("not-found", HTTPStatus.NOT_FOUND, "not-found"),
        ("conflict", HTTPStatus.CONFLICT, "conflict"),
        ("stale", HTTPStatus.PRECONDITION_FAILED, "stale"),
        ("unavailable", HTTPStatus.SERVICE_UNAVAILABLE, "upstream-unavailable"),
        ("database", HTTPStatus.SERVICE_UNAVAILABLE, "database-unavailable"),
        ("rejected", HTTPStatus.BAD_GATEWAY, "upstream-rejected"),
        ("commit-lost", HTTPStatus.INTERNAL_SERVER_ERROR, "commit-lost"),
        ("bug", HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error"),
        ("gone", HTTPStatus.GONE, "gone"),
    ],
)
async def test_an_error_is_a_problem_document(edge: EdgeClient, name: str, status: HTTPStatus, code: str) -> None:
    async with edge.get(f"/errors/{name}", headers={"X-Request-ID": "r-1"}) as response:
        assert response.status == status
        assert response.content_type == "application/problem+json"
        found = Problem.model_validate_json(await response.read())
    assert found.type == f"urn:tocsin:problem:{code}"
    assert found.title == status.phrase
    assert found.status == status
    assert found.detail
    assert found.request_id == "r-1"


@pytest.mark.parametrize("name", ["unavailable", "database"])
async def test_a_temporary_error_has_a_retry_after(edge: EdgeClient, name: str) -> None:
    async with edge.get(f"/errors/{name}") as response:
        assert response.headers["Retry-After"] == "1"


async def test_a_problem_has_the_message_of_a_domain_error_and_never_that_of_a_bug(edge: EdgeClient) -> None:
    async with edge.get("/errors/conflict") as response:
        assert (await response.json())["detail"] == str(ERRORS["conflict"]())
    with capture_logs() as logs:
        async with edge.get("/errors/bug") as response:
            text = await response.text()
    assert "hunter2" not in text
    assert "RuntimeError" not in text
    (logged,) = [entry for entry in logs if entry["event"] == "unhandled error"]
    assert logged["exc_info"]


async def test_an_unknown_path_is_not_found(edge: EdgeClient) -> None:
    async with edge.get("/nowhere") as response:
        assert response.status == HTTPStatus.NOT_FOUND
        assert (await response.json())["type"] == "urn:tocsin:problem:not-found"


async def test_a_wrong_method_is_a_405_with_the_allowed_ones(edge: EdgeClient) -> None:
    async with edge.delete("/api/v1/things") as response:
        assert response.status == HTTPStatus.METHOD_NOT_ALLOWED
        assert set(response.headers["Allow"].split(",")) == {"GET", "HEAD", "POST"}
        assert (await response.json())["type"] == "urn:tocsin:problem:method-not-allowed"


async def test_a_redirect_does_not_become_a_problem_document(edge: EdgeClient) -> None:
    async with edge.get("/errors/redirect", allow_redirects=False) as response:
        assert response.status == HTTPStatus.FOUND
        assert response.headers["X-Request-ID"]


async def test_head_has_the_headers_of_a_problem(edge: EdgeClient) -> None:
    async with edge.head("/nowhere") as response:
        assert response.status == HTTPStatus.NOT_FOUND
        assert await response.read() == b""


def test_an_error_without_a_status_of_its_own_has_that_of_its_base_class() -> None:
    class LocalError(UpstreamError):
        pass

    assert status_of(LocalError) == HTTPStatus.SERVICE_UNAVAILABLE
    assert status_of(http_client.TransientError) == HTTPStatus.SERVICE_UNAVAILABLE
    assert status_of(DatabaseUnavailableError) == HTTPStatus.SERVICE_UNAVAILABLE
