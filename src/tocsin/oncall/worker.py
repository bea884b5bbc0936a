"""Background loops: due escalation steps, the roll-up of the pager load, gauges."""

from aiohttp import web

from tocsin.kernel.idempotency import delete_expired_keys
from tocsin.kernel.workers import Context, Wakeup, worker
from tocsin.oncall.metrics import METRICS
from tocsin.oncall.service import DEPS, escalations, next_step, pager_load, shifts


def workers(app: web.Application) -> list[Context]:
    """Return every background loop of the service, in starting order."""
    deps, settings = app[DEPS], app[DEPS].settings
    step_due = Wakeup()
    deps.notify_channel.wake_on_notify(step_due)
    deps.notify_channel.wake_on_notify(deps.outbox.wakeup)
    return [
        deps.outbox.context,
        worker("escalations", execute_due_steps, interval=settings.poll_seconds, wakeup=step_due),
        worker("gauges", refresh_gauges, interval=settings.gauge_seconds, wakeup=deps.schedules_changed),
        worker("rollup", roll_up, interval=settings.rollup_seconds),
        delete_expired_keys(),
        deps.notify_channel.context,
    ]


async def execute_due_steps(app: web.Application) -> bool | float:
    """Execute the escalation steps that are due."""
    return await next_step.execute_due(app[DEPS])


async def roll_up(app: web.Application) -> bool:
    """Apply recent changes to the pager load."""
    deps = app[DEPS]
    return await pager_load.roll_up(deps.db, limit=deps.settings.rollup_batch_size)


async def refresh_gauges(app: web.Application) -> bool:
    """Set the gauges from the database, so that all replicas agree and a restart does not reset them."""
    deps, metrics = app[DEPS], app[METRICS]
    running = await escalations.count_running(deps)
    people = await shifts.find_first_on_call(deps)
    metrics.overdue.set(running["overdue"])
    metrics.without_next_action.set(running["without_next_action"])
    metrics.oldest_due.set(running["oldest_seconds"])
    metrics.current.clear()
    for team, person in people.items():
        metrics.escalations.labels(team)
        metrics.current.labels(team, person).set(1)
    return False
