"""Who is on call, and two weeks of one team as a chart."""
