"""How a subscription tells of itself: to its observer, and to the log where something failed."""

import logging

from dashtam_events._told import log_told
from dashtam_events.recorded import Position
from dashtam_events.subscriptions._batches import Item, type_of
from dashtam_events.subscriptions.checkpoint import ParkedEvent
from dashtam_events.subscriptions.health import ErrorPlace, Observer, Signal, SignalKind

__all__ = ["Teller"]

_LOGGER = logging.getLogger("dashtam_events.subscriptions")
_PARKED = "{subscription} parked {event_type} at position {position}: "
_WHY = {
    True: _PARKED + "{error_type} at {where}; it stays there until it is replayed or dropped",
    False: _PARKED + "it waits behind an earlier event of its stream",
}
_MET = {
    True: "{subscription} met {error_type} ({reason}) at {where}; ",
    False: "{subscription} met {error_type} at {where}; ",
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
        signal = Signal(
            kind=SignalKind.PARKED,
            subscription=self._subscription,
            partition=self._partition,
            position=parked.position,
            event_type=parked.event_type,
            error=None if name is None else ErrorPlace(name, place or "unknown"),
        )
        _log("subscription_event_parked", signal, _WHY[name is not None])
        self._tell(signal)

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

    def failed(self, error: Exception, then: str) -> None:
        """Something failed that is no single event; `then` says what happens next."""
        place = self.note(error)
        signal = Signal(
            kind=SignalKind.FAILED,
            subscription=self._subscription,
            partition=self._partition,
            error=place,
        )
        _log("subscription_failed", signal, _MET[place.reason is not None] + then)
        self._tell(signal)

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
        if self._observer is None:
            return
        try:
            self._observer(signal)
        except Exception as mistake:  # noqa: BLE001  # an observer harms no one
            place = ErrorPlace.of(mistake)
            told = "the observer of {subscription} raised {error_type} at {where}; all else goes on"
            facts = {"subscription": self._subscription}
            facts |= {"error_type": place.type, "where": place.place}
            # Its text and traceback may hold values.
            log_told(_LOGGER, logging.ERROR, "subscription_observer_failed", facts, told)


def _log(message: str, signal: Signal, told: str) -> None:
    error = signal.error
    facts = {
        "subscription": signal.subscription,
        "partition": signal.partition,
        "position": signal.position,
        "event_type": signal.event_type,
        "error_type": None if error is None else error.type,
        "where": None if error is None else error.place,
        "reason": None if error is None else error.reason,
    }
    log_told(_LOGGER, logging.ERROR, message, facts, told)
