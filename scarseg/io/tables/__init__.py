"""CSV and XLSX tables and the JSON sidecar."""
