"""Evaluate models on patients with a reference: protocol, figures, tables, plots."""
