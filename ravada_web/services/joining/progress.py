"""How far a node's joining is: read from its row and its last operation, so that the page can be left and resumed."""

from dataclasses import dataclass

from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.messages import Message
from ravada_web.models import Access, Node, Operation, OperationState, Trust, User
from ravada_web.services.joining import identification, key_install, remedies
from ravada_web.services.joining.checks.findings import Finding, findings_of
from ravada_web.services.joining.recognition import MAY_BE_NODE, MAY_TAKE_PLACE, Who
from ravada_web.services.joining.verification import Step, steps
from ravada_web.services.operations.kinds import kinds_on
from ravada_web.services.operations.subjects import JOINING_NODE
from ravada_web.services.permissions import rights

# Findings about the login; the others come from the checks.
OF_ACCESS = ("ssh", "access", "twice")


@dataclass(frozen=True)
class Guide:
    """A node's joining. `busy` is the operation under way; `failed` the last one, where it failed; `fixable` the
    codes of the failed findings that we can fix; `command` authorizes our key."""

    node: Node
    busy: Operation | None
    failed: Operation | None
    fixable: list[str]
    command: str

    @property
    def trusted(self) -> bool:
        """Whether the key that it shows was accepted."""
        return self.node.trust == Trust.PINNED or bool(self.node.new_host_key)

    @property
    def newcomer(self) -> Who | None:
        """Who the host with the node's new key is; None where there is none, or it was not looked at yet."""
        return Who(self.node.newcomer["who"]) if self.node.newcomer else None

    @property
    def said_of_newcomer(self) -> Message:
        """The same in words."""
        return identification.said_of(self.node)

    @property
    def may_take_place(self) -> bool:
        """Whether that host may be joined as a new one in the node's place."""
        return self.newcomer in MAY_TAKE_PLACE

    @property
    def may_be_node(self) -> bool:
        """Whether a person may say that it is the node."""
        return self.newcomer in MAY_BE_NODE

    @property
    def has_access(self) -> bool:
        """Whether our login works."""
        if self.node.new_host_key:
            return self.newcomer is not None
        return self.node.access != Access.NONE

    @property
    def reduced(self) -> bool:
        """Whether libvirt is all that we may use."""
        return self.node.access == Access.LIBVIRT

    @property
    def of_access(self) -> list[Finding]:
        """The findings about the login."""
        return [finding for finding in findings_of(self.node) if finding.code in OF_ACCESS]

    @property
    def checks(self) -> list[Finding]:
        """The other findings."""
        return [finding for finding in findings_of(self.node) if finding.code not in OF_ACCESS]

    @property
    def verification(self) -> list[Step]:
        """The steps of the last test."""
        return steps(self.node.proof)

    @property
    def sound(self) -> bool:
        """Whether every check passed, or only warns."""
        if self.node.new_host_key:
            return False
        return bool(self.node.findings) and all(finding.state != "fail" for finding in findings_of(self.node))

    @property
    def field(self) -> str:
        """What the failure is about: a field, "" for none."""
        return str(self.failed.result.get("field", "")) if self.failed else ""

    @property
    def step(self) -> int:
        """The step that is to be done now, from 1: trust, access, checks, verification; 5 when all are done."""
        for number, is_done in enumerate((self.trusted, self.has_access, self.sound, self.node.proved_at), 1):
            if not is_done:
                return number
        return 5


def read(viewer: User, node: Node) -> Guide:
    """How far it is."""
    rights.require(viewer, "nodes.change")
    query = select(Operation).where(Operation.node_id == node.id, Operation.kind.in_(kinds_on(JOINING_NODE)))
    last = db.session.scalar(query.order_by(Operation.id.desc()).limit(1))
    busy = last if last is not None and not last.over else None
    failed = last if last is not None and last.state == OperationState.FAILED else None
    codes = [finding.code for finding in remedies.remedies(node)]
    return Guide(node, busy, failed, codes, "" if node.local else key_install.command(node))
