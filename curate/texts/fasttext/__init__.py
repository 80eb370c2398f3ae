"""fastText's classifiers (Joulin et al., 2016): their files, read into flat arrays, and their answers, bit for bit.

`file` reads, `model` lays out, `rows` turns a text into rows of the input matrix, `kernels` into a label.
"""
