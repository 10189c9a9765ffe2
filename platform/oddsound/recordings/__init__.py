"""File names of each DCASE year, the index of a data folder, the reader, synthetic machines."""
