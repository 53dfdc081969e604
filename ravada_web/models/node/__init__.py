"""Nodes and their storage pools, by subject (health, absence, joining, …): one table each for nodes and pools."""

from ravada_web.models.node.away import Away
from ravada_web.models.node.health import Observed, Trust
from ravada_web.models.node.joining import Access
from ravada_web.models.node.node import Node, ServiceState
from ravada_web.models.node.pool import Level, Pool
from ravada_web.models.node.resting import RestStep

__all__ = ["Access", "Away", "Level", "Node", "Observed", "Pool", "RestStep", "ServiceState", "Trust"]
