"""The ways to reach a person, one module each, behind one Protocol."""
