"""Drawings and pages for print, made by matplotlib without a display."""
