"""The life of a connection as a picture, drawn from the table."""

from dashtam_events.connection._machine import START, TRANSITIONS

__all__ = ["mermaid"]


def mermaid() -> str:
    """A Mermaid `stateDiagram-v2` of every state and transition; the same text every time."""
    start, first = START
    lines = ["stateDiagram-v2", f"    [*] --> {first}: {start.__name__}"]
    for status, transitions in TRANSITIONS.items():
        lines += [f"    {status} --> {to}: {event.__name__}" for event, to in transitions.items()]
        if not transitions:
            lines.append(f"    {status} --> [*]")
    return "\n".join(lines) + "\n"
