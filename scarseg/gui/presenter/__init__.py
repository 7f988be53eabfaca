"""Update the widgets from the open document."""
