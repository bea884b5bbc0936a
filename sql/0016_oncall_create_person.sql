-- People and the teams they belong to. Until schedules refer to people, each member of a schedule is one, found by e-mail.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

CREATE TABLE oncall.person (
    id         uuid PRIMARY KEY,
    name       text NOT NULL,
    email      text NOT NULL,
    -- Incremented by each change: the second of two concurrent changes gets a 412.
    version    integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT tocsin.now()
);
CREATE UNIQUE INDEX person_email_key ON oncall.person (lower(email));
CREATE INDEX person_created_at_id_idx ON oncall.person (created_at DESC, id DESC);

CREATE TABLE oncall.membership (
    team_id    uuid NOT NULL REFERENCES oncall.team (id) ON DELETE CASCADE,
    person_id  uuid NOT NULL REFERENCES oncall.person (id) ON DELETE CASCADE,
    role       text NOT NULL DEFAULT 'member' CHECK (role IN ('member', 'manager')),
    created_at timestamptz NOT NULL DEFAULT tocsin.now(),
    PRIMARY KEY (team_id, person_id)
);
CREATE INDEX membership_person_id_idx ON oncall.membership (person_id);

-- The members of a schedule who have a name and an e-mail address. A schedule that was changed by hand may have others.
CREATE FUNCTION oncall.members_of(members jsonb) RETURNS TABLE (name text, email text) LANGUAGE sql IMMUTABLE AS $$
    SELECT DISTINCT ON (lower(member ->> 'email')) member ->> 'name', member ->> 'email'
    FROM jsonb_array_elements(CASE WHEN jsonb_typeof(members) = 'array' THEN members ELSE '[]' END)
        WITH ORDINALITY AS listed (member, position)
    WHERE member ->> 'name' IS NOT NULL AND member ->> 'email' IS NOT NULL
    ORDER BY lower(member ->> 'email'), position
$$;

-- A trigger, because the release before writes schedules as well, while both run.
CREATE FUNCTION oncall.adopt_members() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.team_id = (SELECT id FROM oncall.team WHERE name = 'tocsin-drill') THEN
        RETURN NULL; -- a fire drill pages nobody
    END IF;
    -- members_of has one order for all transactions, so that they cannot deadlock.
    INSERT INTO oncall.person (id, name, email)
    SELECT gen_random_uuid(), name, email FROM oncall.members_of(NEW.members)
    ON CONFLICT (lower(email)) DO NOTHING;
    INSERT INTO oncall.membership (team_id, person_id)
    SELECT NEW.team_id, person.id FROM oncall.members_of(NEW.members) AS member
    JOIN oncall.person ON lower(person.email) = lower(member.email)
    ON CONFLICT DO NOTHING;
    IF TG_OP = 'UPDATE' THEN -- who leaves the rotation leaves the team, but for its managers
        DELETE FROM oncall.membership USING oncall.person, oncall.members_of(OLD.members) AS former
        WHERE team_id = NEW.team_id AND person_id = person.id AND role = 'member' AND lower(person.email) = lower(former.email)
          AND NOT EXISTS (SELECT FROM oncall.members_of(NEW.members) AS member WHERE lower(member.email) = lower(person.email));
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER schedule_adopt_members AFTER INSERT OR UPDATE OF members ON oncall.schedule
    FOR EACH ROW EXECUTE FUNCTION oncall.adopt_members();

-- The members of the schedules that exist.
UPDATE oncall.schedule SET members = members;
