"""Hold timelines before what is written under them: everybody takes their locks in one order

Revision ID: 0015
Revises: 0014
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        -- Runs with its owner's rights: our connections may not lock the heads themselves.
        CREATE FUNCTION audit_hold(streams text[]) RETURNS void
        LANGUAGE sql SECURITY DEFINER SET search_path = public AS $$
          SELECT FROM audit_head WHERE stream = ANY(streams) ORDER BY stream FOR UPDATE
        $$""")


def downgrade() -> None:
    op.execute("DROP FUNCTION audit_hold(text[])")
