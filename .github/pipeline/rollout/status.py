"""What runs, and what was done."""

from typing import Any

from rollout.engine import Docker
from rollout.release import RELEASE
from rollout.store import Store


def status(store: Store) -> dict[str, Any]:
    """Return what the files say and what Docker says; the first may be behind, the second never is."""
    state = store.read()
    named = state.goal or (state.attempt.release if state.attempt else None)
    known = {name: store.release(name).tag for name in store.releases()}
    running = []
    for container in Docker(store.release(named).project).containers() if named else []:
        release = container.labels.get(RELEASE)
        running.append(
            {
                "service": container.service,
                "container": container.name,
                "tag": known.get(release or "", release),
                "status": container.health or container.status,
                "restarts": container.restarts,
            }
        )
    return {
        "good": known.get(state.good or ""),
        "previous": known.get(state.previous or ""),
        "attempt": state.attempt and {"tag": known.get(state.attempt.release), "phase": state.attempt.phase},
        "running": sorted(running, key=lambda one: (str(one["service"]), str(one["container"]))),
    }


def history(store: Store) -> dict[str, Any]:
    """Return the history."""
    return {"history": store.history()}


def in_words(found: dict[str, Any]) -> str:
    """Return either for people."""
    if "history" in found:
        return "".join(
            f"{line['at']}  {line['event']:<10} {line['release']}"
            + "".join(f"  {key}={value}" for key, value in line.items() if key not in {"at", "event", "release"})
            + "\n"
            for line in found["history"]
        )
    attempt = found["attempt"]
    lines = [
        f"last good release  {found['good'] or 'none'}",
        f"the one before     {found['previous'] or 'none: or the last thing done was to go back'}",
        f"under way          {attempt['tag']} ({attempt['phase']})" if attempt else "under way          nothing",
        *(
            f"{one['service']:<22} {one['status']:<10} {one['tag'] or ''}"
            + (f"  restarted {one['restarts']} times" if one["restarts"] else "")
            for one in found["running"]
        ),
    ]
    return "\n".join(lines) + "\n"
