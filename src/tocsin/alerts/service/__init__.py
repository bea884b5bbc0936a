"""Use cases of alert-ingestion."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from tocsin.alerts.metrics import AlertMetrics
from tocsin.alerts.service.batch_writer import BatchWriter
from tocsin.alerts.service.correlator import Correlator
from tocsin.alerts.service.forwarder import Forwarder
from tocsin.alerts.service.parsing import BodyParser
from tocsin.alerts.settings import Settings
from tocsin.clients.incidents import IncidentsClient
from tocsin.kernel.db import Database
from tocsin.kernel.outcome_recorder import OutcomeRecorder
from tocsin.kernel.partitions import RetentionMetrics


@dataclass(frozen=True, slots=True)
class Deps:
    """The dependencies of the use cases."""

    db: Database
    settings: Settings
    metrics: AlertMetrics
    parser: BodyParser
    batch_writer: BatchWriter
    correlator: Correlator
    forwarder: Forwarder
    recorder: OutcomeRecorder
    incidents: IncidentsClient
    retention: RetentionMetrics


DEPS: Final = web.AppKey("DEPS", Deps)
