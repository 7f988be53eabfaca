"""The one-page report of a patient, as PDF."""
