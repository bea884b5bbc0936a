"""Schema lines: a release never replaces, precedes or follows one of another line."""

import json
import os
from pathlib import Path

import pytest

from rollout.errors import RefusedError
from rollout.plan import State
from rollout.preflight import check_schema_line
from rollout.release import Release, line_of
from rollout.store import Store
from stages.test import previous_release

ALL_IMAGES_EXIST = "#!/bin/sh\necho '[{}]'\n"
NO_IMAGE_EXISTS = '#!/bin/sh\necho "Error: No such image" >&2\nexit 1\n'


def release(tag: str, line: str | None) -> Release:
    service = {"image": f"tocsin/web-ui:{tag}", "restart": "unless-stopped", "labels": {}}
    document = {"name": "tocsin", "services": {"web-ui": service}}
    return Release(tag, tag, document, {"web-ui": "sha256:1"}, schema="0001_x", line=line)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The state of a deployed release of line 1, and a `docker` that has every image."""
    monkeypatch.setenv("TOCSIN_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "docker").write_text(ALL_IMAGES_EXIST)
    (tmp_path / "docker").chmod(0o755)
    store = Store(tmp_path / "state")
    store.add(release("first", "1"))
    store.write(State(good="first"))
    return store


@pytest.mark.parametrize(("good", "new"), [("1", "2"), (None, "1"), ("2", None)])
def test_a_release_of_another_line_is_refused_with_a_way_to_deploy_it(good: str | None, new: str | None) -> None:
    with pytest.raises(RefusedError, match="There is no upgrade between lines") as refused:
        check_schema_line(release("old", good), release("new", new))
    for text in ("the data of tocsin remains readable with old", "COMPOSE_PROJECT_NAME", "--project-name tocsin down"):
        assert text in str(refused.value)


@pytest.mark.parametrize("line", ["1", None])
def test_a_release_of_the_same_line_is_deployed(line: str | None) -> None:
    check_schema_line(release("old", line), release("new", line))


def test_the_line_is_stored_and_releases_from_before_have_none(store: Store) -> None:
    assert store.release("first").line == "1"
    path = store.folder / "releases" / "first" / "release.json"
    stored = json.loads(path.read_text())
    del stored["line"]
    path.write_text(json.dumps(stored))
    assert store.release("first").line is None


@pytest.mark.parametrize(
    ("labels", "line"),
    [({"tocsin.schema-line": "1"}, "1"), ({"tocsin.schema-line": ""}, None), ({}, None), (None, None)],
)
def test_the_line_of_an_image_is_its_label(labels: dict[str, str] | None, line: str | None) -> None:
    assert line_of({"Config": {"Labels": labels}}) == line


@pytest.mark.usefixtures("store")
def test_only_a_good_release_of_the_same_line_is_the_previous_release() -> None:
    assert previous_release("1") == "first"
    assert previous_release("2") is None
    assert previous_release(None) is None


def test_a_previous_release_whose_images_are_gone_is_an_error(store: Store) -> None:
    (store.folder.parent / "docker").write_text(NO_IMAGE_EXISTS)
    with pytest.raises(LookupError, match="tocsin/web-ui:first"):
        previous_release("1")


def test_without_a_deploy_there_is_no_previous_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_STATE", str(tmp_path))
    assert previous_release("1") is None
