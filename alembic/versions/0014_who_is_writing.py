"""Who has the page open on which the next bulletin is written

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bulletin_writer",
        sa.Column("incident_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("until >= since", name=op.f("ck_bulletin_writer_ends")),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name=op.f("fk_bulletin_writer_incident_id")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_bulletin_writer_account_id")),
        sa.PrimaryKeyConstraint("incident_id", "account_id", name=op.f("pk_bulletin_writer")),
    )


def downgrade() -> None:
    op.drop_table("bulletin_writer")
