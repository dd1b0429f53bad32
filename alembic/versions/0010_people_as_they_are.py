"""everybody and everything that shows somebody gets the version of today

In batches of their own transactions, each of which finds what is left: a send in flight waits for one batch at most,
and what breaks off goes on where it was.

Revision ID: 0010
Revises: 0009
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BATCH = 5000

# In the order of their ids, as everybody does who changes several.
PEOPLE = f"""
UPDATE person SET active = active WHERE id = ANY(ARRAY(
  SELECT id FROM person WHERE latest_version_id IS NULL ORDER BY id LIMIT {BATCH} FOR NO KEY UPDATE))
"""
SHOWN = """
UPDATE {table} s SET person_version_id = p.latest_version_id
FROM person p WHERE p.id = s.person_id AND s.id = ANY(ARRAY(
  SELECT id FROM {table} WHERE id > {after} AND id <= {upto} AND person_version_id IS NULL AND person_id IS NOT NULL
  ORDER BY id FOR NO KEY UPDATE))
"""
ALWAYS = ("delivery", "help_request")
SOMETIMES = ("field_report", "role_assignment")


def upgrade() -> None:
    with op.get_context().autocommit_block():
        run = op.get_bind().exec_driver_sql
        while run(PEOPLE).rowcount:
            pass
        for table in (*ALWAYS, *SOMETIMES):
            last = run(f"SELECT coalesce(max(id), 0) FROM {table}").scalar_one()
            for after in range(0, last, BATCH):
                run(SHOWN.format(table=table, after=after, upto=after + BATCH))
        # Each is checked beside everybody else's work first, so that nobody waits while it is looked through.
        _never_null("person", "latest_version_id")
        for table in ALWAYS:
            _never_null(table, "person_version_id")
        for table in SOMETIMES:
            _check(table, f"ck_{table}_person_version", "(person_id IS NULL) = (person_version_id IS NULL)")
        for table in (*ALWAYS, *SOMETIMES):
            _refers(table)


def _never_null(table: str, column: str) -> None:
    run = op.get_bind().exec_driver_sql
    _check(table, "never_null", f"{column} IS NOT NULL")
    run(f"ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL, DROP CONSTRAINT never_null")


def _check(table: str, name: str, condition: str) -> None:
    run = op.get_bind().exec_driver_sql
    run(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
    run(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID")
    run(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")


def _refers(table: str) -> None:
    """A version of that very person; it takes the place of the reference to the person."""
    run = op.get_bind().exec_driver_sql
    name = f"fk_{table}_person_id_person_version_id"
    run(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
    run(
        f"""ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY (person_id, person_version_id)
            REFERENCES person_version (person_id, id) NOT VALID"""
    )
    run(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
    run(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS fk_{table}_person_id")


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: the record is never unwritten")
