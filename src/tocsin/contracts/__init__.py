"""What crosses a wire: one pydantic model per command, input and answer. No logic, no I/O."""
