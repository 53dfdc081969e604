"""A base's tab “Offered to”: who may make desktops of it, and what these are."""

from flask import Blueprint, Response, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ravada_web.models import Base
from ravada_web.services.bases import listing as base_list
from ravada_web.services.bases import offers
from ravada_web.services.people import groups
from ravada_web.web.bases.forms import OffersForm
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, show

blueprint = Blueprint("offers", __name__, url_prefix="/bases/<int:base_id>/offered")


@blueprint.get("")
@needs("bases.see")
def tab(base_id: int) -> Response:
    """Who may create desktops from the base."""
    base = base_list.get(me(), base_id)
    values = {
        "to_all": base.offered_to_all,
        "groups": [row.group_id for row in base.offers if row.group_id],
        "users": [row.user_id for row in base.offers if row.user_id],
        "kind": "volatile" if base.offers_volatile else "persistent",
        "users_may_delete": base.users_may_delete,
        "users_may_refuse": base.users_may_refuse,
        "remakes": base.remakes,
        "restarts": base.restarts,
    }
    return _form(base, OffersForm(formdata=None, data=values))


@blueprint.post("")
@needs("bases.change")
def save(base_id: int) -> ResponseReturnValue:
    """Offer the base to exactly these."""
    base, form = base_list.get(me(), base_id), OffersForm()
    if form.submit(lambda: _set_offers(base, form)):
        return done(url_for("offers.tab", base_id=base_id), _("Saved."))
    return _form(base, form, 422)


def _set_offers(base: Base, form: OffersForm) -> None:
    offers.set_offers(
        me(),
        base,
        to_all=form.to_all.data,
        group_ids=form.groups.data,
        user_ids=form.users.data,
        user_names=form.names.data or "",
        volatile=form.kind.data == "volatile",
        users_may_delete=form.users_may_delete.data,
        users_may_refuse=form.users_may_refuse.data,
        remakes=form.remakes.data,
        restarts=form.restarts.data,
    )


def _form(base: Base, form: OffersForm, status: int = 200) -> Response:
    form.groups.offer(groups.listing(me()))
    form.users.offer(offers.users_of(me(), base))
    return show("bases/offered.html", "bases/_offered_form.html", status, base=base, form=form)
