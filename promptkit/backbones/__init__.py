"""Language models behind one face."""
