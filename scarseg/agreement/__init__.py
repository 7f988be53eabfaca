"""Agreement of two readings of the same patients, from tables or from masks."""
