"""What a failed verification shows of the logs."""

from rollout.verify import MAX_SHOWN_CHARACTERS, shortened


def test_a_long_log_line_keeps_its_event_and_the_error_at_the_end_of_its_traceback() -> None:
    line = '{"event": "unhandled error", "exception": "Traceback' + "frame " * 1_000 + 'RuntimeError: no more space"}'
    shown = shortened(line)
    assert shown.startswith('{"event": "unhandled error"')
    assert shown.endswith('RuntimeError: no more space"}')
    assert len(shown) <= MAX_SHOWN_CHARACTERS + 3


def test_a_short_log_line_is_shown_whole() -> None:
    assert shortened("ready") == "ready"
