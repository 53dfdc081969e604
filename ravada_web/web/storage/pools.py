"""A storage pool's marks and floor."""

from flask import Blueprint, Response, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ravada_web.models import Node, Pool
from ravada_web.services.nodes import listing as node_list
from ravada_web.services.storage import overview as storage_overview
from ravada_web.services.storage import pools
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, show
from ravada_web.web.storage.forms import PoolForm

blueprint = Blueprint("pools", __name__, url_prefix="/nodes/<int:node_id>/pools")


def _page(node: Node, pool: Pool, form: PoolForm, status: int = 200) -> Response:
    usual = pools.settings().disk_reserve_mib
    return show("nodes/pool.html", "nodes/_pool_form.html", status, node=node, pool=pool, form=form, usual=usual)


@blueprint.get("/<int:pool_id>")
@needs("nodes.change")
def marks(node_id: int, pool_id: int) -> Response:
    """The thresholds of a pool."""
    node = node_list.get(me(), node_id)
    pool = storage_overview.get(node, pool_id)
    return _page(node, pool, PoolForm(obj=pool))


@blueprint.post("/<int:pool_id>")
@needs("nodes.change")
def save(node_id: int, pool_id: int) -> ResponseReturnValue:
    """Change the thresholds of a pool."""
    node = node_list.get(me(), node_id)
    pool = storage_overview.get(node, pool_id)
    form = PoolForm()
    if form.submit(lambda: pools.set_marks(me(), pool, **form.values)):
        return done(url_for("nodes.node", node_id=node_id), _("Thresholds saved."))
    return _page(node, pool, form, 422)
