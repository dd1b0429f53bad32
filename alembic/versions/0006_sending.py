"""What sending keeps: when the provider is asked about a message, how many parts it has, how fast a sender may go

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempt", sa.Column("ask_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("attempt", sa.Column("asked", sa.Integer(), server_default="0", nullable=False))
    op.add_column("attempt", sa.Column("parts", sa.Integer(), server_default="1", nullable=False))
    op.add_column("message", sa.Column("segments", sa.Integer(), nullable=True))
    op.create_table(
        "pace",
        sa.Column("channel", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("tokens", sa.Float(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("channel", name=op.f("pk_pace")),
    )
    op.create_index(
        "ix_attempt_ask_at", "attempt", ["ask_at"], unique=False, postgresql_where=sa.text("ask_at IS NOT NULL")
    )


def downgrade() -> None:
    op.drop_index("ix_attempt_ask_at", table_name="attempt", postgresql_where=sa.text("ask_at IS NOT NULL"))
    op.drop_table("pace")
    op.drop_column("message", "segments")
    op.drop_column("attempt", "parts")
    op.drop_column("attempt", "asked")
    op.drop_column("attempt", "ask_at")
