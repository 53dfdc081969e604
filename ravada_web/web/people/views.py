"""People › Users: list, make, look at, change, an operator's scope; and what the roles may do."""

from flask import Blueprint, Response, g, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ravada_web.models import Role, User
from ravada_web.services.bases import listing as base_list
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.nodes import listing as node_list
from ravada_web.services.people import groups, operator_scopes, users
from ravada_web.services.people import listing as people_list
from ravada_web.services.people import names as user_names
from ravada_web.services.people.listing import Filters
from ravada_web.services.permissions import rights, scopes
from ravada_web.web import parameters
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, show
from ravada_web.web.people.forms import QUOTA_FIELDS, NewPersonForm, PersonForm, ScopeForm

blueprint = Blueprint("people", __name__, url_prefix="/users")


@blueprint.get("")
@needs("users.see")
def index() -> Response:
    """All users, filtered."""
    arguments = request.args
    filters = Filters(
        search=arguments.get("search", "").strip(),
        role=arguments.get("role", ""),
        group_id=arguments.get("group_id", type=parameters.number),
        standing=arguments.get("standing", ""),
    )
    page = people_list.page(me(), filters, parameters.page())
    return show("people/index.html", "people/_table.html", page=page, filters=filters, groups=groups.listing(me()))


@blueprint.get("/suggestions")
@needs("users.see")
def suggestions() -> Response:
    """Suggestions of users' names for what was typed so far."""
    names = user_names.suggestions(me(), request.args.get("owner", "").strip())
    return make_response(render_template("people/_suggestions.html", names=names))


@blueprint.get("/roles")
@needs("users.see")
def roles() -> Response:
    """What each role may do."""
    return show("people/roles.html", "people/_roles.html", rights=rights.RIGHTS)


@blueprint.get("/new")
@needs("users.change")
def new() -> Response:
    """The form of a new user."""
    return _new_form(NewPersonForm(formdata=None))


@blueprint.post("/new")
@needs("users.change")
def create() -> ResponseReturnValue:
    """Create a user."""
    form = NewPersonForm()
    name, typed = form.values["name"], form.password.data
    accepted = form.submit(lambda: users.make(me(), name, password=typed, **form.settings))
    if not accepted:
        return _new_form(form, 422)
    user, password = accepted.result
    if typed:
        return done(_page(user.id), _("%(name)s can sign in now.", name=name))
    return shown_once(user, password)


def shown_once(user: User, password: str) -> Response:
    """A drawn password, in this one answer, which no browser keeps."""
    return show("people/password.html", "people/_password.html", user=user, password=password)


def _new_form(form: NewPersonForm, status: int = 200) -> Response:
    form.offer(groups.listing(me()))
    return show("people/new.html", "people/_new_form.html", status, form=form)


def _page(user_id: int) -> str:
    return url_for("people.person", user_id=user_id)


@blueprint.get("/<int:user_id>")
@needs("users.see")
def person(user_id: int) -> Response:
    """One user."""
    shown = vars(people_list.person(me(), user_id))
    shown |= {"desktops": clone_list.of_owner(me(), user_id)}
    return show("people/person.html", "people/_person.html", this=g.session_id, **shown)


@blueprint.get("/<int:user_id>/edit")
@needs("users.change")
def edit(user_id: int) -> Response:
    """Role, groups and quota of a user."""
    user = users.get(me(), user_id)
    values = {name: getattr(user, name) for name in QUOTA_FIELDS}
    values |= {"role": user.role, "groups": [group.id for group in user.groups]}
    return _edit_form(user, PersonForm(formdata=None, data=values))


@blueprint.post("/<int:user_id>/edit")
@needs("users.change")
def save(user_id: int) -> ResponseReturnValue:
    """Change role, groups and quota of a user."""
    user, form = users.get(me(), user_id), PersonForm()
    if form.submit(lambda: users.edit(me(), user, **form.settings)):
        return done(_page(user_id), _("Settings saved."))
    return _edit_form(user, form, 422)


def _edit_form(user: User, form: PersonForm, status: int = 200) -> Response:
    form.offer(groups.listing(me()))
    return show("people/edit.html", "people/_edit_form.html", status, user=user, form=form)


@blueprint.get("/<int:user_id>/part")
@needs("users.change")
def scope(user_id: int) -> Response:
    """The scope of an operator."""
    user = users.get(me(), user_id)
    stored = scopes.of(user)
    values = {"part": "some" if stored else "all"}
    if stored:
        values |= {"bases": stored.base_ids, "nodes": stored.node_ids}
    return _scope_form(user, ScopeForm(formdata=None, data=values))


@blueprint.post("/<int:user_id>/part")
@needs("users.change")
def save_scope(user_id: int) -> ResponseReturnValue:
    """Change the scope of an operator."""
    user, form = users.get(me(), user_id), ScopeForm()
    if form.submit(lambda: _set_scope(user, form)):
        return done(_page(user_id), _("Saved."))
    return _scope_form(user, form, 422)


def _set_scope(user: User, form: ScopeForm) -> None:
    if form.part.data == "all":
        operator_scopes.clear_scope(me(), user)
    else:
        operator_scopes.set_scope(me(), user, form.nodes.data, form.bases.data)


def _scope_form(user: User, form: ScopeForm, status: int = 200) -> Response:
    form.bases.offer(base_list.choices(me()))
    form.nodes.offer(node_list.choices(me()))
    operator = user.role == Role.OPERATOR
    return show("people/part.html", "people/_part_form.html", status, user=user, form=form, operator=operator)
