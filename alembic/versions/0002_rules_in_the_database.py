"""rules in the database: append-only records, final states, the restricted role, the job engine's tables

Revision ID: 0002
Revises: 0001
"""

from alembic import op
from procrastinate.schema import SchemaManager

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

AUDIT = """
CREATE FUNCTION audit_hash(prev text, stream text, seq bigint, at timestamptz, actor text, kind text, data jsonb)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT encode(sha256(convert_to(
    jsonb_build_array(prev, stream, seq, extract(epoch FROM at)::text, actor, kind, data)::text, 'UTF8')), 'hex')
$$;

-- Runs with its owner's rights: our connections may not write the heads themselves.
CREATE FUNCTION audit_entry_chain() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
  head audit_head;
BEGIN
  INSERT INTO audit_head (stream, seq, hash) VALUES (NEW.stream, 0, '') ON CONFLICT DO NOTHING;
  SELECT * INTO head FROM audit_head WHERE stream = NEW.stream FOR UPDATE;
  NEW.seq := head.seq + 1;
  NEW.prev_hash := head.hash;
  NEW.hash := audit_hash(NEW.prev_hash, NEW.stream, NEW.seq, NEW.at, NEW.actor, NEW.kind, NEW.data);
  UPDATE audit_head SET seq = NEW.seq, hash = NEW.hash WHERE stream = NEW.stream;
  RETURN NEW;
END $$;
CREATE TRIGGER audit_entry_chain BEFORE INSERT ON audit_entry FOR EACH ROW EXECUTE FUNCTION audit_entry_chain();

CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER audit_entry_append_only BEFORE UPDATE OR DELETE ON audit_entry
  FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER audit_entry_no_truncate BEFORE TRUNCATE ON audit_entry
  FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER callback_append_only BEFORE UPDATE OR DELETE ON callback
  FOR EACH ROW EXECUTE FUNCTION append_only();
"""

FINAL = """
-- A sent bulletin is what people were told: it never changes; it can only be cancelled.
CREATE FUNCTION bulletin_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'a sent bulletin is never removed' USING ERRCODE = 'restrict_violation';
  END IF;
  IF (to_jsonb(NEW) - 'state' - 'cancelled_at') IS DISTINCT FROM (to_jsonb(OLD) - 'state' - 'cancelled_at')
     OR NEW.state NOT IN ('sent', 'cancelled') THEN
    RAISE EXCEPTION 'a sent bulletin never changes' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER bulletin_final BEFORE UPDATE OR DELETE ON bulletin
  FOR EACH ROW WHEN (OLD.sent_at IS NOT NULL) EXECUTE FUNCTION bulletin_final();

CREATE FUNCTION message_final() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  told timestamptz;
BEGIN
  SELECT sent_at INTO told FROM bulletin WHERE id = coalesce(OLD.bulletin_id, NEW.bulletin_id);
  IF told IS NOT NULL THEN
    RAISE EXCEPTION 'the text of a sent bulletin never changes' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER message_final BEFORE INSERT OR UPDATE OR DELETE ON message
  FOR EACH ROW EXECUTE FUNCTION message_final();

CREATE FUNCTION incident_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a closed incident is final' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER incident_final BEFORE UPDATE OR DELETE ON incident
  FOR EACH ROW WHEN (OLD.status = 'closed') EXECUTE FUNCTION incident_final();

CREATE FUNCTION revision_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a playbook revision never changes' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER playbook_revision_final BEFORE UPDATE OR DELETE ON playbook_revision
  FOR EACH ROW EXECUTE FUNCTION revision_final();
"""

CODES = """
-- The reply code of the seq-th message to a number. Letters and digits that no handset or eye confuses; two signs
-- while fewer than 152 messages lie between this one and the oldest that is still open on the number, then more.
CREATE FUNCTION reply_code(address text, seq integer, span integer) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  WITH place AS (
    SELECT CASE WHEN span < 152 THEN 1 WHEN span < 1216 THEN 2 ELSE 3 END AS digits,
           (hashtext(coalesce(address, ''))::bigint & 2147483647) + seq::bigint * 61 AS n
  ), code AS (SELECT digits, n % (19 * (8 ^ digits)::bigint) AS k FROM place)
  SELECT substr('ACDEFHJKLMNPRTUVWXY', (k / (8 ^ digits)::bigint)::int + 1, 1) ||
         (SELECT string_agg(substr('23456789', ((k / (8 ^ i)::bigint) % 8)::int + 1, 1), '' ORDER BY i DESC)
          FROM generate_series(0, digits - 1) i)
  FROM code
$$;
"""

ROLE = """
-- A managed database may not let us make roles; the triggers above still hold there, and `muster doctor` says so.
DO $$
BEGIN
  BEGIN
    CREATE ROLE muster_app NOLOGIN;
  EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'muster_app') THEN RETURN; END IF;
  END;
  BEGIN
    EXECUTE format('GRANT muster_app TO %I', current_user);
  EXCEPTION WHEN insufficient_privilege THEN NULL;
  END;
  GRANT USAGE ON SCHEMA public TO muster_app;
  GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO muster_app;
  GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO muster_app;
  ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO muster_app;
  ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO muster_app;
  REVOKE UPDATE, DELETE ON audit_entry, callback, playbook_revision FROM muster_app;
  REVOKE INSERT, UPDATE, DELETE ON audit_head FROM muster_app;
  REVOKE DELETE ON acknowledgment, delivery, attempt, bulletin, incident, inbound_message FROM muster_app;
  REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM muster_app;
END $$;
"""


def upgrade() -> None:
    for block in (SchemaManager.get_schema(), AUDIT, FINAL, CODES, ROLE):
        # The driver's own call: the text holds percent signs and colons that are no parameters.
        op.get_bind().exec_driver_sql(block.replace("%", "%%"))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: the record is never unwritten")
