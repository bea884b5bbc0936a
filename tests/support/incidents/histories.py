"""Changes of incidents, as statements that bypass the service."""

from typing import Final

INSERT: Final = """
    INSERT INTO incidents.incident (id, title, service, severity, team, created_at)
    VALUES (%(id)s, 'Down', %(service)s, %(severity)s, %(team)s, %(at)s)
    """
ACKNOWLEDGE: Final = """
    UPDATE incidents.incident SET status = 'acknowledged', acknowledged_at = created_at + %(after)s
    WHERE id = %(id)s AND status = 'open'
    """
START: Final = """
    WITH began AS (
        UPDATE incidents.incident
        SET status = 'in_progress', acknowledged_at = COALESCE(acknowledged_at, created_at + %(after)s)
        WHERE id = %(id)s AND status IN ('open', 'acknowledged') RETURNING id, created_at)
    INSERT INTO incidents.timeline (id, incident_id, event_type, actor, detail, data, created_at)
    SELECT gen_random_uuid(), id, 'status_changed', 'dele', '', '{"to": "in_progress"}', created_at + %(after)s
    FROM began
    """
RESOLVE: Final = """
    UPDATE incidents.incident
    SET status = 'resolved', acknowledged_at = COALESCE(acknowledged_at, created_at + %(after)s),
        resolved_at = GREATEST(acknowledged_at, created_at + %(after)s)
    WHERE id = %(id)s AND status <> 'resolved'
    """
