"""Nodes and their storage pools, by subject: health, joining, settings, figures. One table each for nodes and pools."""

from ravada_web.models.node.health import Observed, Trust
from ravada_web.models.node.joining import Access
from ravada_web.models.node.node import Node, ServiceState
from ravada_web.models.node.pool import Level, Pool

__all__ = ["Access", "Level", "Node", "Observed", "Pool", "ServiceState", "Trust"]
