"""Pure functions and values of on-call: rotations, schedules, escalation steps, pager load."""
