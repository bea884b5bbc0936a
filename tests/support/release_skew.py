"""Two releases side by side: a wire model with one more defaulted field, as the next release may have it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from pydantic import BaseModel
from pydantic.fields import FieldInfo


@contextmanager
def next_release(model: type[BaseModel]) -> Iterator[None]:
    """Give *model* one more field with a default, for the block."""
    fields = model.__pydantic_fields__
    fields["added_by_the_next_release"] = FieldInfo(annotation=str, default="x")
    model.model_rebuild(force=True)
    try:
        yield
    finally:
        del fields["added_by_the_next_release"]
        model.model_rebuild(force=True)


def two_releases(model: type[BaseModel], *, newer_first: bool) -> list[AbstractContextManager[None]]:
    """Return contexts in which the application is of one release, then of the other."""
    releases: list[AbstractContextManager[None]] = [nullcontext(), next_release(model)]
    return releases[::-1] if newer_first else releases
