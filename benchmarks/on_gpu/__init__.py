"""The product's model code on one device: is it right, and how fast is it."""
