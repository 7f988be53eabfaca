"""Make a reading again from its case file and compare the two."""
