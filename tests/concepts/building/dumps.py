"""Small dumps in the real formats: pages-articles XML as MediaWiki exports it, page-view files as they are served."""

import bz2
from html import escape
from pathlib import Path

HEADER = """\
<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="{0}">
  <siteinfo>
    <sitename>Wikipedia</sitename>
    <namespaces><namespace key="0" case="first-letter" /><namespace key="1" case="first-letter">Talk</namespace></namespaces>
  </siteinfo>
"""
PAGE = """\
  <page>
    <title>{title}</title>
    <ns>{ns}</ns>
    <id>{number}</id>{redirect}
    <revision>
      <id>{number}00</id>
      <timestamp>2024-01-01T00:00:00Z</timestamp>
      <contributor><username>Somebody</username><id>1</id></contributor>
      <model>wikitext</model>
      <format>text/x-wiki</format>
      <text bytes="{size}" sha1="0" xml:space="preserve">{text}</text>
      <sha1>0</sha1>
    </revision>
  </page>
"""


def page(number: int, title: str, text: str, ns: int = 0, redirect: str = "") -> str:
    target = f'\n    <redirect title="{escape(redirect)}" />' if redirect else ""
    size = len(text.encode())
    return PAGE.format(
        title=escape(title), ns=ns, number=number, redirect=target, size=size, text=escape(text, quote=False)
    )


def document(pages: list[str], language: str = "en") -> str:
    return HEADER.format(language) + "".join(pages) + "</mediawiki>\n"


def multistream(pages: list[str], file: Path, per_stream: int = 2) -> None:
    """A dump of several bzip2 streams one behind the other: the head, then some pages in each, then the end."""
    pieces = [HEADER.format("en")]
    pieces += ["".join(pages[i : i + per_stream]) for i in range(0, len(pages), per_stream)] + ["</mediawiki>\n"]
    file.write_bytes(b"".join(bz2.compress(piece.encode()) for piece in pieces))


MARKUP = """\
{{Infobox animal|name=Cat|image=Cat.jpg|caption={{nowrap|A hidden caption}}}}
'''The cat''' is a [[small]] [[carnivore|meat eater]].<ref name="a">{{cite book|title=Hidden book}}</ref> [[File:Cat.jpg|thumb|A hidden picture]]
It is &quot;liked&quot;<!-- a hidden comment --> by people &amp; dogs.

== Names ==
{| class="wikitable"
! Name
|-
| Tom
|}
* [[Category:Hidden animals]] <nowiki>[[plain]]</nowiki> [https://hidden.example a site]
"""
"""Everything hidden is markup; what is left over is words."""
