"""People › Groups: list, make, change, members, delete."""

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from ravada_web.models import Group
from ravada_web.services.people import groups
from ravada_web.web import parameters
from ravada_web.web.confirm import Question, show_question
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, show
from ravada_web.web.people.forms import GroupForm, MembersForm

blueprint = Blueprint("groups", __name__, url_prefix="/groups")


def _page(group_id: int) -> str:
    return url_for("groups.group", group_id=group_id)


@blueprint.get("")
@needs("users.see")
def index() -> Response:
    """All groups."""
    search = request.args.get("search", "").strip()
    page = groups.page(me(), search, parameters.page())
    return show("groups/index.html", "groups/_table.html", page=page, search=search)


@blueprint.get("/new")
@needs("users.change")
def new() -> Response:
    """The form of a new group."""
    return _form(GroupForm(formdata=None))


@blueprint.post("/new")
@needs("users.change")
def create() -> ResponseReturnValue:
    """Create a group."""
    form = GroupForm()
    if accepted := form.submit(lambda: groups.create(me(), **form.settings)):
        group = accepted.result
        return done(_page(group.id), _("Group %(name)s created. Now add members.", name=group.name))
    return _form(form, 422)


def _form(form: GroupForm, status: int = 200, group: Group | None = None) -> Response:
    page = "groups/edit.html" if group else "groups/new.html"
    return show(page, "groups/_form.html", status, form=form, group=group)


@blueprint.get("/<int:group_id>")
@needs("users.see")
def group(group_id: int) -> Response:
    """One group and its members."""
    return _group(group_id, MembersForm(formdata=None))


def _group(group_id: int, form: MembersForm, status: int = 200) -> Response:
    shown = vars(groups.group_page(me(), group_id, parameters.page()))
    return show("groups/group.html", "groups/_group.html", status, form=form, **shown)


@blueprint.get("/<int:group_id>/edit")
@needs("users.change")
def edit(group_id: int) -> Response:
    """The settings of a group."""
    group = groups.get(me(), group_id)
    return _form(GroupForm(formdata=None, obj=group), group=group)


@blueprint.post("/<int:group_id>/edit")
@needs("users.change")
def save(group_id: int) -> ResponseReturnValue:
    """Change the settings of a group."""
    group, form = groups.get(me(), group_id), GroupForm()
    if form.submit(lambda: groups.edit(me(), group, **form.settings)):
        return done(_page(group_id), _("Settings saved."))
    return _form(form, 422, group)


@blueprint.post("/<int:group_id>/members")
@needs("users.change")
def add_members(group_id: int) -> ResponseReturnValue:
    """Add the users whose names were entered."""
    group, form = groups.get(me(), group_id), MembersForm()
    if accepted := form.submit(lambda: groups.add_members(me(), group, form.names.data)):
        added = accepted.result
        return done(_page(group_id), ngettext("%(num)s member added.", "%(num)s members added.", added))
    return _group(group_id, form, 422)


@blueprint.post("/<int:group_id>/members/<int:user_id>/remove")
@needs("users.change")
def remove_member(group_id: int, user_id: int) -> ResponseReturnValue:
    """Remove a user from the group."""
    user = groups.remove_member(me(), groups.get(me(), group_id), user_id)
    return done(_page(group_id), _("%(name)s removed from the group.", name=user.name))


@blueprint.get("/<int:group_id>/delete")
@needs("users.change")
def confirm_delete(group_id: int) -> Response:
    """What deleting the group means."""
    group = groups.get(me(), group_id)
    count = groups.members(me(), group).total
    question = Question(
        title=_("Delete %(name)s?", name=group.name),
        effects=[
            ngettext("%(num)s member loses this group’s bases and quota.",
                     "%(num)s members lose this group’s bases and quota.", count),
            _("Existing desktops are kept. This cannot be undone."),
        ],
        action=url_for("groups.delete", group_id=group_id),
        button=_("Delete group"),
        back=_page(group_id),
    )  # fmt: skip
    return show_question(question)


@blueprint.post("/<int:group_id>/delete")
@needs("users.change")
def delete(group_id: int) -> ResponseReturnValue:
    """Delete the group."""
    group = groups.get(me(), group_id)
    name = group.name
    groups.delete(me(), group)
    return done(url_for("groups.index"), _("%(name)s deleted.", name=name))
