"""The strip that compares threshold methods with the segmentation."""
