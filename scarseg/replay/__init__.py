"""Make a reading again from its case file, and say whether it comes out the same."""
