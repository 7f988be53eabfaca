"""Hold two readings of the same patients against each other, from tables or from masks."""
