"""`python -m tests.benchmarks.parts`: where the time of appending, reading and the codec goes."""

from tests.benchmarks.parts import PARTS


def main() -> None:
    """Measure and print."""
    for name, parts in PARTS.items():
        measured = parts()
        print(f"{name}: {sum(part.cost for part in measured):.2f} µs an event")
        for part in measured:
            print(f"  {part.name:76} {part.cost:8.2f}")


if __name__ == "__main__":
    main()
