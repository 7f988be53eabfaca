"""How good the models are on patients with a reference: protocol, figures, tables, drawings."""
