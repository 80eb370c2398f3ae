"""What scorers and captioners share: rows or pictures in, columns of a side table out."""
