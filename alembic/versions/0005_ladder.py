"""the ladder: who is told that somebody has not answered, and quiet hours

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


RIGHTS = """
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'muster_app') THEN
    REVOKE UPDATE, DELETE ON escalation, quiet_window FROM muster_app;
  END IF;
END $$;
"""


def upgrade() -> None:
    # Attempts before deliveries, as everybody does who changes both.
    op.add_column("attempt", sa.Column("held_until", sa.DateTime(timezone=True), nullable=True))
    op.alter_column("ladder_step", "channel", existing_type=sqlmodel.sql.sqltypes.AutoString(), nullable=True)
    op.add_column("ladder_step", sa.Column("tell", sqlmodel.sql.sqltypes.AutoString(), nullable=True))
    op.create_check_constraint(
        op.f("ck_ladder_step_tell"), "ladder_step", "tell IN ('manager', 'department_lead', 'commander')"
    )
    op.create_check_constraint(op.f("ck_ladder_step_one_kind"), "ladder_step", "(channel IS NULL) <> (tell IS NULL)")
    op.add_column("delivery", sa.Column("next_tell_rung", sa.Integer(), nullable=True))
    op.add_column("delivery", sa.Column("next_tell_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(
        op.f("ck_delivery_next_tell"), "delivery", "(next_tell_rung IS NULL) = (next_tell_at IS NULL)"
    )
    op.create_index(
        "ix_delivery_next_tell_at", "delivery", ["next_tell_at"], unique=False,
        postgresql_where=sa.text("next_tell_at IS NOT NULL"),
    )  # fmt: skip
    op.create_table(
        "quiet_window",
        sa.Column("bulletin_id", sa.BigInteger(), nullable=False),
        sa.Column("zone", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_quiet_window_hours")),
        sa.ForeignKeyConstraint(["bulletin_id"], ["bulletin.id"], name=op.f("fk_quiet_window_bulletin_id")),
        sa.PrimaryKeyConstraint("bulletin_id", "zone", "starts_at", name=op.f("pk_quiet_window")),
    )
    op.create_table(
        "escalation",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("rung", sa.Integer(), nullable=False),
        sa.Column("tell", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("notice_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("tell IN ('manager', 'department_lead', 'commander')", name=op.f("ck_escalation_tell")),
        sa.ForeignKeyConstraint(["delivery_id"], ["delivery.id"], name=op.f("fk_escalation_delivery_id")),
        sa.ForeignKeyConstraint(["notice_id"], ["notice.id"], name=op.f("fk_escalation_notice_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_escalation_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_escalation")),
        sa.UniqueConstraint("delivery_id", "person_id", name=op.f("uq_escalation_delivery_id_person_id")),
    )
    op.create_index("ix_escalation_notice_id", "escalation", ["notice_id"], unique=False)
    op.execute(RIGHTS)


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: the record is never unwritten")
