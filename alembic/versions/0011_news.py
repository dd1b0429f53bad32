"""An all-clear is news: it asks for no answer

A bulletin that went out or was approved with an answer line in its text stays the question that it was.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("bulletin", sa.Column("asks", sa.Boolean(), server_default="true", nullable=False))
    op.execute(
        """DELETE FROM message m USING bulletin b
           WHERE b.id = m.bulletin_id AND b.state = 'draft' AND b.stage = 'resolved' AND m.channel = 'voice'"""
    )
    op.execute("UPDATE bulletin SET asks = false WHERE state = 'draft' AND stage = 'resolved'")
    op.create_check_constraint(op.f("ck_bulletin_asks"), "bulletin", "asks OR stage = 'resolved'")


def downgrade() -> None:
    op.drop_constraint(op.f("ck_bulletin_asks"), "bulletin")
    op.drop_column("bulletin", "asks")
