"""Consent: what pages and servers say for or against the use of an image, asked before it is fetched wherever that is possible.

`rules.yaml` is the table of what is heeded, `rules` reads it, `robots` follows RFC 9309, `statements` reads the other
syntaxes, `origins` keeps what each origin said, and `policy` is the door.
"""

from curate.images.consent.policy import Answer, Policy, Refusal, refused

__all__ = ["Answer", "Policy", "Refusal", "refused"]
