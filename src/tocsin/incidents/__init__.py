"""Incident management: which incident an alert belongs to; states, notes, timeline, MTTA and MTTR."""
