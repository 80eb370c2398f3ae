"""Models that answer in words: an endpoint, a language model or a captioner on this machine; and what they have answered before."""
