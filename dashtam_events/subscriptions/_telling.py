"""How a subscription tells of itself: to its observer, and to the log where something failed."""

import logging

from dashtam_events.recorded import Position
from dashtam_events.subscriptions._batches import Item, type_of
from dashtam_events.subscriptions.checkpoint import ParkedEvent
from dashtam_events.subscriptions.health import ErrorPlace, Observer, Signal, SignalKind

__all__ = ["Teller"]

_LOGGER = logging.getLogger("dashtam_events.subscriptions")
_LOGGED = {
    SignalKind.PARKED: "subscription_event_parked",
    SignalKind.FAILED: "subscription_failed",
}


class Teller:
    """Tells of one subscription, and remembers what went wrong last."""

    def __init__(
        self, subscription: str, observer: Observer | None, partition: int | None = None
    ) -> None:
        self._subscription, self._partition = subscription, partition
        self._observer = observer
        self.last_error: ErrorPlace | None = None

    def note(self, error: Exception) -> ErrorPlace:
        """Remember an error; its class and place."""
        self.last_error = place = ErrorPlace.of(error)
        return place

    def handled(self, item: Item, seconds: float) -> None:
        """An event was dealt with."""
        self._tell_of(SignalKind.HANDLED, item, seconds)

    def retrying(self, item: Item, seconds: float, error: ErrorPlace) -> None:
        """An event is tried again after a pause."""
        self._tell_of(SignalKind.RETRYING, item, seconds, error)

    def parked(self, parked: ParkedEvent) -> None:
        """An event was set aside."""
        name, place = parked.error_type, parked.place
        self._tell(
            Signal(
                kind=SignalKind.PARKED,
                subscription=self._subscription,
                partition=self._partition,
                position=parked.position,
                event_type=parked.event_type,
                error=None if name is None else ErrorPlace(name, place or "unknown"),
            )
        )

    def saved(self, position: Position | None) -> None:
        """The checkpoint was moved."""
        self._tell(
            Signal(
                kind=SignalKind.SAVED,
                subscription=self._subscription,
                partition=self._partition,
                position=position,
            )
        )

    def failed(self, error: Exception) -> None:
        """Something failed that is no single event."""
        place = self.note(error)
        self._tell(
            Signal(
                kind=SignalKind.FAILED,
                subscription=self._subscription,
                partition=self._partition,
                error=place,
            )
        )

    def _tell_of(
        self, kind: SignalKind, item: Item, seconds: float, error: ErrorPlace | None = None
    ) -> None:
        if self._observer is None:
            return
        self._tell(
            Signal(
                kind=kind,
                subscription=self._subscription,
                partition=self._partition,
                position=item.position,
                event_type=type_of(item),
                seconds=seconds,
                error=error,
            )
        )

    def _tell(self, signal: Signal) -> None:
        if signal.kind in _LOGGED:
            _LOGGER.error(_LOGGED[signal.kind], extra=_told(signal))
        if self._observer is None:
            return
        try:
            self._observer(signal)
        except Exception as mistake:  # noqa: BLE001  # an observer harms no one
            where = {"error_type": ErrorPlace.of(mistake).type}
            # Its text and traceback may hold values.
            _LOGGER.error("subscription_observer_failed", extra=where)  # noqa: TRY400


def _told(signal: Signal) -> dict[str, object]:
    error = signal.error
    return {
        "subscription": signal.subscription,
        "partition": signal.partition,
        "position": signal.position,
        "event_type": signal.event_type,
        "error_type": None if error is None else error.type,
        "where": None if error is None else error.place,
    }
