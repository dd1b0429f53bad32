"""Muster's own trouble: alarms and who was told, the outside monitor's heartbeat, webhooks counted

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alarm",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("cause", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("detail", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("drill", sa.Boolean(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("announced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("told_at IS NULL OR announced_at IS NOT NULL", name=op.f("ck_alarm_told")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm")),
    )
    op.create_index(
        "uq_alarm_open", "alarm", ["cause"], unique=True, postgresql_where=sa.text("resolved_at IS NULL")
    )
    op.create_index("ix_alarm_announced_at", "alarm", ["announced_at"], unique=False)
    op.create_table(
        "alarm_telling",
        sa.Column("alarm_id", sa.BigInteger(), nullable=False),
        sa.Column("over", sa.Boolean(), nullable=False),
        sa.Column("way", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("way IN ('email', 'sms')", name=op.f("ck_alarm_telling_way")),
        sa.ForeignKeyConstraint(
            ["alarm_id"], ["alarm.id"], name=op.f("fk_alarm_telling_alarm_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("alarm_id", "over", "way", name=op.f("pk_alarm_telling")),
    )
    op.create_table(
        "heartbeat_ping",
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_heartbeat_ping")),
    )
    op.create_table(
        "webhook_count",
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("many", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('taken', 'refused', 'refused_ours')", name=op.f("ck_webhook_count_kind")),
        sa.PrimaryKeyConstraint("minute", "kind", name=op.f("pk_webhook_count")),
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: the record is never unwritten")
