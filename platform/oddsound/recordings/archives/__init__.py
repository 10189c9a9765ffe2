"""The challenge's own archives: which there are, fetched whole, unpacked safely."""
