"""What on-call does: schedules, and escalations step by step."""
