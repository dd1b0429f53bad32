"""Pictures with a text, possible help and possible opt-outs that are settled, and an opt-out on somebody's behalf

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

FLAGS = ("help_settled", "stop_settled")
OPEN = {"maybe_help": "help_settled_at", "maybe_stop": "stop_settled_at"}


def upgrade() -> None:
    for table in ("inbound_message", "field_report"):
        op.add_column(
            table,
            sa.Column("media", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        )
        op.create_check_constraint(op.f(f"ck_{table}_media"), table, "jsonb_typeof(media) = 'array'")
    op.add_column("field_report", sa.Column("maybe_stop", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("field_report", sa.Column("help_request_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        "fk_field_report_help_request_id", "field_report", "help_request", ["help_request_id"], ["id"]
    )
    for flag in FLAGS:
        op.add_column("field_report", sa.Column(f"{flag}_at", sa.DateTime(timezone=True), nullable=True))
        op.add_column("field_report", sa.Column(f"{flag}_by", sa.BigInteger(), nullable=True))
        op.create_foreign_key(f"fk_field_report_{flag}_by", "field_report", "account", [f"{flag}_by"], ["id"])
        op.create_check_constraint(
            op.f(f"ck_field_report_{flag}"), "field_report", f"{flag}_by IS NULL OR {flag}_at IS NOT NULL"
        )
    op.create_check_constraint(
        op.f("ck_field_report_became_help"), "field_report", "help_request_id IS NULL OR help_settled_at IS NOT NULL"
    )
    for flag, settled in OPEN.items():
        op.create_index(
            f"ix_field_report_{flag}", "field_report", ["incident_id"],
            postgresql_where=sa.text(f"{flag} AND {settled} IS NULL"),
        )
    op.alter_column("help_request", "delivery_id", existing_type=sa.BigInteger(), nullable=True)
    op.create_index(
        "uq_help_request_untold_open", "help_request", ["incident_id", "person_id"], unique=True,
        postgresql_where=sa.text("closed_at IS NULL AND delivery_id IS NULL"),
    )
    op.add_column("suppression", sa.Column("by_account", sa.BigInteger(), nullable=True))
    op.create_foreign_key("fk_suppression_by_account", "suppression", "account", ["by_account"], ["id"])
    op.create_table(
        "contact_note",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("opted_out", sa.Boolean(), nullable=False),
        sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("by_account", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('mobile', 'phone', 'email')", name=op.f("ck_contact_note_kind")),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_contact_note_person_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["by_account"], ["account.id"], name=op.f("fk_contact_note_by_account")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact_note")),
    )
    op.create_index(op.f("ix_contact_note_person_id"), "contact_note", ["person_id"], unique=False)


def downgrade() -> None:
    op.drop_table("contact_note")
    op.drop_column("suppression", "by_account")
    op.drop_index("uq_help_request_untold_open", table_name="help_request")
    op.execute("UPDATE field_report SET help_request_id = NULL")
    op.execute("DELETE FROM help_request WHERE delivery_id IS NULL")
    op.alter_column("help_request", "delivery_id", existing_type=sa.BigInteger(), nullable=False)
    for flag in OPEN:
        op.drop_index(f"ix_field_report_{flag}", table_name="field_report")
    op.drop_column("field_report", "help_request_id")
    for flag in FLAGS:
        op.drop_column("field_report", f"{flag}_by")
        op.drop_column("field_report", f"{flag}_at")
    op.drop_column("field_report", "maybe_stop")
    for table in ("inbound_message", "field_report"):
        op.drop_column(table, "media")
