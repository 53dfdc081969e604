"""Rows that take no UPDATE, on both kinds of database."""

from sqlalchemy import text

from ravada_web.services.transaction import transaction


def refuse_updates(table: str, row_id: int) -> None:
    """From now on that row takes no UPDATE."""
    when = f"ON {table} FOR EACH ROW WHEN (OLD.id = {row_id})"
    with transaction() as session:
        if session.get_bind().dialect.name == "sqlite":
            say = "BEGIN SELECT RAISE(ABORT, 'this row is stone'); END"
            session.execute(text(f"CREATE TRIGGER stone BEFORE UPDATE {when} {say}"))
            return
        body = "$$ BEGIN RAISE EXCEPTION 'this row is stone'; END $$"
        session.execute(text(f"CREATE FUNCTION stone() RETURNS trigger LANGUAGE plpgsql AS {body}"))
        session.execute(text(f"CREATE TRIGGER stone BEFORE UPDATE {when} EXECUTE FUNCTION stone()"))


def take_updates(table: str) -> None:
    """All rows of the table take them again."""
    with transaction() as session:
        on = "" if session.get_bind().dialect.name == "sqlite" else f"ON {table}"
        session.execute(text(f"DROP TRIGGER stone {on}"))
