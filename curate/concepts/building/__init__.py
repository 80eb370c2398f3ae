"""Building entry lists: WordNets, Wikipedia's words, pairs and titles, frequent words, and lists that users have.

`curate metadata build` and `curate metadata import` are its doors; `jobs/build_metadata.py` counts on Spark what is too large for one
process.
"""
