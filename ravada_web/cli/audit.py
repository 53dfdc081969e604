"""`flask audit …`"""

import sys

import click

from ravada_web.cli.common import SOME, Commands
from ravada_web.errors import RavadaError
from ravada_web.services.audit import verification
from ravada_web.services.audit.verification import Fault, Proof

group = Commands("audit", help="The audit log.")


@group.command("verify")
@click.option("--noted", default="", help="A hash that this command has shown before: it must still be in the log.")
def verify(noted: str) -> None:
    """Prove that no line of the audit log was changed, deleted or inserted."""
    proof = verification.verify(noted)
    if proof.fault:
        raise RavadaError(_fault(proof, noted))
    click.echo(f"{proof.kept + proof.archived} lines fit, {proof.archived} of them in the archive.")
    click.echo(f"line {proof.last} hash {proof.last_digest}")
    if proof.unseen:
        click.echo("Earlier lines are archived, but their files are not in the archive folder.", err=True)
        sys.exit(SOME)


def _fault(proof: Proof, noted: str) -> str:
    match proof.fault:
        case Fault.LINE if proof.line is not None:
            line = proof.line
            said = f"Line {line['id']} ({line['at']}, {line['actor']}, {line['action']} {line['object_kind']})"
            return (
                f"{said} does not fit the line before it: it was changed or inserted, or lines before it are missing."
            )
        case Fault.ARCHIVE_END:
            return "The last lines of the archive are missing: the log in the database continues from a later line."
        case Fault.NOTED:
            return f"No line has the hash {noted}: the log was rewritten since it was noted."
    return f"Lines after {proof.last} are missing."
