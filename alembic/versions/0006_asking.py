"""When the provider is asked how a message goes whose callbacks do not come

Revision ID: 0006
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempt", sa.Column("ask_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("attempt", sa.Column("asked", sa.Integer(), server_default="0", nullable=False))
    op.create_index(
        "ix_attempt_ask_at", "attempt", ["ask_at"], unique=False, postgresql_where=sa.text("ask_at IS NOT NULL")
    )


def downgrade() -> None:
    op.drop_index("ix_attempt_ask_at", table_name="attempt", postgresql_where=sa.text("ask_at IS NOT NULL"))
    op.drop_column("attempt", "asked")
    op.drop_column("attempt", "ask_at")
