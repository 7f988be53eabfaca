"""Reports: figures, the page layout, and the one-page PDF report of a patient."""
