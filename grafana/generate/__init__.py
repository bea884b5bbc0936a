"""Grafana's dashboards, written as Python: `make dashboards` writes `grafana/dashboards/`."""
