"""What incident management decides: functions of their arguments alone."""
