"""What the page of alerts shows."""

from collections.abc import Sequence
from dataclasses import dataclass

from ravada_web.config import settings
from ravada_web.models import Alert, User
from ravada_web.services.monitoring import alerts as alert_rows
from ravada_web.services.monitoring import channels as alert_channels


@dataclass(frozen=True)
class AlertsPage:
    """The alerts that hold, those over last, and how each channel did last."""

    alerts: Sequence[Alert]
    over: Sequence[Alert]
    channels: dict[str, dict[str, object] | None]


def alerts_page(viewer: User) -> AlertsPage:
    """Active and past alerts, and who is notified. Raises NotAllowed."""
    return AlertsPage(alert_rows.current(viewer), alert_rows.ended(viewer), alert_channels.last(settings()))
