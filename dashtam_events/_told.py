"""Log messages that are one name with facts, and a sentence for whoever only reads."""

import logging
from collections.abc import Mapping

__all__ = ["log_told"]


def log_told(
    logger: logging.Logger, level: int, message: str, facts: Mapping[str, object], told: str
) -> None:
    """Log a message with its facts as fields, and in a sentence below it.

    The message stays one name, to be searched and counted by. A formatter that knows nothing of
    the fields prints the sentence all the same, as it prints a stack.
    """
    if not logger.isEnabledFor(level):
        return
    path, line, caller, _ = logger.findCaller()
    sentence = told.format_map(facts)
    record = logger.makeRecord(
        logger.name, level, path, line, message, (), None, caller, facts, sentence
    )
    logger.handle(record)
