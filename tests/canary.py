"""A personal value that must be in no error, nor anywhere that can be reached from one."""

import traceback

__all__ = ["MARK", "assert_silent"]

MARK = "canary@example.org"


def assert_silent(error: BaseException) -> None:
    """The mark is nowhere in what is printed, nor in what can be reached."""
    assert MARK not in "".join(traceback.format_exception(error))
    reached: list[BaseException] = [error]
    for each in reached:
        assert MARK not in f"{each}{each!r}{each.args}{each.__dict__}"
        reached += [other for other in (each.__cause__, each.__context__) if other is not None]
