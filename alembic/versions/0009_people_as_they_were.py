"""people as they were: a version of a person whenever what we say of them changes

What shows somebody refers to a version from here on; 0010 gives one to everything that is there.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

SHOWING = ("role_assignment", "delivery", "field_report", "help_request")
"""Tables whose rows show a person."""

VERSIONS = """
-- A name is in the chain as a salted hash: so it can be erased, and the chain still holds.
CREATE FUNCTION person_name_hash(salt text, name text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT encode(sha256(convert_to(salt || ':' || name, 'UTF8')), 'hex')
$$;

CREATE FUNCTION person_version_line(v person_version, department text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_build_array(v.id, v.person_id, extract(epoch FROM v.since)::text,
    CASE WHEN v.salt IS NULL THEN v.name_hash ELSE person_name_hash(v.salt, v.name) END,
    department, v.site, v.title, v.manager_id, v.active)::text
$$;

CREATE FUNCTION person_numbered() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
  IF TG_OP = 'INSERT' OR OLD.latest_version_id IS NULL THEN
    NEW.latest_version_id := nextval(pg_get_serial_sequence('person_version', 'id'));
  ELSIF (NEW.name, NEW.department_id, NEW.site, NEW.title, NEW.manager_id, NEW.active) IS DISTINCT FROM
        (OLD.name, OLD.department_id, OLD.site, OLD.title, OLD.manager_id, OLD.active) THEN
    NEW.latest_version_id := nextval(pg_get_serial_sequence('person_version', 'id'));
    IF NEW.updated_at = OLD.updated_at THEN
      NEW.updated_at := clock_timestamp();
    END IF;
  ELSE
    NEW.latest_version_id := OLD.latest_version_id;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER person_numbered BEFORE INSERT OR UPDATE ON person FOR EACH ROW EXECUTE FUNCTION person_numbered();

-- The versions of one statement, and one chained entry about all of them. With its owner's rights: our connections
-- write no version themselves.
CREATE FUNCTION person_versioned() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
  first bigint;
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT min(latest_version_id) INTO first FROM after_it;
    INSERT INTO person_version (id, person_id, since, name, salt, name_hash, department_id, site, title, manager_id,
                                active, change)
    OVERRIDING SYSTEM VALUE
    SELECT a.latest_version_id, a.id, a.created_at, a.name, a.salt, person_name_hash(a.salt, a.name), a.department_id,
           a.site, a.title, a.manager_id, a.active, first
    FROM (SELECT *, gen_random_uuid()::text AS salt FROM after_it) a;
  ELSE
    SELECT min(a.latest_version_id) INTO first
    FROM after_it a JOIN before_it b ON b.id = a.id WHERE b.latest_version_id IS DISTINCT FROM a.latest_version_id;
    INSERT INTO person_version (id, person_id, since, name, salt, name_hash, department_id, site, title, manager_id,
                                active, change)
    OVERRIDING SYSTEM VALUE
    SELECT a.latest_version_id, a.id, CASE WHEN b.latest_version_id IS NULL THEN a.created_at ELSE a.updated_at END, a.name,
           a.salt, person_name_hash(a.salt, a.name), a.department_id, a.site, a.title, a.manager_id, a.active, first
    FROM (SELECT *, gen_random_uuid()::text AS salt FROM after_it) a JOIN before_it b ON b.id = a.id
    WHERE b.latest_version_id IS DISTINCT FROM a.latest_version_id;
  END IF;
  IF first IS NOT NULL THEN
    INSERT INTO audit_entry (stream, at, actor, kind, data)
    SELECT 'people', clock_timestamp(), 'system', 'people.versions', jsonb_build_object('change', first,
      'people', count(*), 'sha256', encode(sha256(convert_to(
        string_agg(person_version_line(v, d.name), chr(10) ORDER BY v.id), 'UTF8')), 'hex'))
    FROM person_version v JOIN department d ON d.id = v.department_id WHERE v.change = first;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER person_versioned_first AFTER INSERT ON person REFERENCING NEW TABLE AS after_it
  FOR EACH STATEMENT EXECUTE FUNCTION person_versioned();
CREATE TRIGGER person_versioned_again AFTER UPDATE ON person REFERENCING OLD TABLE AS before_it NEW TABLE AS after_it
  FOR EACH STATEMENT EXECUTE FUNCTION person_versioned();

-- Nothing of a version ever changes, but that its name is erased.
CREATE FUNCTION person_version_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND NEW.salt IS NULL AND NEW.name = 'erased person'
     AND (to_jsonb(NEW) - 'name' - 'salt') = (to_jsonb(OLD) - 'name' - 'salt') THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'person_version is append-only' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER person_version_final BEFORE UPDATE OR DELETE ON person_version
  FOR EACH ROW EXECUTE FUNCTION person_version_final();

-- A department's name stands in the versions by its id: another name is another department.
CREATE FUNCTION department_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a department keeps its name; move its people to another one' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER department_final BEFORE UPDATE ON department
  FOR EACH ROW WHEN ((OLD.id, OLD.name, OLD.key) IS DISTINCT FROM (NEW.id, NEW.name, NEW.key))
  EXECUTE FUNCTION department_final();

CREATE FUNCTION person_erase_name(who bigint, by_whom text, moment timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
  UPDATE person SET name = 'erased person', updated_at = moment WHERE id = who;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  UPDATE person_version SET name = 'erased person', salt = NULL WHERE person_id = who;
  INSERT INTO audit_entry (stream, at, actor, kind, data)
  VALUES ('people', moment, by_whom, 'person.name_erased', jsonb_build_object('person', who));
  RETURN true;
END $$;

-- Whatever shows a person shows them as they are when it is written, and from then on.
CREATE FUNCTION person_as_now() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  SELECT latest_version_id INTO NEW.person_version_id FROM person WHERE id = NEW.person_id;
  RETURN NEW;
END $$;
CREATE FUNCTION person_as_then() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% keeps the person as they were', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
"""

KEPT = """
CREATE TRIGGER {table}_person_as_now BEFORE INSERT ON {table}
  FOR EACH ROW WHEN (NEW.person_version_id IS NULL AND NEW.person_id IS NOT NULL) EXECUTE FUNCTION person_as_now();
CREATE TRIGGER {table}_person_as_then BEFORE UPDATE OF person_id, person_version_id ON {table}
  FOR EACH ROW WHEN (OLD.person_version_id IS NOT NULL AND
    (OLD.person_id, OLD.person_version_id) IS DISTINCT FROM (NEW.person_id, NEW.person_version_id))
  EXECUTE FUNCTION person_as_then();
"""

RIGHTS = """
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'muster_app') THEN
    REVOKE INSERT, UPDATE, DELETE ON person_version FROM muster_app;
  END IF;
END $$;
"""


def upgrade() -> None:
    # The busiest tables first: whoever waits for the later ones holds up nobody.
    for table in SHOWING:
        op.add_column(table, sa.Column("person_version_id", sa.BigInteger(), nullable=True))
    op.add_column("person", sa.Column("latest_version_id", sa.BigInteger(), nullable=True))
    text = sqlmodel.sql.sqltypes.AutoString()
    op.create_table(
        "person_version",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", text, nullable=False),
        sa.Column("salt", text, nullable=True),
        sa.Column("name_hash", text, nullable=False),
        sa.Column("department_id", sa.BigInteger(), nullable=False),
        sa.Column("site", text, nullable=True),
        sa.Column("title", text, nullable=True),
        sa.Column("manager_id", sa.BigInteger(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("salt IS NOT NULL OR name = 'erased person'", name=op.f("ck_person_version_erased")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_person_version_person_id")),
        sa.ForeignKeyConstraint(["department_id"], ["department.id"], name=op.f("fk_person_version_department_id")),
        sa.ForeignKeyConstraint(["manager_id"], ["person.id"], name=op.f("fk_person_version_manager_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person_version")),
        sa.UniqueConstraint("person_id", "id", name=op.f("uq_person_version_person_id_id")),
    )
    op.create_index("ix_person_version_change", "person_version", ["change"], unique=False)
    for block in (VERSIONS, *(KEPT.format(table=table) for table in SHOWING), RIGHTS):
        op.get_bind().exec_driver_sql(block.replace("%", "%%"))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: the record is never unwritten")
