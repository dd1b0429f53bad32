"""Whether a provider is set up wrongly, which only an operator can mend, or is only away

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("provider_health", sa.Column("misconfigured", sa.Boolean(), server_default="false", nullable=False))


def downgrade() -> None:
    op.drop_column("provider_health", "misconfigured")
