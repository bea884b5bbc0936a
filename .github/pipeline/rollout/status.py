"""The commands `status` and `history`."""

from typing import Any

from rollout.docker import Docker
from rollout.release import RELEASE
from rollout.store import Store


def status(store: Store) -> dict[str, Any]:
    """Return the stored state, and the containers as Docker reports them."""
    state = store.read()
    named = state.target or (state.attempt.release if state.attempt else None)
    tags = {name: store.release(name).tag for name in store.releases()}
    running = []
    for container in Docker(store.release(named).project).containers() if named else []:
        release = container.labels.get(RELEASE)
        running.append(
            {
                "service": container.service,
                "container": container.name,
                "tag": tags.get(release or "", release),
                "status": container.health or container.status,
                "restarts": container.restarts,
            }
        )
    return {
        "good": tags.get(state.good or ""),
        "previous": tags.get(state.previous or ""),
        "attempt": state.attempt and {"tag": tags.get(state.attempt.release), "phase": state.attempt.phase},
        "running": sorted(running, key=lambda one: (str(one["service"]), str(one["container"]))),
    }


def history(store: Store) -> dict[str, Any]:
    """Return the history."""
    return {"history": store.history()}


def as_text(report: dict[str, Any]) -> str:
    """Return either report as text."""
    if "history" in report:
        return "".join(
            f"{line['at']}  {line['event']:<10} {line['release']}"
            + "".join(f"  {key}={value}" for key, value in line.items() if key not in {"at", "event", "release"})
            + "\n"
            for line in report["history"]
        )
    attempt = report["attempt"]
    lines = [
        f"good release      {report['good'] or 'none'}",
        f"previous release  {report['previous'] or 'none (or the last command was a rollback)'}",
        f"in progress       {attempt['tag']} ({attempt['phase']})" if attempt else "in progress       nothing",
        *(
            f"{one['service']:<22} {one['status']:<10} {one['tag'] or ''}"
            + (f"  restarted {one['restarts']} times" if one["restarts"] else "")
            for one in report["running"]
        ),
    ]
    return "\n".join(lines) + "\n"
