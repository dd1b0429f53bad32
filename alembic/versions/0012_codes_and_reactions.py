"""Reply codes that begin with no word of ours, and the incident that a text belongs to

Codes began with A, C, D and W, too, which texts begin with for other reasons. Codes that were given stay; until their
incidents are closed, new ones on the same numbers have four signs, so that none is given twice.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

CODE = """
-- The reply code of the seq-th message to a number. Letters and digits that no handset or eye confuses, and no letter
-- that a text of another meaning begins with; two signs while fewer than {two} messages lie between this one and the
-- oldest that is still open on the number, three up to {three}, then four.
CREATE OR REPLACE FUNCTION reply_code(address text, seq integer, span integer) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  WITH place AS (
    SELECT CASE WHEN span < {two} THEN 1 WHEN span < {three} THEN 2 ELSE 3 END AS digits,
           (hashtext(coalesce(address, ''))::bigint & 2147483647) + seq::bigint * 61 AS n
  ), code AS (SELECT digits, n % ({many} * (8 ^ digits)::bigint) AS k FROM place)
  SELECT substr('{letters}', (k / (8 ^ digits)::bigint)::int + 1, 1) ||
         (SELECT string_agg(substr('23456789', ((k / (8 ^ i)::bigint) % 8)::int + 1, 1), '' ORDER BY i DESC)
          FROM generate_series(0, digits - 1) i)
  FROM code
$$
"""


def code_of(letters: str) -> str:
    many = len(letters)
    return CODE.format(letters=letters, many=many, two=many * 8, three=many * 64)


def upgrade() -> None:
    op.execute(code_of("EFHJKLMNPRTUVXY"))
    # Up to which delivery codes were given by the rule before; the sequence, because some may not be committed yet.
    op.execute(
        """DO $$ BEGIN EXECUTE format(
             'CREATE FUNCTION reply_codes_after() RETURNS bigint LANGUAGE sql IMMUTABLE AS %L', 'SELECT ' || coalesce(
               (SELECT s.last_value FROM pg_sequences s WHERE format('%I.%I', s.schemaname, s.sequencename)::regclass
                  = pg_get_serial_sequence('delivery', 'id')::regclass), 0) || '::bigint');
           END $$"""
    )
    op.add_column("inbound_message", sa.Column("incident_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        "fk_inbound_message_incident_id", "inbound_message", "incident", ["incident_id"], ["id"]
    )
    op.create_index(
        "ix_inbound_message_reaction", "inbound_message", ["incident_id"],
        postgresql_where=sa.text("outcome = 'reaction'"),
    )


def downgrade() -> None:
    op.drop_index("ix_inbound_message_reaction", table_name="inbound_message")
    op.drop_column("inbound_message", "incident_id")
    op.execute("DROP FUNCTION reply_codes_after()")
    op.execute(code_of("ACDEFHJKLMNPRTUVWXY"))
